# SPDX-License-Identifier: Apache-2.0
"""make_runtime.py: writes runtime.safetensors beside it: what the policies of the golden cases give for frames of
bytes and numbers as recorded, in float64. Needs PyTorch, torchvision, safetensors and LeRobot.

NAME.actions (B, S, A) of the case NAME: weights and states as in the case; instead of its images bytes
(unit + 1) * 128, rounded down, of "input.pixelsN" (B, T, h, w, 3); normalised with MEAN_STD, float32:
mean unit("stats.FEATURE.mean", salt), std 1 + unit("stats.FEATURE.std", salt) / 2 of state, env and action;
mean 0.45 + unit / 10, std 0.25 + unit / 20 of "imageN". The network is python/lerobot_policy_tact's, which
its own test holds to the cases; at T = 1 LeRobot's ACT has to give the same.
"""
import sys
from pathlib import Path

import numpy as np
import torch
from safetensors.numpy import save_file

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE.parents[1] / "python/lerobot_policy_tact" / d) for d in ("tests", "src")]
from generate import inputs, unit  # noqa: E402
from test_golden import CASES, Case, relative  # noqa: E402


def stats(feature, salt, n, mean=(0.0, 1.0), std=(1.0, 0.5)):
    pairs = (mean, "mean"), (std, "std")
    m, s = ((a + b * unit(f"stats.{feature}.{kind}", salt, n)).astype(np.float32) for (a, b), kind in pairs)
    return torch.tensor(m).double(), torch.tensor(s).double()


def normalize(x, mean, std):
    return (x - mean) / (std + 1e-8)


def lerobots(case, state, images):
    """The same by LeRobot's own module."""
    from lerobot.configs.types import FeatureType, PolicyFeature
    from lerobot.policies.act.configuration_act import ACTConfig
    from lerobot.policies.act.modeling_act import ACT

    keys = ("chunk_size", "vision_backbone", "replace_final_stride_with_dilation", "pre_norm", "dim_model", "n_heads",
            "dim_feedforward", "feedforward_activation", "n_encoder_layers", "n_decoder_layers", "use_vae",
            "latent_dim", "n_vae_encoder_layers", "dropout", "kl_weight")
    shapes = case.json["inputs"]
    features = {"observation.state": PolicyFeature(FeatureType.STATE, (shapes["state"][2],))}
    for i, image in enumerate(images):
        features[f"observation.images.{i}"] = PolicyFeature(FeatureType.VISUAL, tuple(image.shape[2:]))
    config = ACTConfig(**{k: case.json[k] for k in keys}, n_action_steps=case.json["chunk_size"],
                       pretrained_backbone_weights=None, device="cpu", input_features=features,
                       output_features={"action": PolicyFeature(FeatureType.ACTION, (shapes["action"][2],))})
    net = ACT(config).double().eval()
    net.load_state_dict({k.removeprefix("model."): v for k, v in case.net.state_dict().items()}, strict=True)
    net.encoder_latent_input_proj.register_forward_pre_hook(lambda _, x: (x[0].double(),))  # it is made in float32
    batch = {"observation.state": state[:, 0], "observation.images": [i[:, 0] for i in images]}
    return net(batch)[0]


def actions(name):
    case = Case(name)
    salt, shapes = case.json["salt"], case.json["inputs"]
    rows, images = {}, []
    for key in ("state", "env"):
        if key in shapes:
            n = shapes[key][-1]
            recorded = torch.tensor(inputs(f"input.{key}", salt, shapes[key])).double()
            rows[key] = normalize(recorded, *stats(key, salt, n))
    for key in sorted(k for k in shapes if k.startswith("image")):
        b, t, c, h, w = shapes[key]
        pixels = np.floor((unit(key.replace("image", "input.pixels"), salt, b * t * h * w * c) + 1) * 128)
        pixels = torch.tensor(pixels.reshape(b, t, h, w, c)) / 255
        images.append(normalize(pixels, *stats(key, salt, 3, (0.45, 0.1), (0.25, 0.05))).permute(0, 1, 4, 2, 3))
    case.state, case.env, case.images = rows["state"], rows.get("env"), images
    out = case.run(train=False)[0]
    if case.json["obs_state_horizon"] == 1:
        error = relative(lerobots(case, case.state, images).numpy(), out.numpy())
        assert error <= 1e-7, error
        print(f"{name}: LeRobot's ACT is off by {error:.1e}")
    mean, std = stats("action", salt, shapes["action"][-1])
    return (out * std + mean).numpy()


with torch.no_grad():
    made = {f"{name}.actions": actions(name) for name in CASES}
save_file(made, HERE / "runtime.safetensors")
print(*(f"{k} {v.shape} {np.abs(v).max():.3f}" for k, v in made.items()), sep="\n")
