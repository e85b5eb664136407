# SPDX-License-Identifier: Apache-2.0
"""near.py FILE: whether the numbers on stdin are those of the file, to 1e-5."""
import sys

import numpy as np

found, wanted = np.loadtxt(sys.stdin), np.loadtxt(sys.argv[1])
assert found.shape == wanted.shape, f"{found.shape} numbers, not {wanted.shape}"
distance = np.abs(found - wanted).max()
assert distance <= 1e-5, f"{distance:g} apart"
