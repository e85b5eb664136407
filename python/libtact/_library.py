# SPDX-License-Identifier: Apache-2.0
"""Where the library and the program are found, and the library loaded, once a process."""
from __future__ import annotations

import ctypes
import functools
import os
from collections.abc import Iterator
from pathlib import Path

from ._interface import VERSION, declare

LIBRARY = "libtact.so.0.2"


def _package_folders() -> Iterator[Path]:
    """The package's folder: of an editable install its Python files and the built ones lie in two."""
    import libtact

    for folder in libtact.__path__:
        yield Path(folder).resolve()


def find_file(in_package: str, in_build: str, installed: list[str]) -> str | None:
    """The first that is there of a file inside the package (a wheel), in the tree's build folder, and below the
    prefix of `cmake --install`, whose PREFIX/share/tact/python holds the package; patterns there."""
    for folder in _package_folders():
        if (folder / in_package).is_file():
            return str(folder / in_package)
    package = Path(__file__).resolve().parent
    build = package.parents[1] / "build" / in_build
    if build.is_file():
        return str(build)
    prefix = package.parents[3] if len(package.parents) > 3 else package
    for pattern in installed:
        for found in sorted(prefix.glob(pattern)):
            return str(found)
    return None


def _library_path() -> str:
    if "TACT_LIBRARY" in os.environ:
        return os.environ["TACT_LIBRARY"]
    # Not in one of the known places: perhaps the system's loader knows it.
    installed = [f"lib*/{LIBRARY}", f"lib/*-linux-*/{LIBRARY}"]
    return find_file(f"lib/{LIBRARY}", LIBRARY, installed) or LIBRARY


@functools.lru_cache(maxsize=None)
def library() -> ctypes.CDLL:
    """The library. ImportError: it is not there, or of another version."""
    name = _library_path()
    # OpenMP reads this once, when it is loaded: its threads are not to spin for milliseconds where others compute too.
    if "OMP_WAIT_POLICY" not in os.environ:
        os.environ.setdefault("GOMP_SPINCOUNT", "1000")
    try:
        lib = ctypes.CDLL(name)
        declare(lib)
    except (OSError, AttributeError) as e:
        raise ImportError(f"libtact: {e}; build it (scripts/build), or name it in TACT_LIBRARY") from None
    if (found := lib.tact_version().decode()) != VERSION:
        raise ImportError(f"{name}: tact {found}; {Path(__file__).parent} is for {VERSION}")
    return lib


def version() -> str:
    """The library's version."""
    return str(library().tact_version().decode())
