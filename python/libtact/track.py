# SPDX-License-Identifier: Apache-2.0
"""Sends a run of `tact train` to Weights & Biases, MLflow or trackio, along with it or afterwards.

    python -m libtact.track OUTPUT_DIR                      # what is there, to Weights & Biases
    python -m libtact.track OUTPUT_DIR --follow             # goes on until the training ends
    python -m libtact.track OUTPUT_DIR --to=mlflow          # where MLFLOW_TRACKING_URI says
    python -m libtact.track OUTPUT_DIR --to=trackio         # on this machine

Settings, every figure of metrics.csv at its step (train/loss, eval/pc_success, ... as LeRobot names them), the first
video of each evaluation in a simulation, and checkpoints. What was sent stands in OUTPUT_DIR/track_state.json: called
again, it goes on from there, in the same run of the service, also after the training was stopped and continued. Nothing
is sent twice. The settings --wandb.project, entity, notes, run_id, mode, add_tags and disable_artifact of `tact train`
hold here. The package of the service (wandb, mlflow or trackio) has to be installed; no other is imported.
"""
from __future__ import annotations

import argparse
import csv
import fcntl
import io
import json
import os
import secrets
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime
from pathlib import Path
from typing import IO, Any

from ._track_services import SERVICES, Service, TrackError

_STATE = "track_state.json"


@contextmanager
def _calls(service: str) -> Iterator[None]:
    """What a service's package raises becomes one line."""
    try:
        yield
    except (TrackError, FileNotFoundError):
        raise
    except Exception as e:
        text = str(e).strip().partition("\n")[0]
        raise TrackError(f"{service}: {type(e).__name__}: {text}") from e


@dataclass
class Step:
    """What is known of a training step: train/NAME and eval/NAME."""
    number: int
    seconds: float  # since 1970, of its first row
    figures: dict[str, float] = field(default_factory=dict)


def read_steps(folder: Path) -> list[Step]:
    """The steps of metrics.csv, without a row that is only half there."""
    try:
        text = (folder / "metrics.csv").read_text(encoding="utf-8")
    except OSError as e:
        raise TrackError(f"{folder}/metrics.csv: {e.strerror}; is this the output_dir of a run?") from None
    steps: list[Step] = []
    for row in csv.DictReader(io.StringIO(text[:text.rfind("\n") + 1])):
        try:
            number, seconds = int(row["step"]), datetime.fromisoformat(row["timestamp"]).timestamp()
            group = "train" if row["loss"] else "eval"
            figures = {f"{group}/{name}": float(value) for name, value in row.items()
                       if value and name not in ("step", "timestamp")}
        except (KeyError, TypeError, ValueError):
            raise TrackError(f"{folder}/metrics.csv: a row that tact did not write: {row}") from None
        if not steps or steps[-1].number != number:
            steps.append(Step(number, seconds))
        steps[-1].figures.update(figures)
    return steps


def _read_json(path: Path) -> Any:
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as e:
        raise TrackError(f"{path}: {e}") from None


def read_settings(folder: Path) -> dict[str, Any]:
    """What the run was started with: LeRobot's train_config.json, and tact's own settings under "tact"."""
    track = _read_json(folder / "track.json")
    if track:
        return {**track["train_config"], "tact": track["tact"]}
    model = folder / "checkpoints" / "last" / "pretrained_model"
    config = _read_json(model / "train_config.json")
    if config is None:
        raise TrackError(f"{folder}: no track.json (--wandb.enable=true writes it) and no checkpoint yet, so the run's "
                         "settings are not known")
    return {**config, "tact": _read_json(model / "tact.json") or {}}


def is_running(folder: Path) -> bool:
    """Whether a process of this machine trains in the folder: it holds a lock on it, which is looked up, not asked
    for, so that no training can find it taken."""
    inode = str(folder.stat().st_ino)
    try:
        locks = Path("/proc/locks").read_text(encoding="ascii")
    except OSError:
        return False
    return any(words[1] == "FLOCK" and words[3] == "WRITE" and words[5].rpartition(":")[2] == inode
               for words in map(str.split, locks.splitlines()) if len(words) > 5)


