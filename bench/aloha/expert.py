# SPDX-License-Identifier: Apache-2.0
"""A scripted expert for gym-aloha's two tasks: way points of the two grippers, reached by the arms' joints.

The package has a simulation in which grippers are dragged to the poses they are told. It turns the arms' waists so slowly
that a gripper is up to 40 degrees off on its way, and a third of such demonstrations drop the cube. So poses become joint
angles here, by inverse kinematics, and what the motors lack against friction is added up and told them as well.
"""
import os

os.environ.setdefault("MUJOCO_GL", "egl")  # before dm_control looks
import mujoco
import numpy as np
from dm_control import mujoco as dm_mujoco
from dm_control.rl import control
from gym_aloha.constants import ASSETS_DIR, DT, START_ARM_POSE
from gym_aloha.tasks import sim
from gym_aloha.utils import sample_box_pose, sample_insertion_pose
from scipy.spatial.transform import Rotation, Slerp

STEPS = 400
# Where a gripper holds things: metres ahead of the body that the model calls gripper_link, along that body's x axis.
GRASP = 0.13
SIDES = ("left", "right")
TASKS = {"transfer_cube": sim.TransferCubeTask, "insertion": sim.InsertionTask}


def object_poses(task, seed):
    """The objects' poses that gym-aloha draws for this seed: position and quaternion of each, 7 numbers."""
    return sample_box_pose(seed) if task == "transfer_cube" else np.concatenate(sample_insertion_pose(seed))


def draw_coarser(physics):
    """Without antialiasing, and shadows of a quarter of the resolution."""
    quality = physics.model.ptr.vis.quality
    quality.offsamples, quality.shadowsize = 0, 1024


class Simulation:
    """gym-aloha's simulation of a task with the objects of a seed. Draws a camera only where it is asked for:
    the package's own environment draws three at every step. quick: see draw_coarser."""

    def __init__(self, task, quick=False):
        class Undrawn(TASKS[task]):
            def get_observation(self, physics):
                return {}

        self.task_name = task
        self.task = Undrawn()
        self.physics = dm_mujoco.Physics.from_xml_path(str(ASSETS_DIR / f"bimanual_viperx_{task}.xml"))
        if quick:
            draw_coarser(self.physics)
        self._env = control.Environment(self.physics, self.task, float("inf"), control_timestep=DT, n_sub_steps=None,
                                        flat_observation=False)

    def reset(self, seed):
        sim.BOX_POSE[0] = object_poses(self.task_name, seed)
        self._env.reset()

    def state(self):
        """What policies observe beside the picture: 14 numbers, as gym_aloha.constants.JOINTS names them."""
        return self.task.get_qpos(self.physics)

    def picture(self):
        """(480, 640, 3) bytes, what the camera above the table sees."""
        return self.physics.render(height=480, width=640, camera_id="top")

    def step(self, action):
        """The task's reward, 0 to 4, after one action of 14 numbers; 4 is success."""
        return self._env.step(action).reward


class Arms:
    """Inverse kinematics of both arms: damped least squares, each step from the last one's joints."""

    def __init__(self, simulation):
        self.model = simulation.physics.model.ptr
        self.data = mujoco.MjData(self.model)
        self.data.qpos[:16] = START_ARM_POSE
        self.bodies = {s: self.model.body(f"vx300s_{s}/gripper_link").id for s in SIDES}
        self.bases = {s: self.model.body(f"vx300s_{s}").pos.copy() for s in SIDES}
        self.columns = {"left": slice(0, 6), "right": slice(8, 14)}

    def pose(self, side):
        """Position and rotation, in the world, of where a gripper holds things."""
        mujoco.mj_kinematics(self.model, self.data)
        mujoco.mj_comPos(self.model, self.data)
        turn = Rotation.from_matrix(self.data.xmat[self.bodies[side]].reshape(3, 3))
        return self.data.xpos[self.bodies[side]] + turn.apply([GRASP, 0, 0]), turn

    def facing(self, side, position):
        """The turn about the vertical from the way an arm looks at rest to that from its base to a position. A gripper
        that turns with it leaves forearm and wrist unrolled. Told to look elsewhere, an arm whose wrist is nearly
        straight rolls both by half a turn, to one side or the other by chance, which no policy could learn."""
        away = (position - self.bases[side])[:2] * (1 if side == "left" else -1)
        return Rotation.from_euler("z", np.arctan2(away[1], away[0]))

    def reach(self, side, position, turn):
        """The six joint angles that bring the gripper there, as far as they can."""
        columns, jacobian = self.columns[side], np.zeros((6, self.model.nv))
        for _ in range(12):
            at, at_turn = self.pose(side)
            error = np.concatenate([position - at, (turn * at_turn.inv()).as_rotvec()])
            if abs(error).max() < 1e-5:
                break
            mujoco.mj_jac(self.model, self.data, jacobian[:3], jacobian[3:], at, self.bodies[side])
            j = jacobian[:, columns]
            self.data.qpos[columns] += j.T @ np.linalg.solve(j @ j.T + 1e-4 * np.eye(6), error)
            limits = self.model.jnt_range[columns]
            self.data.qpos[columns] = np.clip(self.data.qpos[columns], limits[:, 0], limits[:, 1])
        return self.data.qpos[columns].copy()


