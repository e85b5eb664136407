# SPDX-License-Identifier: Apache-2.0
"""track.py RUN FOLDER: libtact.track with stand-ins for the services. RUN: the folder of a run with
--wandb.enable=true --wandb.notes=mine, which is over; FOLDER: an empty one."""
import fcntl
import json
import os
import shutil
import sys
import threading
import time
import types
from pathlib import Path

from libtact import track
from libtact._track_services import TrackError

real, folder = Path(sys.argv[1]), Path(sys.argv[2])
NAMES = "step,timestamp,loss,lr,eval_loss,pc_success\n"
ROWS = ["1,2026-11-29T17:00:00+00:00,9.5,1e-05,,\n", "2,2026-11-29T17:00:01+00:00,8.5,1e-05,,\n",
        "2,2026-11-29T17:00:02+00:00,,,7.5,\n", "2,2026-11-29T17:00:03+00:00,,,,40\n", "3,2026-11-29T17:00:04+00:00,8,1e-05,,\n"]


class Session:
    def __init__(self, settings):
        self.settings, self.id, self.logged, self.artifacts, self.ended = settings, settings.get("id"), [], [], False

    def log(self, figures, step):
        if trouble:
            raise trouble.pop()
        self.logged.append((step, figures))

    def log_artifact(self, artifact):
        self.artifacts.append(artifact)

    def finish(self):
        self.ended = True


class Artifact:
    def __init__(self, name, type):
        self.name, self.type, self.folder = name, type, None

    def add_dir(self, path):
        self.folder = path


sessions, trouble = [], []


def start(**settings):
    sessions.append(Session(settings))
    return sessions[-1]


def video(path, format):
    return f"{format} {Path(path).parent.name}/{Path(path).name}"


def stand_in(name, **members):
    sys.modules[name] = types.ModuleType(name)
    vars(sys.modules[name]).update(members)


def new_run(name, rows=ROWS, steps=3, **wandb):
    run = folder / name
    run.mkdir()
    config = {"policy": {"type": "act"}, "seed": 7, "dataset": {"repo_id": "me/ds"}, "steps": steps, "job_name": "pick",
              "wandb": {"enable": True, "project": "berries", **wandb}}
    (run / "track.json").write_text(json.dumps({"version": 1, "train_config": config, "tact": {"horizon": 2}}))
    write(run, rows)
    return run


def write(run, rows, names=NAMES):
    (run / "metrics.csv").write_text(names + "".join(rows))


def send(run, to="wandb", **options):
    """What one call sends: steps with their figures."""
    before = len(sessions)
    track.track(run, to, interval=0.01, **options)
    assert all(s.ended for s in sessions)
    return [entry for s in sessions[before:] for entry in s.logged]


def refused(part, *arguments, **options):
    try:
        send(*arguments, **options)
    except TrackError as e:
        assert part in str(e) and "\n" not in str(e), e
        return
    raise AssertionError(f"not refused: {part}")


def everything_of_a_real_run():
    wanted = {}
    for line in map(json.loads, (real / "metrics.jsonl").read_text().splitlines()):
        group = "train" if "loss" in line else "eval"
        wanted.setdefault(line["step"], {}).update({f"{group}/{k}": v for k, v in line.items() if k != "step"})
    sent = send(real)
    assert [step for step, _ in sent] == list(wanted)
    for step, figures in sent:
        assert 1.7e9 < figures.pop("_timestamp") < 1e10
        assert figures == wanted[step], (figures, wanted[step])
    settings = sessions[-1].settings
    assert settings["notes"] == "mine" and settings["project"] == "lerobot", settings
    assert settings["config"]["batch_size"] == 2 and settings["config"]["tact"]["obs_state_horizon"] == 2
    assert settings["config"]["tact"]["train"]["tensorboard"] is True
    names = sorted(p.name for p in (real / "checkpoints").iterdir() if p.name.isdigit())
    assert [a.name[-6:] for a in sessions[-1].artifacts] == names and sessions[-1].artifacts[0].type == "model"
    assert Path(sessions[-1].artifacts[0].folder, "model.safetensors").is_file()
    assert send(real) == [] and len(sessions) == 1  # not even asked
    (real / "track.json").unlink()  # a run without --wandb.enable has its settings from a checkpoint
    shutil.move(real / "track_state.json", folder)
    assert len(send(real, checkpoints=False)) == len(wanted) and not sessions[-1].artifacts
    assert sessions[-1].settings["config"] == settings["config"]


