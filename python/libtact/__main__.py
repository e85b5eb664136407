# SPDX-License-Identifier: Apache-2.0
"""python -m libtact: the program `tact`."""
from ._program import main

main()
