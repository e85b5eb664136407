# SPDX-License-Identifier: Apache-2.0
"""Defects of make_broken.py in what was recorded: rows and pictures. Files and tables are right."""
import numpy as np

from make_broken import AT, defect
from model import CAMERAS, FPS

STATE, ACTION = "observation.state", "action"
BOTH = (STATE, ACTION)


def of(s, number=AT):
    e = s.episodes[number]
    e.touched = True
    return e


def spread(s, name=STATE):
    every = np.concatenate([e.rows[name] for e in s.episodes])
    return every.max(0) - every.min(0)


def shifted(values, rows):
    """Values that come so many rows later."""
    return values[np.clip(np.arange(len(values)) - rows, 0, len(values) - 1)]


@defect("nothing: joints as LeRobot writes them", "control")
def clean_joints(s):
    pass


@defect("nothing: a hand's pose", "control", kind="pose")
def clean_pose(s):
    pass


@defect("nothing: joints as v2.1", "control", version="v2.1")
def clean_joints_v21(s):
    pass


# ---- time between state and action ----


@defect("every state comes 15 rows (0.5 s) late", "project")
def lag_everywhere(s):
    for i in range(len(s.episodes)):
        e = of(s, i)
        e.rows[STATE] = shifted(e.rows[STATE], 15)


@defect("the states of one episode come 8 rows late", "project")
def lag_in_one(s):
    e = of(s)
    e.rows[STATE] = shifted(e.rows[STATE], 8)


@defect("actions come 5 rows after the states they cause", "project")
def action_behind(s):
    for i in range(len(s.episodes)):
        e = of(s, i)
        e.rows[ACTION] = shifted(e.rows[ACTION], 8)


@defect("the action is the state of the same row", "project")
def action_is_state(s):
    for i in range(len(s.episodes)):
        of(s, i).rows[ACTION] = s.episodes[i].rows[STATE].copy()


# ---- standing still ----


def hold(s, at, rows, number=AT):
    """Repeats one row so many times, pictures too, with their noise."""
    e = of(s, number)
    views = {c: e.view(c) for c in CAMERAS}
    order = np.insert(np.arange(len(e)), at, np.full(rows, at if at < len(e) else len(e) - 1))
    noise = np.random.default_rng(5)
    e.keep(order)
    for c, v in views.items():
        v = v[order].astype(np.int16)
        s.show(e, c, np.clip(v + noise.normal(0, 1, v.shape), 0, 255).astype(np.uint8))


@defect("4 s of standing still at the end of an episode", "project; lerobot-doctor (trim)")
def idle_tail(s):
    hold(s, len(s.episodes[AT]), 120)


@defect("3 s of standing still at the begin of an episode", "project; lerobot-doctor (trim)")
def idle_head(s):
    hold(s, 0, 90)


@defect("the state stays the same for 67 rows while the robot moves", "lerobot-lint (FROZEN_STATE)")
def state_frozen(s):
    e = of(s)
    e.rows[STATE][50:117] = e.rows[STATE][50]


@defect("state and action stay the same for 60 % of an episode, the pictures go on", "robovet (demo)")
def episode_frozen(s):
    e = of(s)
    a, b = int(len(e) * 0.2), int(len(e) * 0.8)
    for name in BOTH:
        e.rows[name][a:b] = e.rows[name][a]


# ---- values ----


@defect("one row of one joint is 60 degrees off", "project; kalanos (spike); lerobot-lint (DISCONTINUITY)")
def jump_state(s):
    of(s).rows[STATE][70, 2] += 60


@defect("one row of one action is 60 degrees off", "project; lerobot-doctor (actions)")
def jump_action(s):
    of(s).rows[ACTION][70, 2] += 60


