# SPDX-License-Identifier: Apache-2.0
"""Writes a replay buffer of UMI's form (zarr, no compression) for test_check_source.sh, with nothing but Python:

    python3 make_source.py FOLDER.zarr [jump] [frozen] [nan]

Twelve episodes of 60 rows at 20 a second: an arm reaches for something, the gripper closes, the arm lifts it. With `jump`
its state slips at row 30 of episode 5, with `frozen` its camera shows one picture from row 10 to 45 of episode 8, with `nan`
a position of row 7 of episode 3 is no number.
"""
import array
import json
import sys
from pathlib import Path

EPISODES, LENGTH, HEIGHT, WIDTH = 12, 60, 24, 32
ROWS = EPISODES * LENGTH


def chance(*numbers):
    """From -1 to 1, decided by the numbers."""
    x = 12345
    for n in numbers:
        x = (x ^ (n + 1) * 2654435761) * 1103515245 % 2**32
        x ^= x >> 15
    return x / 2**31 - 1


def reach(t, begin, end):
    u = min(max((t - begin) / (end - begin), 0), 1)
    return u * u * u * (10 + u * (6 * u - 15))


def command(episode, row):
    t = (row + 0.5) / LENGTH
    go, lift = reach(t, 0.02, 0.5), reach(t, 0.6, 0.97)
    at = []
    for d in range(3):
        start = 0.1 * d + 0.02 * chance(episode, d)
        at.append(start + go * (0.3 + 0.1 * chance(episode, d + 20)) + lift * 0.2)
    turn = [0.3 * d + 0.05 * chance(episode, d + 40) + 0.2 * go for d in range(3)]
    return at + turn + [0.08 - 0.06 * reach(t, 0.5, 0.62)]


# A pattern that is wider than a picture: it goes by, as the camera is on the arm.
PATTERN = [bytes(c for x in range(WIDTH + LENGTH) for c in (x * 5 % 97 + 40, y * 7 % 89 + 50, (x + y) * 3 % 101 + 30))
           for y in range(HEIGHT)]


def picture(episode, row):
    lines, top = [line[3 * row:3 * (row + WIDTH)] for line in PATTERN], 3 + episode
    for y in range(top, top + 6):
        lines[y] = lines[y][:30] + bytes((230, 60, 40)) * 6 + lines[y][48:]
    return b"".join(lines)


def write(root, name, shape, chunk, dtype, chunks):
    folder = root / name
    folder.mkdir(parents=True)
    meta = {"zarr_format": 2, "order": "C", "dtype": dtype, "shape": shape, "chunks": chunk, "fill_value": 0,
            "filters": None, "compressor": None}
    (folder / ".zarray").write_text(json.dumps(meta))
    for key, data in chunks.items():
        (folder / key).write_bytes(data)


def main():
    root, faults = Path(sys.argv[1]), sys.argv[2:]
    root.mkdir(parents=True)
    rows = [(e, i) for e in range(EPISODES) for i in range(LENGTH)]
    actions = [command(e, i) for e, i in rows]
    states = [[v + 1e-5 * chance(e, i, d) for d, v in enumerate(command(e, max(i - 2, 0)))] for e, i in rows]
    if "jump" in faults:
        states[5 * LENGTH + 30][1] += 0.4
    if "nan" in faults:
        states[3 * LENGTH + 7][2] = float("nan")
    vectors = {"robot0_eef_pos": [s[:3] for s in states], "robot0_eef_rot_axis_angle": [s[3:6] for s in states],
               "robot0_gripper_width": [s[6:] for s in states], "action": actions}
    for name, values in vectors.items():
        data = array.array("f", [v for row in values for v in row]).tobytes()
        dim = len(values[0])
        write(root, f"data/{name}", [ROWS, dim], [ROWS, dim], "<f4", {"0.0": data})
    still = {(8, i): (8, 10) for i in range(10, 46)} if "frozen" in faults else {}
    frames = {f"{k}.0.0.0": picture(*still.get(row, row)) for k, row in enumerate(rows)}
    write(root, "data/camera0_rgb", [ROWS, HEIGHT, WIDTH, 3], [1, HEIGHT, WIDTH, 3], "|u1", frames)
    ends = array.array("q", [(e + 1) * LENGTH for e in range(EPISODES)]).tobytes()
    write(root, "meta/episode_ends", [EPISODES], [EPISODES], "<i8", {"0": ends})
    for group in (".", "data", "meta"):
        (root / group / ".zgroup").write_text('{"zarr_format": 2}')


main()
