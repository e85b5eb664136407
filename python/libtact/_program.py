# SPDX-License-Identifier: Apache-2.0
"""The command `tact` of an installed wheel: becomes the program that the package holds."""
from __future__ import annotations

import os
import sys
from typing import NoReturn

from ._library import find_file


def main() -> NoReturn:
    program = find_file("bin/tact", "tact", ["bin/tact"])
    if program is None:
        sys.exit("tact: the program is not in this installation of libtact; install the wheel again, or build the "
                 "tree with scripts/build")
    try:
        os.execv(program, ["tact", *sys.argv[1:]])
    except OSError as e:
        sys.exit(f"tact: {program}: {e.strerror}")