@defect("one joint is 25 degrees off from the middle of an episode on", "kalanos (step)")
def step_state(s):
    e = of(s)
    e.rows[STATE][len(e) // 2 :, 3] += 25


@defect("a joint drifts by 40 degrees over an episode while its action does not", "kalanos (drift)")
def drift_state(s):
    e = of(s)
    e.rows[STATE][:, 3] += np.linspace(0, 40, len(e)).astype(np.float32)


@defect("noise of 3 % of the range on one joint in one episode", "kalanos (noise); lerobot-lint (JITTER)")
def noise_in_one(s):
    e = of(s)
    e.rows[STATE][:, 1] += np.random.default_rng(1).normal(0, 0.03 * spread(s)[1], len(e)).astype(np.float32)


@defect("rough movement in one episode: noise of 5 % on every joint's action", "robovet (demo)")
def rough_motion(s):
    e = of(s)
    noise = np.random.default_rng(1).normal(0, 0.05, (len(e), 5)) * spread(s)[:5]
    e.rows[ACTION][:, :5] += noise.astype(np.float32)
    e.rows[STATE][3:, :5] += noise[:-3].astype(np.float32)


@defect("the gripper's action opens and closes at every row for half an episode", "robovet (demo)")
def gripper_chatter(s):
    e = of(s)
    a, b = int(len(e) * 0.3), int(len(e) * 0.8)
    e.rows[ACTION][a:b, 5] = np.where(np.arange(b - a) % 2, 86, 23)


@defect("a NaN in one state", "lerobot-doctor (actions, statistics); robovet (DATA-107)")
def nan_state(s):
    of(s).rows[STATE][70, 2] = np.nan


@defect("an infinity in one action", "lerobot-doctor (actions); robovet (DATA-107)")
def inf_action(s):
    of(s).rows[ACTION][70, 2] = np.inf


@defect("actions are cut off at a limit for a third of the rows", "lerobot-doctor (actions); kalanos (saturation)")
def actions_clipped(s):
    limit = np.quantile(np.concatenate([e.rows[ACTION][:, 0] for e in s.episodes]), 0.65)
    for i in range(len(s.episodes)):
        e = of(s, i)
        e.rows[ACTION][:, 0] = np.minimum(e.rows[ACTION][:, 0], limit)


@defect("one joint never changes, in state and action", "lerobot-doctor (anomalies); lerobot-lint (DEAD_JOINT)")
def joint_dead(s):
    for i in range(len(s.episodes)):
        for name in BOTH:
            of(s, i).rows[name][:, 3] = 12


@defect("one joint's state stays the same in one episode while its action moves", "kalanos (stuck channel)")
def joint_stuck(s):
    e = of(s)
    e.rows[STATE][:, 2] = e.rows[STATE][0, 2]


@defect("the gripper is not used in one episode", "project; lerobot-lint (GRIPPER_INERT)")
def gripper_unused(s):
    e = of(s)
    for name in BOTH:
        e.rows[name][:, 5] = e.rows[name][0, 5]


@defect("the gripper's direction is turned around in one episode", "project")
def gripper_reversed(s):
    e = of(s)
    for name in BOTH:
        e.rows[name][:, 5] = 109 - e.rows[name][:, 5]


@defect("action and state stay 6 degrees apart at rest: calibration", "project")
def rest_offset(s):
    for i in range(len(s.episodes)):
        e = of(s, i)
        for name in BOTH:
            e.rows[name][-20:] = e.rows[name][-20]
        e.rows[ACTION][-20:] = e.rows[STATE][-20]
        e.rows[ACTION][:, 1] += 6


@defect("one episode is in radians, the others in degrees", "project")
def radians_in_one(s):
    e = of(s)
    for name in BOTH:
        e.rows[name][:, :5] *= np.float32(np.pi / 180)


@defect("positions in millimetres", "project", kind="pose")
def millimetres(s):
    for i in range(len(s.episodes)):
        for name in BOTH:
            of(s, i).rows[name][:, :3] *= 1000


@defect("rotation vectors in degrees", "project", kind="pose")
def degrees(s):
    for i in range(len(s.episodes)):
        for name in BOTH:
            of(s, i).rows[name][:, 3:6] *= np.float32(180 / np.pi)


@defect("a rotation vector near half a turn flips its sign", "project", kind="pose")
def rotation_flips(s):
    for i in range(len(s.episodes)):
        e = of(s, i)
        for name in BOTH:
            r = e.rows[name][:, 3:6] * np.float32(0.05)
            r[:, 0] += np.where(np.arange(len(e)) % 60 < 30, 3.1, -3.1)
            e.rows[name][:, 3:6] = r


# ---- episodes beside the others ----


@defect("one episode starts elsewhere", "project")
def start_elsewhere(s):
    e = of(s)
    gone = (np.linspace(1, 0, len(e)) ** 2 * 45).astype(np.float32)
    for name in BOTH:
        e.rows[name][:, 4] += gone


@defect("one episode ends elsewhere: the task was not done", "project")
def end_elsewhere(s):
    e = of(s)
    gone = (np.linspace(0, 1, len(e)) ** 2 * 120).astype(np.float32)
    for name in BOTH:
        e.rows[name][:, 4] += gone


@defect("an episode of 8 rows", "lerobot-doctor (episodes); lerobot-lint (SHORT_EPISODE); robovet (score)")
def episode_short(s):
    cut(s, 8)


@defect("an episode broken off after a quarter", "lerobot-doctor (episodes); lerobot-lint (DURATION_OUTLIER)")
def episode_broken_off(s):
    cut(s, 40)


def cut(s, rows):
    e = of(s)
    views = {c: e.view(c)[:rows] for c in CAMERAS}
    e.keep(np.arange(rows))
    for c, v in views.items():
        s.show(e, c, v)


@defect("an episode five times as long as the others", "lerobot-doctor (episodes); robovet (score)")
def episode_long(s):
    e = of(s)
    order = np.repeat(np.arange(len(e)), 5)
    views = {c: e.view(c)[order] for c in CAMERAS}
    state = {name: np.stack([np.interp(np.arange(5 * len(e)) / 5, np.arange(len(e)), e.rows[name][:, d])
                             for d in range(e.rows[name].shape[1])], 1).astype(np.float32) for name in BOTH}
    e.keep(order)
    e.rows.update(state)
    noise = np.random.default_rng(5)
    for c, v in views.items():
        s.show(e, c, np.clip(v + noise.normal(0, 2, v.shape), 0, 255).astype(np.uint8))


@defect("an episode is a copy of another, pictures too", "robovet (demo); lerobot-doctor (anomalies)")
def episode_twice(s):
    e, other = of(s, 12), s.episodes[4]
    e.rows = {name: column.copy() for name, column in other.rows.items()}
    for c in CAMERAS:
        s.show(e, c, other.view(c))


@defect("the last quarter of the episodes was recorded with the arm elsewhere", "lerobot-doctor (anomalies)")
def setup_moved(s):
    for i in range(12, 16):
        for name in BOTH:
            of(s, i).rows[name][:, 0] += 60


@defect("all episodes are nearly the same", "lerobot-lint (LOW_DIVERSITY); lerobot-doctor (anomalies)")
def no_variety(s):
    noise = np.random.default_rng(2)
    n = min(len(e) for e in s.episodes)
    first = s.episodes[0]
    views = {c: first.view(c)[:n] for c in CAMERAS}
    rows = {name: first.rows[name][:n] for name in BOTH}
    for i in range(len(s.episodes)):
        e = of(s, i)
        e.keep(np.arange(n))
        for name in BOTH:
            e.rows[name] = rows[name] + noise.normal(0, 0.02, rows[name].shape).astype(np.float32)
        for c in CAMERAS:
            s.show(e, c, np.clip(views[c] + noise.normal(0, 1, views[c].shape), 0, 255).astype(np.uint8))


@defect("only three episodes", "lerobot-lint (TOO_FEW_EPISODES)")
def few_episodes(s):
    s.episodes = s.episodes[:3]


@defect("one episode has a task without words", "lerobot-lint (MISSING_TASK); kalanos (task instruction)")
def task_empty(s):
    s.tasks.append("")
    of(s).rows["task_index"][:] = 1


@defect("15 episodes of one task, one of another", "lerobot-doctor (episodes); lerobot-lint (TASK_IMBALANCE)")
def task_rare(s):
    s.tasks.append("Open the drawer.")
    of(s).rows["task_index"][:] = 1


# ---- pictures ----


def change(s, function, camera="front", number=AT):
    e = s.episodes[number]
    s.show(e, camera, np.asarray(function(e.view(camera))))


@defect("a camera hangs from a third of an episode on", "project; kalanos (frozen frames); lerobot-lint (FROZEN_CAMERA)")
def camera_frozen(s):
    change(s, lambda v: np.concatenate([v[:50], np.repeat(v[50:51], len(v) - 50, 0)]))


@defect("a camera is black for half a second", "project; kalanos (blank frames)")
def camera_black(s):
    def black(v):
        v[60:75] = 0
        return v

    change(s, black)


@defect("a camera is black in a whole episode", "project; lerobot-lint (DEGENERATE_IMAGE)")
def camera_covered(s):
    change(s, lambda v: v * 0)


@defect("a camera is overexposed in one episode", "project; kalanos (clipped)")
def camera_white(s):
    change(s, lambda v: np.clip(v.astype(np.int32) * 4, 0, 255).astype(np.uint8))


@defect("a camera is out of focus in one episode", "project; kalanos (blur)")
def camera_blurred(s):
    def blur(v):
        v = v.astype(np.float32)
        for axis in (1, 2):
            for _ in range(3):
                v = (np.roll(v, 1, axis) + v + np.roll(v, -1, axis) + np.roll(v, 2, axis) + np.roll(v, -2, axis)) / 5
        return v.astype(np.uint8)

    change(s, blur)


@defect("two cameras are swapped in one episode", "project")
def cameras_swapped(s):
    e = s.episodes[AT]
    front, wrist = e.view("front"), e.view("wrist")
    s.show(e, "front", wrist)
    s.show(e, "wrist", front)


@defect("a camera is upside down in one episode", "project")
def camera_turned(s):
    change(s, lambda v: v[:, ::-1, ::-1])


@defect("a camera's picture is mirrored in one episode", "project")
def camera_mirrored(s):
    change(s, lambda v: v[:, :, ::-1])


@defect("a camera's brightness changes at once in the middle of an episode", "project; kalanos (exposure shift)")
def camera_exposure(s):
    def brighter(v):
        return np.concatenate([v[:80], np.clip(v[80:].astype(np.int32) + 60, 0, 255).astype(np.uint8)])

    change(s, brighter)


@defect("a camera has red and blue exchanged in one episode", "project")
def camera_bgr(s):
    change(s, lambda v: v[..., ::-1])


@defect("a camera of 15 Hz: each picture is there twice", "project")
def camera_slow(s):
    for i in range(len(s.episodes)):
        change(s, lambda v: v[np.arange(len(v)) // 2 * 2], number=i)


@defect("a camera shows the same picture in all episodes", "project")
def camera_static(s):
    still = s.episodes[0].view("front")[0]
    noise = np.random.default_rng(3)
    for i in range(len(s.episodes)):
        change(s, lambda v: np.clip(still + noise.normal(0, 1, v.shape), 0, 255).astype(np.uint8), number=i)


@defect("the camera jumps to another scene within an episode", "kalanos (cut)")
def camera_cut(s):
    other = s.episodes[2].view("wrist")
    change(s, lambda v: np.concatenate([v[:80], other[: len(v) - 80]]))


@defect("a camera lost 20 frames within an episode, and shows the last one longer at its end", "kalanos (dropped chunk)")
def camera_lost_frames(s):
    change(s, lambda v: np.concatenate([v[:70], v[90:], np.repeat(v[-1:], 20, 0)]))


@defect("one episode's pictures come 12 rows late", "kalanos (video offset); project")
def camera_late(s):
    for c in CAMERAS:
        change(s, lambda v: v[np.clip(np.arange(len(v)) - 12, 0, None)], camera=c)


@defect("every episode's pictures come 12 rows late", "kalanos (video offset); project")
def cameras_late(s):
    for i in range(len(s.episodes)):
        for c in CAMERAS:
            change(s, lambda v: v[np.clip(np.arange(len(v)) - 12, 0, None)], camera=c, number=i)


# ---- capture ----


@defect("10 rows were not recorded; time goes on", "project; lerobot-doctor (temporal); lerobot-lint (FRAME_DROPS)")
def rows_lost(s):
    e = of(s)
    views = {c: e.view(c) for c in CAMERAS}
    order = np.r_[0:70, 80 : len(e)]
    e.keep(order)
    e.rows["timestamp"] = (order / FPS).astype(np.float32)
    for c, v in views.items():
        s.show(e, c, v[order])