def settings_of_wandb():
    run = new_run("settings", entity="us", run_id="abc", mode="offline", add_tags=False, disable_artifact=True)
    (run / "checkpoints" / "000003" / "pretrained_model").mkdir(parents=True)
    assert len(send(run)) == 3
    settings = sessions[-1].settings
    assert (settings["entity"], settings["id"], settings["mode"], settings["tags"], settings["resume"]) == (
        "us", "abc", "offline", None, None), settings
    assert (settings["project"], settings["name"]) == ("berries", "pick") and not sessions[-1].artifacts
    run = new_run("defaults")
    send(run, project="other")
    settings = sessions[-1].settings
    assert settings["project"] == "other" and settings["resume"] == "allow" and settings["mode"] == "online"
    assert settings["tags"] == ["policy:act", "seed:7", "dataset:me/ds"]
    refused("--wandb.mode=disabled: nothing is sent", new_run("disabled", mode="disabled"))


def a_step_goes_out_whole():
    run = new_run("running", ROWS[:2])
    film = run / "eval" / "videos_step_000002"
    film.mkdir(parents=True)
    for name in ("episode_100001.mp4", "episode_100000.mp4"):
        (film / name).touch()
    assert not track.is_running(run)
    lock = os.open(run, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)
    assert track.is_running(run)
    assert [step for step, _ in send(run)] == [1]  # the evaluation of step 2 may still come
    write(run, ROWS[:4] + [ROWS[4][:20]])
    assert send(run) == []
    os.close(lock)
    (step, figures), = send(run)
    assert step == 2 and figures == {"train/loss": 8.5, "train/lr": 1e-5, "eval/eval_loss": 7.5, "eval/pc_success": 40,
                                     "eval/video": "mp4 videos_step_000002/episode_100000.mp4",
                                     "_timestamp": 1795971601.0}, figures
    write(run, ROWS)
    assert [step for step, _ in send(run, follow=True)] == [3]


def what_follows_a_run_ends_with_it():
    run = new_run("followed", ROWS[:1])
    lock = os.open(run, os.O_RDONLY)
    fcntl.flock(lock, fcntl.LOCK_EX)

    before = len(sessions)

    def training():
        write(run, ROWS[:3])
        for _ in range(1000):
            if len(sessions) > before and sessions[-1].logged:
                break
            time.sleep(0.01)
        write(run, ROWS)
        os.close(lock)

    thread = threading.Thread(target=training, daemon=True)
    thread.start()
    assert [step for step, _ in send(run, follow=True)] == [1, 2, 3]
    thread.join()
    assert len(sessions) == before + 1


def a_continued_run_is_not_sent_twice():
    run = new_run("continued")
    send(run)
    write(run, ROWS[:1])  # an earlier checkpoint, and further
    assert send(run) == []
    write(run, ROWS + ["3,2026-11-29T17:00:09+00:00,,,6.5,\n", "4,2026-11-29T17:00:09+00:00,7,1e-05,,\n"])
    sent = [(step, sorted(f)) for step, f in send(run)]
    assert sent == [(3, ["_timestamp", "eval/eval_loss"]), (4, ["_timestamp", "train/loss", "train/lr"])], sent
    # A stop that left an evaluation to the run that goes on.
    state = run / "checkpoints" / "last" / "training_state"
    state.mkdir(parents=True)
    (state / "tact_state.json").write_text('{"step": 5, "eval_due": true}')
    write(run, ["5,2026-11-29T17:00:09+00:00,7,1e-05,,\n"])
    assert send(run, checkpoints=False) == []
    write(run, ["5,2026-11-29T17:00:09+00:00,7,1e-05,,\n", "5,2026-11-29T17:00:09+00:00,,,6,\n"])
    assert len(send(run, checkpoints=False)) == 1
    assert len({s.id for s in sessions[-3:]}) == 1  # always the same run there