class State:
    """What was sent to one service, on the disk before it goes out."""

    def __init__(self, folder: Path, service: str) -> None:
        self.path, self.service = folder / _STATE, service
        self.all: dict[str, Any] = _read_json(self.path) or {}
        mine = self.all.setdefault(service, {})
        self.run: str | None = mine.get("run")
        self.step: int = mine.get("step", -1)
        self.figures: list[str] = mine.get("figures", [])
        self.checkpoints: list[str] = mine.get("checkpoints", [])

    def save(self) -> None:
        self.all[self.service] = {"run": self.run, "step": self.step, "figures": self.figures,
                                  "checkpoints": self.checkpoints}
        temporary = self.path.with_name(f"{_STATE}.tmp.{os.getpid()}")
        with open(temporary, "w", encoding="utf-8") as out:
            json.dump(self.all, out, indent=4)
            out.flush()
            os.fsync(out.fileno())
        os.replace(temporary, self.path)

    def unsent(self, steps: list[Step]) -> Iterator[Step]:
        for step in steps:
            if step.number > self.step:
                yield step
            elif step.number == self.step and (rest := {n: v for n, v in step.figures.items() if n not in self.figures}):
                yield Step(step.number, step.seconds, rest)


class Sender:
    """Sends what is new of a run. The service is opened when there is something for it."""

    def __init__(self, folder: Path, state: State, service: Callable[[], Service], videos: bool,
                 checkpoints: bool) -> None:
        self.folder, self.state, self._new_service = folder, state, service
        self.videos, self.checkpoints = videos, checkpoints
        self._opened: Service | None = None

    @property
    def service(self) -> Service:
        if self._opened is None:
            with _calls(self.state.service):
                self._opened = self._new_service()
            self.state.run = self._opened.run
            self.state.save()
        return self._opened

    def close(self, status: str) -> None:
        if self._opened:
            with _calls(self.state.service):
                self._opened.close(status)

    def send(self, running: bool) -> int:
        """Returns how many steps and checkpoints went out. Of a run that goes on the last step is kept back, for its
        evaluations may still come, and a service may take a step once only."""
        steps, sent = read_steps(self.folder), 0
        if steps and (running or self._evaluation_due(steps[-1])):
            steps.pop()
        for step in list(self.state.unsent(steps)):
            self._send_step(self.service, step)
            sent += 1
        for checkpoint in self._new_checkpoints() if self.checkpoints else []:
            service = self.service
            self.state.checkpoints.append(checkpoint.name)
            self.state.save()
            try:
                with _calls(self.state.service):
                    service.checkpoint(checkpoint)
            except FileNotFoundError:
                continue  # --keep_last removed it meanwhile
            except BaseException:
                self.state.checkpoints.pop()
                self.state.save()
                raise
            sent += 1
        return sent

    def _send_step(self, service: Service, step: Step) -> None:
        before = self.state.step, self.state.figures
        new = list(step.figures)
        self.state.figures = self.state.figures + new if step.number == self.state.step else new
        self.state.step = step.number
        self.state.save()
        try:
            with _calls(self.state.service):
                service.log(step.number, step.seconds, step.figures, self._videos_of(step))
        except BaseException:
            self.state.step, self.state.figures = before
            self.state.save()
            raise

    def _evaluation_due(self, last: Step) -> bool:
        """Whether a stop came before the evaluations of the last step, which the run will make up for when it goes on;
        its checkpoint says so even afterwards."""
        if any(name.startswith("eval/") for name in last.figures):
            return False
        state = _read_json(self.folder / "checkpoints" / "last" / "training_state" / "tact_state.json") or {}
        return bool(state.get("eval_due")) and state.get("step", last.number) == last.number

    def _videos_of(self, step: Step) -> dict[str, Path]:
        """The first video of the evaluations at a step."""
        found = {}
        for figure, suffix, name in (("eval/pc_success", "", "eval/video"), ("eval/ema_pc_success", "_ema", "eval/ema_video")):
            if not self.videos or figure not in step.figures:
                continue
            for folder in (self.folder / "eval").glob(f"videos_step_*{suffix}"):
                number = folder.name.removeprefix("videos_step_").removesuffix(suffix)
                films = sorted(folder.glob("episode_*.mp4"))
                if number.isdigit() and int(number) == step.number and films:
                    found[name] = films[0]
        return found

    def _new_checkpoints(self) -> list[Path]:
        every = sorted(p for p in (self.folder / "checkpoints").glob("*") if p.name.isdigit())
        return [p for p in every if p.name not in self.state.checkpoints]


