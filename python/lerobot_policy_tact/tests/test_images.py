# SPDX-License-Identifier: Apache-2.0
"""Frames resized and cropped: torchvision's, and what of them a policy trains on."""

import json

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
F = pytest.importorskip("torchvision.transforms.functional", reason="torchvision is not installed")
pytest.importorskip("lerobot", reason="LeRobot is not installed")
from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot_policy_tact import TactConfig  # noqa: E402
from lerobot_policy_tact.images import center_crop, random_crop, resize  # noqa: E402

IMAGE, ACTION = "observation.images.wrist", "action"


def config(**options) -> TactConfig:
    return TactConfig(input_features={IMAGE: PolicyFeature(FeatureType.VISUAL, (3, 90, 120))},
                      output_features={ACTION: PolicyFeature(FeatureType.ACTION, (7,))},
                      pretrained_backbone_weights=None, device="cpu", push_to_hub=False, **options)


@pytest.mark.parametrize("size", [(20, 30), (37, 64), (90, 41), (131, 50), (90, 120)])
def test_bilinear_is_torchvisions(size):
    images = torch.rand(2, 3, 90, 120, dtype=torch.float64)
    torch.testing.assert_close(resize(images, *size, "bilinear"), F.resize(images, list(size)), rtol=0, atol=1e-9)


def test_the_middle_is_torchvisions():
    images = torch.rand(1, 3, 40, 50)
    for rest in range(12):
        size = 40 - rest, 39 + rest % 3
        assert torch.equal(center_crop(images, *size), F.center_crop(images, size))


def test_random_parts_are_one_a_sample():
    whole = torch.arange(40 * 50).reshape(1, 1, 1, 40, 50).expand(64, 2, 3, 40, 50)
    parts = random_crop(whole, 31, 50)
    assert parts.shape == (64, 2, 3, 31, 50)
    assert bool((parts == parts[:, :1, :1, :1, :1] + whole[:1, :1, :1, :31]).all())  # of both frames alike
    assert len(set(parts[:, 0, 0, 0, 0].tolist())) > 5


def test_settings_go_through_tact_json(tmp_path):
    given = config(obs_state_horizon=2, resize_shape=[48, 65], resize_filter="bilinear", crop_ratio=0.9)
    given.save_pretrained(tmp_path)
    tact, saved = (json.loads((tmp_path / name).read_text()) for name in ("tact.json", "config.json"))
    assert tact["version"] == 4 and "crop_shape" not in tact and tact["crop_ratio"] == 0.9
    assert tact["cameras"] == [{"name": IMAGE, "height": 90, "width": 120, "image_size": [43, 58],
                                "resized_to": [48, 65]}]
    assert saved["input_features"][IMAGE]["shape"] == [3, 43, 58]
    again = TactConfig.from_pretrained(tmp_path).settle(tmp_path)
    assert again.crops and again.resize_filter == "bilinear" and again.crop_is_random
    assert again.model_inputs[IMAGE].shape == (3, 43, 58)
    plain = tmp_path / "plain"
    config(obs_state_horizon=2, resize_shape=[48, 65]).save_pretrained(plain)
    tact = json.loads((plain / "tact.json").read_text())
    assert tact["version"] == 1 and not {"resize_filter", "crop_ratio", "crop_is_random"} & set(tact)


@pytest.mark.parametrize("options", [{"crop_ratio": 0.9}, {"crop_ratio": 0.0}, {"resize_filter": "cubic"},
                                     {"crop_shape": [40]}, {"crop_shape": [91, 40]},
                                     {"crop_shape": [9, 9], "crop_ratio": 0.5, "resize_shape": [40, 40]}])
def test_what_cannot_be_is_refused(options):
    with pytest.raises(ValueError):
        config(obs_state_horizon=2, **options).validate_features()
