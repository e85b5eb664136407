#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""Small LeRobot datasets with one defect each, and clean ones, to try programs on that look for defects.

    make_broken.py OUT [NAME ...]    with LeRobot 0.6.1 and av: OUT/NAME, and OUT/sets.json that tells what each is

Each starts from one of two recordings that LeRobot itself writes (scene.py): an arm's joints, or a hand's pose; 16
episodes, two cameras. What is not the defect is right: lengths, statistics and videos follow. `source` says who speaks
of the defect: the checks that another program documents or its own demo has, or the project.
"""
import argparse
import json
import shutil
import sys
from pathlib import Path

import scene
from model import Set

AT = 7  # the episode that is broken, where it is one


class Defect:
    def __init__(self, name, text, source, kind, version, change):
        self.name, self.text, self.source, self.kind, self.version, self.change = name, text, source, kind, version, change


DEFECTS = {}


def defect(text, source, kind="joints", version="v3.0"):
    """A function that changes a Set; what it returns, if anything, is called with the folder once it is written."""

    def add(change):
        DEFECTS[change.__name__] = Defect(change.__name__, text, source, kind, version, change)
        return change

    return add


def base(out, kind, recorded):
    """The clean recording, made where it is missing."""
    if not (out / kind / "meta/stats.json").exists():
        import datasets

        datasets.disable_progress_bars()
        shutil.rmtree(out / kind, ignore_errors=True)
        (out / kind).parent.mkdir(parents=True, exist_ok=True)
        scene.write(out / kind, kind, recorded)
    return out / kind


def make(d, out, bases, recorded):
    root = out / d.name
    shutil.rmtree(root, ignore_errors=True)
    s = Set(bases[d.kind], d.kind, recorded[d.kind])
    after = d.change(s)
    (s.write if d.version == "v3.0" else s.write21)(root)
    if after:
        after(root)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("out", type=Path)
    parser.add_argument("names", nargs="*")
    a = parser.parse_args()
    import defects_files  # noqa: F401 (they enter their functions in DEFECTS)
    import defects_values  # noqa: F401

    unknown = set(a.names) - set(DEFECTS)
    if unknown:
        sys.exit(f"no defect of this name: {', '.join(sorted(unknown))}; there are {', '.join(DEFECTS)}")
    recorded = {kind: scene.episodes(kind) for kind in scene.NAMES}
    bases = {kind: base(a.out / "base", kind, recorded[kind]) for kind in scene.NAMES}
    for name in a.names or DEFECTS:
        make(DEFECTS[name], a.out, bases, recorded)
        print(name, flush=True)
    (a.out / "sets.json").write_text(json.dumps(
        {d.name: {"text": d.text, "source": d.source, "base": f"clean_{d.kind}" + ("_v21" if d.version == "v2.1" else "")}
         for d in DEFECTS.values()}, indent=1))


if __name__ == "__main__":
    sys.modules["make_broken"] = sys.modules["__main__"]
    main()