def what_fails_is_sent_later():
    run = new_run("failing")
    trouble.append(OSError("the network is\nnot there"))
    refused("wandb: OSError: the network is", run)
    assert [step for step, _ in send(run)] == [1, 2, 3]
    (folder / "bare").mkdir()
    refused("no track.json", folder / "bare")
    run = new_run("empty")
    (run / "metrics.csv").unlink()
    refused("metrics.csv: No such file", run)
    run = new_run("strange", ["x,y\n"])
    refused("a row that tact did not write", run)
    run = new_run("sent")
    with open(run / ".track.lock", "w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused("another process sends this run", run)
    module = sys.modules.pop("wandb")
    sys.modules["wandb"] = None  # which no import finds
    refused("wandb cannot be imported", run)
    sys.modules["wandb"] = module


class Client:
    runs, calls = {}, []

    def get_experiment_by_name(self, name):
        self.calls.append(name)

    def create_experiment(self, name):
        return "7"

    def create_run(self, experiment, run_name, tags):
        self.calls.append((experiment, run_name, tags))
        return types.SimpleNamespace(info=types.SimpleNamespace(run_id="r1"))

    def log_batch(self, run, params=(), metrics=()):
        assert run == "r1" and len(params) <= 100 and all(0 < len(v) <= 500 for _, v in params)
        self.runs.setdefault("params", []).extend(params)
        self.runs.setdefault("metrics", []).extend(metrics)

    def log_artifacts(self, run, path, name):
        self.calls.append(name)

    def update_run(self, run, status):
        self.calls.append(status)

    def set_terminated(self, run, status, when):
        self.calls.append(status)


def mlflow():
    stand_in("mlflow", MlflowClient=Client)
    stand_in("mlflow.entities", Param=lambda *a: a, Metric=lambda *a: a)
    run = new_run("flow", ROWS[:2], notes="n" * 3)
    track.track(run, "mlflow")
    assert Client.calls == ["berries", ("7", "pick", {"policy": "act", "seed": "7", "dataset": "me/ds",
                                                     "mlflow.note.content": "nnn"}), "KILLED"], Client.calls
    assert ("policy.type", "act") in Client.runs["params"] and ("tact.horizon", "2") in Client.runs["params"]
    assert Client.runs["metrics"][0] == ("train/loss", 9.5, 1795971600000, 1), Client.runs["metrics"]
    write(run, ROWS)
    (run / "checkpoints" / "000003" / "pretrained_model").mkdir(parents=True)
    track.track(run, "mlflow", checkpoints=True)
    assert Client.calls[3:] == ["RUNNING", "checkpoints/000003", "FINISHED"], Client.calls
    assert [m[3] for m in Client.runs["metrics"] if m[0] == "train/loss"] == [1, 2, 3]


def trackio():
    stand_in("trackio", init=start, Video=video)
    run = new_run("io", ROWS[:2])
    assert [step for step, _ in send(run, "trackio")] == [1, 2]
    write(run, ROWS)
    assert [step for step, _ in send(run, "trackio")] == [2, 3]
    one, two = sessions[-2].settings, sessions[-1].settings
    assert one["name"] == two["name"] and one["name"].startswith("pick-") and one["resume"] == "allow"
    assert len(send(run)) == 3  # of another service nothing was sent yet


stand_in("wandb", init=start, Video=video, Artifact=Artifact)
everything_of_a_real_run()
assert "mlflow" not in sys.modules and "trackio" not in sys.modules
settings_of_wandb()
a_step_goes_out_whole()
what_follows_a_run_ends_with_it()
a_continued_run_is_not_sent_twice()
what_fails_is_sent_later()
mlflow()
trackio()