class Path:
    """The poses of one gripper over time: way points (step, position, rotation, opening), at rest in each."""

    def __init__(self, *points):
        self.steps = [p[0] for p in points]
        self.positions = np.array([p[1] for p in points])
        self.openings = np.array([p[3] for p in points], dtype=float)
        self.turns = Slerp(self.steps, Rotation.concatenate([p[2] for p in points]))

    def at(self, step):
        """Position, rotation and opening at a step."""
        i = int(np.clip(np.searchsorted(self.steps, step, side="right") - 1, 0, len(self.steps) - 2))
        s = np.clip((step - self.steps[i]) / (self.steps[i + 1] - self.steps[i]), 0, 1)
        s = s * s * s * (10 - 15 * s + 6 * s * s)  # least jerk between two points at rest
        return (self.positions[i] + s * (self.positions[i + 1] - self.positions[i]),
                self.turns(self.steps[i] + s * (self.steps[i + 1] - self.steps[i])),
                self.openings[i] + s * (self.openings[i + 1] - self.openings[i]))


def _looking(side, down):
    """A gripper that looks to the other arm and down by so many degrees."""
    return Rotation.from_euler("z", 0 if side == "left" else 180, degrees=True) * Rotation.from_euler("y", down, degrees=True)


def _transfer_paths(starts, poses):
    """Right takes the cube from the table and holds it out; left, turned by a quarter, takes it over."""
    cube, meet = np.array([*poses[:2], 0.02]), np.array([0.0, 0.5, 0.22])
    (left, left_turn), (right, right_turn) = starts["left"], starts["right"]
    down = _looking("right", 50)
    across = Rotation.from_euler("x", 90, degrees=True)
    away, take = np.array([0.12, 0, 0]), meet - [0.005, 0, 0]
    return {"left": Path((0, left, left_turn, 0), (90, left, left_turn, 1), (190, meet - away, across, 1),
                         (220, meet - away, across, 1), (270, take, across, 1), (300, take, across, 0),
                         (330, take, across, 0), (380, meet - away, across, 0), (STEPS, meet - away, across, 0)),
            "right": Path((0, right, right_turn, 0), (80, cube + [0, 0, 0.1], down, 1), (120, cube, down, 1),
                          (155, cube, down, 0), (215, meet, down, 0), (300, meet, down, 0), (330, meet, down, 1),
                          (380, meet + away, down, 1), (STEPS, meet + away, down, 1))}


def _insertion_paths(starts, poses):
    """Left takes the socket, right the peg; both are held out on one line and pushed together. The peg hangs a little
    lower in its gripper than the socket does, which was measured."""
    meet, paths = np.array([0.0, 0.5, 0.16]), {}
    for side, thing, height, down, lift, sign in (("left", poses[7:9], 0.022, 80, 0, -1), ("right", poses[:2], 0.02, 25, 0.008, 1)):
        start, turn = starts[side]
        look, grip = _looking(side, down), np.array([*thing, height])
        apart, together = meet + [sign * 0.11, 0, lift], meet + [sign * 0.04, 0, lift]
        # Left looks down where it stands: on its way the wrist would pass straight, and forearm and wrist roll half a turn.
        begin = [(0, start, turn, 0), (40, start, look, 1)] if side == "left" else [(0, start, turn, 0)]
        paths[side] = Path(*begin, (90, grip + [0, 0, 0.1], look, 1), (130, grip, look, 1), (170, grip, look, 0),
                           (180, grip, look, 0), (250, apart, look, 0), (280, apart, look, 0), (360, together, look, 0),
                           (STEPS, together, look, 0))
    return paths


class Demonstration:
    """One episode, step by step: `action()` gives the next action, to be given to the simulation."""

    def __init__(self, simulation, seed):
        simulation.reset(seed)
        self.simulation, self.arms, self.step = simulation, Arms(simulation), 0
        starts = {side: self.arms.pose(side) for side in SIDES}
        make = _transfer_paths if simulation.task_name == "transfer_cube" else _insertion_paths
        self.paths = make(starts, object_poses(simulation.task_name, seed))
        self.lacking = {side: np.zeros(6) for side in SIDES}

    def action(self):
        self.step += 1
        told = []
        for side in SIDES:
            position, turn, opening = self.paths[side].at(self.step)
            if self.simulation.task_name == "transfer_cube":
                turn = self.arms.facing(side, position) * turn
            joints = self.arms.reach(side, position, turn)
            lack = joints - self.simulation.physics.data.qpos[self.arms.columns[side]]
            self.lacking[side] = np.clip(self.lacking[side] + 0.1 * lack, -0.15, 0.15)
            told += [*(joints + self.lacking[side]), opening]
        return np.array(told)
