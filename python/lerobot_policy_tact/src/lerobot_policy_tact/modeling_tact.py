# SPDX-License-Identifier: Apache-2.0
"""The policy: history, relative poses, network, action queue.

A batch comes as LeRobot's preprocessor leaves it: images scaled and normalised, vectors normalised, unless
poses are relative. Then observation.state and action are the robot's own absolute poses, and so are the
actions that come back: base of a chunk, history and queue belong together and are all cleared by reset(),
which a processor outside of the policy would not see.
"""

from collections import deque
from pathlib import Path

import torch
from lerobot.configs.policies import PreTrainedConfig
from lerobot.policies.pretrained import PreTrainedPolicy
from torch import Tensor, nn

from .configuration_tact import TactConfig
from .images import center_crop, random_crop, resize
from .network import TemporalACT, act_loss
from .poses import RECORDED, absolute_rows, relative_rows, rows_between
from .serving import Frame, Serving, serve
from .statistics import RowNormalizer, Stats, read_stats, write_stats
from .units import Units

STATE, ENV, ACTION = "observation.state", "observation.environment_state", "action"


def fill_in(chunk: Tensor, every: int, arms: int) -> Tensor:
    """chunk (B, S, A), an action every so many frames -> (B, S * every, A), an action a frame: those between
    two are on the way from one to the other, and the last one is held."""
    if every == 1:
        return chunk
    start, end = chunk[:, :, None], torch.cat([chunk[:, 1:], chunk[:, -1:]], 1)[:, :, None]
    share = torch.arange(every, dtype=torch.float64, device=chunk.device) / every
    if arms:
        between = rows_between(start, end, share).to(chunk.dtype)
    else:
        between = start + share.to(chunk.dtype)[:, None] * (end - start)
    return torch.cat([start, between[:, :, 1:]], 2).flatten(1, 2)


class Ensembler:
    """Running average of the chunks that foresaw a step, weight exp(-m i), i = 0 for the oldest."""

    def __init__(self, m: float):
        self.m, self.mean = m, None

    def update(self, chunk: Tensor) -> Tensor:
        """chunk (B, S, A), predicted now -> the action of now (B, A)."""
        last = chunk[:, -1:]
        if self.mean is None:
            self.mean, self.count = chunk, chunk.new_ones(chunk.shape[1], 1)
            self.total = self.count.clone()
        else:
            w = (-self.m * self.count).exp()
            total = self.total + w
            mean = (self.mean * self.total + chunk[:, :-1] * w) / total
            one = w.new_ones(1, 1)
            self.mean = torch.cat([mean, last], 1)
            self.total, self.count = torch.cat([total, one]), torch.cat([self.count + 1, one])
        action = self.mean[:, 0]
        self.mean, self.total, self.count = self.mean[:, 1:], self.total[1:], self.count[1:]
        return action


