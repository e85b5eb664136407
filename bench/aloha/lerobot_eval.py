# SPDX-License-Identifier: Apache-2.0
"""lerobot-eval, with less drawn: gym-aloha draws three cameras of 480 x 640 at every step, of which observations have one.

    python lerobot_eval.py --quick --policy.path=DIR --env.type=aloha --env.task=AlohaTransferCube-v0 \
        --eval.n_episodes=20 --eval.batch_size=1 --eval.use_async_envs=false --seed=1000 ...

All flags but --quick are lerobot-eval's. --quick: coarser pictures, as in record.py.
"""
import sys

import expert
from gym_aloha import env
from gym_aloha.tasks import sim


def observe_top(task, physics):
    return {"qpos": task.get_qpos(physics), "images": {"top": physics.render(height=480, width=640, camera_id="top")}}


def main():
    sim.BimanualViperXTask.get_observation = observe_top
    if "--quick" in sys.argv:
        sys.argv.remove("--quick")
        make = env.AlohaEnv._make_env_task

        def make_coarser(self, name):
            made = make(self, name)
            expert.draw_coarser(made.physics)
            return made

        env.AlohaEnv._make_env_task = make_coarser
    from lerobot.scripts.lerobot_eval import main as lerobot_eval

    lerobot_eval()


if __name__ == "__main__":
    main()
