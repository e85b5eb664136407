# SPDX-License-Identifier: Apache-2.0
"""config.json (the keys of ACT) and tact.json (what ACT does not have) as one LeRobot configuration."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from lerobot.configs.policies import PreTrainedConfig
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature
from lerobot.optim.optimizers import AdamWConfig

from .poses import RECORDED, SEEN

# Versions: without action_down_sample_steps, which is then left out, and with it; with n_past_actions; with frames that
# are cropped or resized by another filter than area.
TACT_JSON, TACT_JSON_VERSION, TACT_JSON_VERSION_STEPS, TACT_JSON_VERSION_PAST = "tact.json", 1, 2, 3
TACT_JSON_VERSION_FRAMES = 4

# Settings of tact.json that change what the policy computes, with what holds where it has none.
TACT_DEFAULTS = {
    "obs_state_horizon": 2,
    "obs_down_sample_steps": 1,
    "action_down_sample_steps": 1,
    "n_past_actions": 0,
    "temporal_pos_embed": "all",
    "pose_repr": "none",
    "resize_shape": None,
    "resize_filter": "area",
    "crop_shape": None,
    "crop_ratio": 1.0,
    "crop_is_random": True,
    "max_action_prefix": 0,
    "arms": 0,
    "fps": 0.0,
}

# What tact.json leaves out where it is so, and a tact from before it does not know.
LATER = {"action_down_sample_steps": 1, "n_past_actions": 0, "max_action_prefix": 0, "resize_filter": "area",
         "crop_shape": None, "crop_ratio": 1.0, "crop_is_random": True}


def read_tact_json(directory: str | Path | None) -> dict | None:
    path = Path(directory) / TACT_JSON if directory else None
    if path is None or not path.is_file():
        return None
    tact = json.loads(path.read_text())
    versions = TACT_JSON_VERSION, TACT_JSON_VERSION_STEPS, TACT_JSON_VERSION_PAST, TACT_JSON_VERSION_FRAMES
    if tact.get("version") not in versions:
        raise ValueError(f"{path}: version {tact.get('version')}; this package reads versions "
                         f"{', '.join(map(str, versions))}")
    return tact


@PreTrainedConfig.register_subclass("tact")
@dataclass
class TactConfig(PreTrainedConfig):
    """The fields up to optimizer_lr_backbone are ACT's, with its names and defaults; tact's follow.

    A field of tact's that is None is read from the tact.json of pretrained_path, when it is first needed:
    LeRobot parses config.json alone, and says only afterwards where it came from.
    """

    chunk_size: int = 100
    n_action_steps: int = 100
    normalization_mapping: dict[str, NormalizationMode] = field(
        default_factory=lambda: dict.fromkeys(("VISUAL", "STATE", "ACTION"), NormalizationMode.MEAN_STD)
    )
    vision_backbone: str = "resnet18"
    pretrained_backbone_weights: str | None = "ResNet18_Weights.IMAGENET1K_V1"
    replace_final_stride_with_dilation: int = False
    pre_norm: bool = False
    dim_model: int = 512
    n_heads: int = 8
    dim_feedforward: int = 3200
    feedforward_activation: str = "relu"
    n_encoder_layers: int = 4
    n_decoder_layers: int = 1
    use_vae: bool = True
    latent_dim: int = 32
    n_vae_encoder_layers: int = 4
    temporal_ensemble_coeff: float | None = None
    dropout: float = 0.1
    kl_weight: float = 10.0
    optimizer_lr: float = 1e-5
    optimizer_weight_decay: float = 1e-4
    optimizer_lr_backbone: float = 1e-5
    # tact
    obs_state_horizon: int | None = None
    obs_down_sample_steps: int | None = None
    action_down_sample_steps: int | None = None
    n_past_actions: int | None = None
    temporal_pos_embed: str | None = None
    pose_repr: str | None = None
    resize_shape: list[list[int]] | list[int] | None = None  # one size, or one a camera
    resize_filter: str | None = None
    crop_shape: list[int] | None = None
    crop_ratio: float | None = None
    crop_is_random: bool | None = None
    max_action_prefix: int | None = None  # the policy is given none here: LeRobot predicts between two steps
    arms: int | None = None
    fps: float | None = None
    # How the policy normalises its relative rows itself; None: it leaves all of that to LeRobot.
    row_normalization: dict[str, NormalizationMode] | None = None

    def __post_init__(self):
        super().__post_init__()
        self._settled, self._tact = False, {}
        if self.n_obs_steps != 1:
            raise ValueError("n_obs_steps must be 1; the number of observations is obs_state_horizon")
        if self.n_action_steps > self.chunk_size:
            raise ValueError(f"n_action_steps {self.n_action_steps} exceeds chunk_size {self.chunk_size}")
        if self.temporal_ensemble_coeff is not None and self.n_action_steps != 1:
            raise ValueError("temporal_ensemble_coeff needs n_action_steps=1")

    # ---- tact.json ----------------------------------------------------------------------------

    def settle(self, directory: str | Path | None = None) -> "TactConfig":
        """Fills in what tact.json says, once, and gives LeRobot's normalizer its part."""
        if self._settled:
            return self
        self._tact = read_tact_json(directory or self.pretrained_path) or {}
        for name, default in TACT_DEFAULTS.items():
            if getattr(self, name) is None:
                value = self._tact.get(name)
                setattr(self, name, default if value is None else value)
        if self.resize_shape and not isinstance(self.resize_shape[0], (list, tuple)):
            self.resize_shape = [list(self.resize_shape)]  # LeRobot cannot write a field of two forms, but this one
        if self.obs_state_horizon == 1 and "temporal_pos_embed" not in self._tact:
            self.temporal_pos_embed = "none"
        self._check()
        if self.arms and self.row_normalization is None:
            # Rows become relative inside the policy, so their normalisation has to follow there.
            # LeRobot's own step, which sees absolute rows, must leave them alone; its trainer fills
            # that step from normalization_mapping.
            self.row_normalization = {
                key: self.normalization_mapping.get(key, NormalizationMode.IDENTITY)
                for key in ("STATE", "ACTION")
            }
            self.normalization_mapping = {
                **self.normalization_mapping,
                **dict.fromkeys(self.row_normalization, NormalizationMode.IDENTITY),
            }
        self._settled = True
        return self

    def _check(self) -> None:
        if min(self.obs_state_horizon, self.obs_down_sample_steps, self.action_down_sample_steps) < 1:
            raise ValueError("obs_state_horizon, obs_down_sample_steps and action_down_sample_steps must be at least 1")
        if self.n_past_actions < 0:
            raise ValueError(f"n_past_actions {self.n_past_actions} is below 0")
        if not 0 <= self.max_action_prefix < self.chunk_size:
            raise ValueError(f"max_action_prefix {self.max_action_prefix} must be from 0 to less than chunk_size "
                             f"{self.chunk_size}")
        if self.temporal_pos_embed not in ("none", "state", "all"):
            raise ValueError(f"temporal_pos_embed {self.temporal_pos_embed!r} is none of none, state, all")
        if self.resize_filter not in ("area", "bilinear"):
            raise ValueError(f"resize_filter {self.resize_filter!r} is none of area, bilinear")
        if not 0 < self.crop_ratio <= 1 or (self.crop_ratio < 1 and (self.crop_shape or not self.resize_shape)):
            raise ValueError(f"crop_ratio {self.crop_ratio}: a part of resize_shape, above 0 and at most 1, and not "
                             "beside crop_shape")
        if self.crop_shape and (len(self.crop_shape) != 2 or min(self.crop_shape) < 1):
            raise ValueError(f"crop_shape {self.crop_shape} is not [HEIGHT, WIDTH]")
        if (self.pose_repr == "relative") != bool(self.arms):
            raise ValueError(f"pose_repr {self.pose_repr!r} does not go with {self.arms} arms")
        if self.arms and self.temporal_ensemble_coeff is not None:
            raise ValueError("temporal ensembling would average rotation vectors; it is not offered for "
                             "relative poses")

    def _save_pretrained(self, save_directory: Path) -> None:
        """Both files, as tact writes them, so that tact reads what LeRobot saved."""
        self.settle()
        super()._save_pretrained(save_directory)
        path = save_directory / "config.json"
        config = json.loads(path.read_text())
        for name in (*TACT_DEFAULTS, "row_normalization"):
            config.pop(name, None)
        if self.row_normalization:
            config["normalization_mapping"].update({k: v.value for k, v in self.row_normalization.items()})
        for side, shapes in (("input_features", self.model_inputs), ("output_features", self.model_outputs)):
            config[side] = {k: {"type": f.type.value, "shape": list(f.shape)} for k, f in shapes.items()}
        path.write_text(json.dumps(config, indent=4))
        tact = {"version": None, **self._tact, **{name: getattr(self, name) for name in TACT_DEFAULTS}}
        if self.resize_shape and len(self.resize_shape) == 1:
            tact["resize_shape"] = self.resize_shape[0]
        hidden_pose = self.arms and not self.robot_state_feature
        tact["version"] = (TACT_JSON_VERSION_FRAMES if self.crops or self.resize_filter != "area" else
                           TACT_JSON_VERSION_PAST if self.n_past_actions or self.max_action_prefix or hidden_pose else
                           TACT_JSON_VERSION if self.action_down_sample_steps == 1 else TACT_JSON_VERSION_STEPS)
        for name, default in LATER.items():
            if tact[name] == default:
                del tact[name]
        if self.image_features and "cameras" not in tact:
            sizes = {key: f.shape[-2:] for key, f in self.image_features.items()}
            tact["cameras"] = [
                {"name": k, "height": h, "width": w, "image_size": list(self.model_inputs[k].shape[-2:])}
                for k, (h, w) in sizes.items()
            ]
        for camera in tact.get("cameras", []):
            camera.pop("resized_to", None)
            if self.crops and camera["name"] in self.image_features:
                recorded = camera["height"], camera["width"]
                camera["resized_to"] = list(self.resized_to(camera["name"]) or recorded)
                camera["image_size"] = list(self.cropped_to(camera["name"], recorded))
        (save_directory / TACT_JSON).write_text(json.dumps(tact, indent=4))

    # ---- what the network sees ------------------------------------------------------------------

    def _seen(self, features: dict[str, PolicyFeature]) -> dict[str, PolicyFeature]:
        """The dataset's features with poses as the network has them. A checkpoint of tact's says 10 values
        an arm already; LeRobot's trainer puts the dataset's 7 in place of the action's."""
        out = {}
        for key, f in (features or {}).items():
            if self.arms and key in ("observation.state", "action") and f.shape == (RECORDED * self.arms,):
                f = PolicyFeature(type=f.type, shape=(SEEN * self.arms,))
            if (self.resize_shape or self.crops) and f.type is FeatureType.VISUAL:
                f = PolicyFeature(type=f.type, shape=(f.shape[0], *self.cropped_to(key, f.shape[1:])))
            out[key] = f
        return out

    def resized_to(self, camera: str) -> tuple[int, int] | None:
        """The size that frames of a camera are resized to, or None."""
        sizes = self.resize_shape
        if sizes and isinstance(sizes[0], (list, tuple)):
            sizes = sizes[0] if len(sizes) == 1 else sizes[list(self.image_features).index(camera)]
        return tuple(sizes) if sizes else None

    @property
    def crops(self) -> bool:
        return bool(self.crop_shape) or self.crop_ratio < 1

    def cropped_to(self, camera: str, recorded: tuple[int, int]) -> tuple[int, int]:
        """The size of what the network sees of a camera's frames."""
        height, width = self.resized_to(camera) or recorded
        if self.crop_shape:
            return tuple(self.crop_shape)
        return (int(height * self.crop_ratio), int(width * self.crop_ratio)) if self.crops else (height, width)

    @property
    def model_inputs(self) -> dict[str, PolicyFeature]:
        return self._seen(self.input_features)

    @property
    def model_outputs(self) -> dict[str, PolicyFeature]:
        return self._seen(self.output_features)

    def validate_features(self) -> None:
        self.settle()
        if not self.image_features and not self.env_state_feature:
            raise ValueError("tact needs a camera or observation.environment_state")
        sizes = self.resize_shape or []
        given = len(sizes) if sizes and isinstance(sizes[0], (list, tuple)) else 1
        if given not in (1, len(self.image_features)):
            raise ValueError(f"resize_shape has {given} sizes for {len(self.image_features)} cameras; give one "
                             "size for all, or one for each in their order")
        for key, f in self.image_features.items():
            whole, part = self.resized_to(key) or f.shape[1:], self.cropped_to(key, f.shape[1:])
            if part[0] > whole[0] or part[1] > whole[1]:
                raise ValueError(f"crop_shape {self.crop_shape} is larger than the frames of {key}, {tuple(whole)}")
        # The network may go without the state (use_state), which poses are relative to all the same.
        for key, width in (("observation.state", self.model_inputs), ("action", self.model_outputs)):
            missing = key == "action" and key not in width
            wrong = key in width and width[key].shape != (SEEN * self.arms,)
            if self.arms and (missing or wrong):
                raise ValueError(f"{key}: {self.arms} arms of relative poses need {SEEN * self.arms} values")

    # ---- what LeRobot's trainer asks --------------------------------------------------------------

    @property
    def observation_delta_indices(self) -> list[int] | None:
        self.settle()
        T, s = self.obs_state_horizon, self.obs_down_sample_steps
        return None if T == 1 else [-(T - 1 - t) * s for t in range(T)]

    @property
    def action_delta_indices(self) -> list[int]:
        """Those of the chunk, and behind them those of the past, newest first: the order of the decoder's queries."""
        self.settle()
        every = self.action_down_sample_steps
        return [i * every for i in range(self.chunk_size)] + [-i * every for i in range(1, self.n_past_actions + 1)]

    @property
    def reward_delta_indices(self) -> None:
        return None

    def get_optimizer_preset(self) -> AdamWConfig:
        return AdamWConfig(lr=self.optimizer_lr, weight_decay=self.optimizer_weight_decay)

    def get_scheduler_preset(self) -> None:
        return None
