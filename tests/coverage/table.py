#!/usr/bin/env python3
# SPDX-License-Identifier: Apache-2.0
"""What the tests of a build with --coverage ran, by folder of src/, as a table in Markdown (scripts/coverage).

    tests/coverage/table.py BUILD [--missing FOLDER...]    with --missing the lines that never ran, instead

Counts of a file that is compiled several times (into the program, a module, for levels of processor) are added up.
A branch is counted where its line ran, as gcov does; both sides of a condition are one branch each.
"""
import argparse
import collections
import concurrent.futures
import json
import os
import pathlib
import subprocess

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent


def read(build, notes):
    """gcov's account of one object, or None."""
    said = subprocess.run(["gcov", "--json-format", "--branch-probabilities", "--stdout", str(notes)], cwd=build,
                          capture_output=True, text=True)
    return json.loads(said.stdout) if said.returncode == 0 and said.stdout.strip() else None


def collect(build):
    """{file: {line: [times it ran, [times of each branch]]}} of src/."""
    files = collections.defaultdict(dict)
    notes = [n for n in build.rglob("*.gcno") if "/src/" in str(n)]
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        for account in pool.map(lambda n: read(build, n), notes):
            for f in account["files"] if account else []:
                path = os.path.normpath(os.path.join(account["current_working_directory"], f["file"]))
                if not path.startswith(str(ROOT / "src") + "/"):
                    continue
                lines = files[os.path.relpath(path, ROOT)]
                for line in f["lines"]:
                    branches = [b["count"] for b in line["branches"]]
                    old = lines.setdefault(line["line_number"], [0, []])
                    old[0] += line["count"]
                    old[1] = [a + b for a, b in zip(old[1], branches)] if len(old[1]) == len(branches) else max(
                        old[1], branches, key=lambda counts: (sum(c > 0 for c in counts), len(counts)))
    return files


def folder_of(path):
    """src/formats/ffmpeg is its own: modules, as ops/ref and ops/cpu."""
    parts = path.split("/")
    return "/".join(parts[:-1][:3])


def table(files):
    rows = collections.defaultdict(lambda: [0, 0, 0, 0])
    for path, lines in files.items():
        for row in (rows[folder_of(path)], rows["together"]):
            row[0] += sum(count > 0 for count, _ in lines.values())
            row[1] += len(lines)
            row[2] += sum(b > 0 for _, branches in lines.values() for b in branches)
            row[3] += sum(len(branches) for _, branches in lines.values())
    print("| folder | lines | of | % | branches | of | % |\n| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
    for folder in [*sorted(f for f in rows if f != "together"), "together"]:
        ran, all_lines, took, all_branches = rows[folder]
        print(f"| {folder} | {ran} | {all_lines} | {100 * ran / all_lines:.1f} | {took} | {all_branches} | "
              f"{100 * took / max(1, all_branches):.1f} |")


def missing(files, folders):
    for path in sorted(files):
        lost = sorted(n for n, (count, _) in files[path].items() if count == 0)
        if lost and any(path.startswith(f.rstrip("/")) for f in folders):
            text = (ROOT / path).read_text().splitlines()
            print(f"{path}: {len(lost)} of {len(files[path])}")
            for n in lost:
                print(f"  {n:4} {text[n - 1].strip()}")


def main():
    p = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    p.add_argument("build", type=pathlib.Path)
    p.add_argument("--missing", nargs="+", metavar="FOLDER")
    args = p.parse_args()
    files = collect(args.build.resolve())
    if args.missing:
        missing(files, args.missing)
    else:
        table(files)


main()