def _lock(folder: Path) -> IO[str]:
    """One process at a time sends a run; the lock lasts as long as the file is open."""
    lock = open(folder / ".track.lock", "w", encoding="ascii")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        raise TrackError(f"{folder}: another process sends this run") from None
    return lock


def track(folder: Path, to: str, *, follow: bool = False, videos: bool = True, checkpoints: bool | None = None,
          project: str | None = None, interval: float = 5.0) -> int:
    """Sends what is new of the run in `folder`, with follow until the training ends. checkpoints: whether they are
    sent too; None: as --wandb.disable_artifact says for Weights & Biases, else not. Returns how many steps and
    checkpoints were sent. Raises TrackError, and what the service raises."""
    if follow and not (folder / "metrics.csv").exists():
        print(f"waiting for {folder}/metrics.csv", flush=True)
        while not (folder / "metrics.csv").exists():
            time.sleep(interval)
    settings = read_settings(folder)
    wandb: Mapping[str, Any] = settings.get("wandb") or {}
    if to == "wandb" and wandb.get("mode") == "disabled":
        raise TrackError("the run was started with --wandb.mode=disabled: nothing is sent")
    if checkpoints is None:
        checkpoints = to == "wandb" and not wandb.get("disable_artifact", False)
    total = 0
    with _lock(folder):
        state = State(folder, to)
        begun = state.run is not None
        run = state.run or (wandb.get("run_id") if to == "wandb" else None) or secrets.token_hex(4)

        def service() -> Service:
            return SERVICES[to](folder, settings, run, begun, project or wandb.get("project") or "lerobot")

        sender = Sender(folder, state, service, videos, checkpoints)
        running = False
        try:
            while True:
                running = is_running(folder)
                sent = sender.send(running)
                total += sent
                if not follow or (not running and not sent):
                    break
                time.sleep(interval if running else 0)
        finally:
            ended = not running and state.step >= int(settings.get("steps", 0))
            sender.close("running" if running else "finished" if ended else "stopped")
    print(f"{folder}: {total} steps and checkpoints sent to {to}"
          f"{f'; run {state.run} is there up to step {state.step}' if state.run else ''}")
    if running and not follow:
        print("The training goes on; call again for the rest, or with --follow")
    return total


def main(arguments: list[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m libtact.track", description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("output_dir", type=Path, help="the run's folder")
    parser.add_argument("--to", choices=sorted(SERVICES), default="wandb", help="where it goes (wandb)")
    parser.add_argument("--follow", action="store_true", help="go on until the training ends")
    parser.add_argument("--project", help="project or experiment; else --wandb.project of the training, lerobot")
    parser.add_argument("--videos", choices=("true", "false"), default="true", help="videos of evaluations (true)")
    parser.add_argument("--checkpoints", choices=("true", "false"),
                        help="send checkpoints (wandb: unless --wandb.disable_artifact=true; others: false)")
    given = parser.parse_args(arguments)
    try:
        track(given.output_dir, given.to, follow=given.follow, videos=given.videos == "true", project=given.project,
              checkpoints=None if given.checkpoints is None else given.checkpoints == "true")
    except TrackError as e:
        sys.exit(f"libtact.track: {e}")
    except KeyboardInterrupt:
        sys.exit(130)


if __name__ == "__main__":
    main()