class TactPolicy(PreTrainedPolicy):
    config_class = TactConfig
    name = "tact"

    def __init__(self, config: TactConfig, dataset_stats: Stats | None = None, stats: Stats | None = None,
                 **unused):
        """stats: of the rows that the network sees, needed where poses are relative (a checkpoint has
        them). dataset_stats, which LeRobot hands over, are of the recorded rows and not used."""
        super().__init__(config)
        config.settle()
        config.validate_features()
        self.cameras = list(config.image_features)
        inputs = config.model_inputs
        # Of the network. Relative poses need the robot's own pose all the same.
        self.state_dim = inputs[STATE].shape[0] if config.robot_state_feature else 0
        self.takes_state = bool(self.state_dim or config.arms)
        self.action_dim = config.model_outputs[ACTION].shape[0]
        env_dim = config.env_state_feature.shape[0] if config.env_state_feature else 0
        self.model = TemporalACT(config, self.state_dim, env_dim, self.action_dim, len(self.cameras))
        if config.temporal_pos_embed != "none":
            self.temporal_pos_embed = nn.Embedding(config.obs_state_horizon, config.dim_model)
            nn.init.zeros_(self.temporal_pos_embed.weight)
        if config.arms:
            self.row_stats = self._row_stats(stats)
            modes = {key: mode.value for key, mode in config.row_normalization.items()}
            if self.state_dim:
                self.state_rows = RowNormalizer(STATE, modes["STATE"], self.row_stats, self.state_dim)
            self.action_rows = RowNormalizer(ACTION, modes["ACTION"], self.row_stats, self.action_dim)
        self._tact: Serving | None = None
        self.reset()

    @staticmethod
    def _row_stats(stats: Stats | None) -> Stats:
        if stats is None:
            raise ValueError("relative poses need statistics of relative rows, which LeRobot's datasets do "
                             "not have: start from a checkpoint that `tact train` made (--policy.path)")
        return {key: stats[key] for key in (STATE, ACTION) if key in stats}

    # ---- loading and saving ---------------------------------------------------------------------

    @classmethod
    def from_pretrained(cls, pretrained_name_or_path, *, config: TactConfig | None = None, **kwargs):
        """As LeRobot's, from a directory. Always strict: a tensor that is missing, left over or of
        another shape is an error, since a robot would move on random weights."""
        directory = Path(pretrained_name_or_path)
        if not directory.is_dir():
            raise FileNotFoundError(f"{directory}: no such directory; download the checkpoint first, "
                                    "with all of its files")
        if config is None:
            # Of the base class: LeRobot 0.4 finds the type there only.
            config = PreTrainedConfig.from_pretrained(directory)
        if not isinstance(config, TactConfig):
            raise ValueError(f"{directory}: a policy of type {config.type}, not tact; LeRobot runs it itself")
        config.settle(directory)
        kwargs["strict"] = True
        kwargs["stats"] = read_stats(directory)
        policy = super().from_pretrained(directory, config=config, **kwargs)
        policy._tact = serve(policy, directory)
        return policy

    def _save_pretrained(self, save_directory: Path, **kwargs) -> None:
        super()._save_pretrained(save_directory, **kwargs)
        if self.config.arms:
            write_stats(save_directory, self.row_stats)

    def get_optim_params(self) -> list[dict]:
        """Two groups as ACT's; tact numbers optimizer state the same way."""
        named = [(n, p) for n, p in self.named_parameters() if p.requires_grad]
        main = [p for n, p in named if not n.startswith("model.backbone.")]
        backbone = [p for n, p in named if n.startswith("model.backbone.")]
        return [{"params": main}, {"params": backbone, "lr": self.config.optimizer_lr_backbone}]

    # ---- from a batch to the network --------------------------------------------------------------

    def _is_window(self, batch: dict[str, Tensor]) -> bool:
        """Whether observations come with a time axis, as LeRobot's datasets give them."""
        if self.takes_state:
            return batch[STATE].dim() == 3
        return bool(self.cameras) and batch[self.cameras[0]].dim() == 5

    def _window(self, batch: dict[str, Tensor]) -> dict[str, Tensor]:
        """Every observation as (B, T, ...), oldest first; the environment state as of now (B, E)."""
        window, timed, T = {}, self._is_window(batch), self.config.obs_state_horizon
        for key in (*([STATE] if self.takes_state else []), *self.cameras):
            window[key] = batch[key] if timed else batch[key][:, None]
            if window[key].shape[1] != T:
                raise ValueError(f"{key}: {window[key].shape[1]} observations, the policy sees {T}")
        if self.model.env_dim:
            window[ENV] = batch[ENV] if batch[ENV].dim() == 2 else batch[ENV][:, -1]
        return window

    def _base(self, window: dict[str, Tensor]) -> Tensor:
        """Poses of now (B, 7 arms): what states and actions are relative to."""
        base = window[STATE][:, -1]
        if base.shape[-1] != RECORDED * self.config.arms:
            raise ValueError(f"{STATE}: {base.shape[-1]} values; a policy of relative poses takes the "
                             f"robot's own {RECORDED * self.config.arms}, neither made relative nor "
                             "normalised by a processor")
        return base

    def _network(self, window: dict[str, Tensor], action=None, is_pad=None):
        dtype, state = self.model.action_head.weight.dtype, window[STATE] if self.state_dim else None
        if self.config.arms and self.state_dim:
            state = self.state_rows(relative_rows(state, self._base(window)))
        images = [self._resized(key, window[key]).to(dtype) for key in self.cameras]
        env = window[ENV].to(dtype) if ENV in window else None
        table = self.temporal_pos_embed.weight if hasattr(self, "temporal_pos_embed") else None
        return self.model(None if state is None else state.to(dtype), env, images, table, action, is_pad)

    def _resized(self, camera: str, images: Tensor) -> Tensor:
        """As the network sees them: resized, and of that a part, which only in training is not the middle."""
        config, recorded = self.config, images.shape[-2:]
        if size := config.resized_to(camera):
            images = resize(images, *size, config.resize_filter)
        if not config.crops:
            return images
        crop = random_crop if self.training and config.crop_is_random else center_crop
        return crop(images, *config.cropped_to(camera, recorded))

    # ---- training -----------------------------------------------------------------------------------

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict]:
        window, action, is_pad = self._window(batch), batch[ACTION], batch["action_is_pad"]
        if self.config.arms:
            action = self.action_rows(relative_rows(action, self._base(window)))
        action = action.to(self.model.action_head.weight.dtype)
        predicted, mu, log_sigma_x2 = self._network(window, action, is_pad)
        total, l1, kld = act_loss(predicted, action, is_pad, mu, log_sigma_x2, self.config.kl_weight)
        logged = {"l1_loss": l1.item()}
        if kld is not None:
            logged["kld_loss"] = kld.item()
        return total, logged

    # ---- acting -------------------------------------------------------------------------------------

    def reset(self) -> None:
        """To be called at the start of every episode."""
        c = self.config
        self._history = deque(maxlen=(c.obs_state_horizon - 1) * c.obs_down_sample_steps + 1)
        self._seen = 0  # frames of this episode
        self._queue = deque()
        m = c.temporal_ensemble_coeff
        self._ensembler = None if m is None else Ensembler(m)
        if self._tact is not None:
            self._tact.begin(self)

    def _observe(self, batch: Frame) -> list[Frame]:
        """Takes in one frame (B, ...) and returns those that the policy looks at, oldest first: now, s frames ago,
        2 s frames ago, ... as far as the episode goes; before its first frame, that one."""
        c = self.config
        keys = [*([STATE] if self.takes_state else []), *self.cameras, *([ENV] if self.model.env_dim else [])]
        self._history.append({key: batch[key] for key in keys})
        self._seen += 1
        newest = len(self._history) - 1
        return [self._history[max(0, newest - (c.obs_state_horizon - 1 - t) * c.obs_down_sample_steps)]
                for t in range(c.obs_state_horizon)]

    @staticmethod
    def _together(frames: list[Frame]) -> dict[str, Tensor]:
        """Frames as a window (B, T, ...), and the environment state as of now."""
        window = {key: torch.stack([frame[key] for frame in frames], 1) for key in frames[0] if key != ENV}
        if ENV in frames[-1]:
            window[ENV] = frames[-1][ENV]
        return window

    def _apart(self, window: dict[str, Tensor]) -> list[Frame]:
        """The other way round."""
        return [{key: value if key == ENV else value[:, t] for key, value in window.items()}
                for t in range(self.config.obs_state_horizon)]

    def _chunk(self, frames: list[Frame], of_history: bool) -> Tensor:
        """(B, S * K, A): one a frame, whatever the frames from one predicted action to the next. By libtact where it
        serves this policy, with the history that it keeps itself where the frames are this episode's newest."""
        def by_torch() -> Tensor:
            return self._chunk_by_torch(self._together(frames))

        def as_resized(units: Units) -> Tensor:
            return self._chunk_by_torch(self._together([units.resized(frame, self.config) for frame in frames]))

        if self._tact is None:
            return by_torch()
        return self._tact.chunk(self, by_torch, frames, (self._history, self._seen) if of_history else None,
                                lambda chunk: self._comparable(chunk, frames),
                                as_resized if self.config.resize_shape else None)

    def _comparable(self, chunk: Tensor, frames: list[Frame]) -> Tensor:
        """A chunk as normalised rows."""
        if not self.config.arms:
            return chunk
        return self.action_rows(relative_rows(chunk, frames[-1][STATE]))

    def _chunk_by_torch(self, window: dict[str, Tensor]) -> Tensor:
        self.eval()
        c = self.config
        chunk = self._network(window)[0][:, :c.chunk_size]
        if c.arms:
            chunk = absolute_rows(self.action_rows.invert(chunk), self._base(window)).to(window[STATE].dtype)
        return fill_in(chunk, c.action_down_sample_steps, c.arms)

    @torch.no_grad()
    def predict_action_chunk(self, batch: dict[str, Tensor], **unused) -> Tensor:
        """(B, S * K, A), one a frame. A batch with a time axis is a window of its own; one without is the next frame of the
        episode, and goes into the history."""
        if self._is_window(batch):
            return self._chunk(self._apart(self._window(batch)), False)
        return self._chunk(self._observe(batch), True)

    @torch.no_grad()
    def select_action(self, batch: dict[str, Tensor], **unused) -> Tensor:
        """(B, A). To be called once a frame: the history takes in every one."""
        frames, every = self._observe(batch), self.config.action_down_sample_steps
        if self._ensembler is not None:
            foreseen = (self.config.chunk_size - 1) * every + 1  # no held ones
            return self._ensembler.update(self._chunk(frames, True)[:, :foreseen])
        if not self._queue:
            self._queue.extend(self._chunk(frames, True)[:, : self.config.n_action_steps * every].unbind(1))
        return self._queue.popleft()
