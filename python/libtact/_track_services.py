# SPDX-License-Identifier: Apache-2.0
"""The services that libtact.track sends to, each behind the same four calls."""
from __future__ import annotations

import importlib
import json
import os
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Protocol


class TrackError(Exception):
    """One line that says what is wrong and what to do."""


class Service(Protocol):
    """A run there."""
    run: str  # its name there, by which it is found again

    def __init__(self, folder: Path, settings: Mapping[str, Any], run: str, begun: bool, project: str) -> None:
        """run: the name it shall have; begun: it was begun before under that name."""

    def log(self, step: int, seconds: float, figures: Mapping[str, float], videos: Mapping[str, Path]) -> None: ...

    def checkpoint(self, folder: Path) -> None: ...

    def close(self, status: str) -> None:
        """status: running, stopped or finished, of the training."""


def _package(name: str) -> Any:
    try:
        return importlib.import_module(name)
    except ImportError as e:
        raise TrackError(f"{name} cannot be imported ({e}): pip install {name}") from None


def _tags(settings: Mapping[str, Any]) -> list[str]:
    """As LeRobot tags its runs."""
    tact = settings.get("tact") or {}
    env = ((tact.get("train") or {}).get("env") or {}).get("type")
    tags = [f"policy:{settings['policy']['type']}", f"seed:{settings.get('seed')}",
            f"dataset:{(settings.get('dataset') or {}).get('repo_id')}"]
    return tags + ([f"env:{env}"] if env else [])


class Wandb:
    """Steps of Weights & Biases are training steps, so its curves lie over those of LeRobot's runs."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], run: str, begun: bool, project: str) -> None:
        given: Mapping[str, Any] = settings.get("wandb") or {}
        self.wandb = _package("wandb")
        self.tags = _tags(settings)
        mode = given.get("mode") or os.environ.get("WANDB_MODE") or "online"
        # Offline every call leaves a folder of its own with the same id, which `wandb sync` puts together.
        self.session = self.wandb.init(
            project=project, entity=given.get("entity"), name=settings.get("job_name"), notes=given.get("notes"),
            id=run, mode=mode, dir=str(folder), config=dict(settings), allow_val_change=True, job_type="train_eval",
            tags=[t[:64] for t in self.tags] if given.get("add_tags", True) else None,
            resume=None if mode != "online" else "allow", save_code=False)
        self.run: str = self.session.id

    def log(self, step: int, seconds: float, figures: Mapping[str, float], videos: Mapping[str, Path]) -> None:
        films = {name: self.wandb.Video(str(path), format="mp4") for name, path in videos.items()}
        self.session.log({**figures, **films, "_timestamp": seconds}, step=step)

    def checkpoint(self, folder: Path) -> None:
        name = "-".join([*self.tags, folder.name]).replace(":", "_").replace("/", "_")
        artifact = self.wandb.Artifact(name, type="model")
        artifact.add_dir(str(folder / "pretrained_model"))
        self.session.log_artifact(artifact)

    def close(self, status: str) -> None:
        self.session.finish()


def _flat(settings: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, str]]:
    for name, value in settings.items():
        if isinstance(value, Mapping) and value:
            yield from _flat(value, f"{prefix}{name}.")
        else:
            yield prefix + name, value if isinstance(value, str) else json.dumps(value)


class Mlflow:
    MOST = 100  # parameters in one call

    def __init__(self, folder: Path, settings: Mapping[str, Any], run: str, begun: bool, project: str) -> None:
        mlflow = _package("mlflow")
        self.entities = _package("mlflow.entities")
        self.client = mlflow.MlflowClient()
        self.run = run
        if begun:
            self.client.update_run(run, status="RUNNING")
            return
        experiment = self.client.get_experiment_by_name(project)
        given: Mapping[str, Any] = settings.get("wandb") or {}
        tags = dict(tag.split(":", 1) for tag in _tags(settings))
        if given.get("notes"):
            tags["mlflow.note.content"] = given["notes"]
        self.run = self.client.create_run(
            experiment.experiment_id if experiment else self.client.create_experiment(project),
            run_name=settings.get("job_name"), tags=tags).info.run_id
        # Values have to be short there, and not empty.
        every = [self.entities.Param(name, value[:500] or '""') for name, value in _flat(settings)]
        for at in range(0, len(every), self.MOST):
            self.client.log_batch(self.run, params=every[at:at + self.MOST])

    def log(self, step: int, seconds: float, figures: Mapping[str, float], videos: Mapping[str, Path]) -> None:
        self.client.log_batch(self.run, metrics=[self.entities.Metric(name, value, int(seconds * 1000), step)
                                                 for name, value in figures.items()])
        for name, path in videos.items():
            self.client.log_artifact(self.run, str(path), f"{name}_step_{step:06d}")

    def checkpoint(self, folder: Path) -> None:
        self.client.log_artifacts(self.run, str(folder / "pretrained_model"), f"checkpoints/{folder.name}")

    def close(self, status: str) -> None:
        if status != "running":
            self.client.set_terminated(self.run, {"finished": "FINISHED", "stopped": "KILLED"}[status],
                                       int(time.time() * 1000))


class Trackio:
    """Runs there go by their names, so the name has the run's id behind it."""

    def __init__(self, folder: Path, settings: Mapping[str, Any], run: str, begun: bool, project: str) -> None:
        self.trackio = _package("trackio")
        self.run = run if begun else f"{settings.get('job_name') or 'run'}-{run}"
        self.session = self.trackio.init(project=project, name=self.run, config=dict(settings), embed=False,
                                         resume="allow")

    def log(self, step: int, seconds: float, figures: Mapping[str, float], videos: Mapping[str, Path]) -> None:
        films = {name: self.trackio.Video(str(path), format="mp4") for name, path in videos.items()}
        self.session.log({**figures, **films}, step=step)

    def checkpoint(self, folder: Path) -> None:
        raise TrackError("--checkpoints=true: trackio gets no checkpoints from here; leave it out")

    def close(self, status: str) -> None:
        self.session.finish()


SERVICES: dict[str, type[Service]] = {"wandb": Wandb, "mlflow": Mlflow, "trackio": Trackio}
