# SPDX-License-Identifier: Apache-2.0
"""Success over training time as an SVG: one line a series, with Wilson's 95 % interval.

    python draw.py OUT.svg "NAME=DIR" ...

A DIR holds STEP.jsonl, what evaluate.py wrote of the checkpoint of that step, and seconds.json: {"STEP": seconds of
training until then}. Without seconds.json the axis is steps.
"""
import json
import sys
from pathlib import Path

import matplotlib

matplotlib.use("svg")
import matplotlib.pyplot as plt

from evaluate import wilson


def points(folder):
    """(minutes or steps, share, low, high) of each checkpoint that was evaluated, in percent."""
    seconds = folder / "seconds.json"
    seconds = json.loads(seconds.read_text()) if seconds.exists() else None
    for file in sorted(folder.glob("[0-9]*.jsonl"), key=lambda f: int(f.stem)):
        rows = [json.loads(line) for line in file.read_text().splitlines()]
        good = sum(row["best"] == 4 for row in rows)
        at = seconds[file.stem] / 60 if seconds else int(file.stem)
        yield at, *(100 * share for share in (good / len(rows), *wilson(good, len(rows))))


def main():
    figure, axes = plt.subplots(figsize=(6.4, 3.6), layout="constrained")
    series = [part.split("=", 1) for part in sys.argv[2:]]
    for name, folder in series:
        at, share, low, high = zip(*points(Path(folder)))
        line, = axes.plot(at, share, marker="o", label=name)
        axes.fill_between(at, low, high, color=line.get_color(), alpha=0.15)
    timed = all((Path(folder) / "seconds.json").exists() for _, folder in series)
    axes.set(xlabel="minutes of training" if timed else "training steps", ylabel="success, %", ylim=(0, 100))
    axes.grid(alpha=0.3)
    axes.legend()
    figure.savefig(sys.argv[1])


if __name__ == "__main__":
    main()
