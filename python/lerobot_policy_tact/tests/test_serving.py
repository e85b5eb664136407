# SPDX-License-Identifier: Apache-2.0
"""libtact in the place of PyTorch: the same actions, and every way back to PyTorch."""

import copy
import logging
import pickle
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

np = pytest.importorskip("numpy", reason="NumPy is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("lerobot", reason="LeRobot is not installed")
from lerobot.configs.types import FeatureType, NormalizationMode, PolicyFeature  # noqa: E402
from lerobot.policies.act.configuration_act import ACTConfig  # noqa: E402
from lerobot.policies.act.modeling_act import ACTPolicy  # noqa: E402
from lerobot.policies.act.processor_act import make_act_pre_post_processors  # noqa: E402
from lerobot.processor import ImageCropResizeProcessorStep, NormalizerProcessorStep  # noqa: E402
from lerobot_policy_tact import TactConfig, serving  # noqa: E402
from lerobot_policy_tact.modeling_tact import TactPolicy  # noqa: E402
from lerobot_policy_tact.processor_tact import make_tact_pre_post_processors  # noqa: E402
from lerobot_policy_tact.serving import Serving, Unservable, import_libtact  # noqa: E402

sys.path.append(str(Path(__file__).resolve().parents[2]))  # where the tree has the package libtact
try:
    import_libtact().version()
except (ImportError, Unservable) as e:
    pytest.skip(f"libtact cannot be loaded: {e}", allow_module_level=True)

STATE, ENV, ACTION = "observation.state", "observation.environment_state", "action"
LEFT, TOP = "observation.images.left", "observation.images.top"
SMALL = {"dim_model": 32, "n_heads": 2, "dim_feedforward": 64, "n_encoder_layers": 1, "chunk_size": 6,
         "n_action_steps": 2, "latent_dim": 4, "n_vae_encoder_layers": 1, "pretrained_backbone_weights": None,
         "device": "cpu", "push_to_hub": False}
CLOSE = {"rtol": 0, "atol": 1e-4}


def features(width: int, env: bool) -> dict:
    inputs = {STATE: PolicyFeature(FeatureType.STATE, (width,)), LEFT: PolicyFeature(FeatureType.VISUAL, (3, 32, 48)),
              TOP: PolicyFeature(FeatureType.VISUAL, (3, 48, 32))}
    if env:
        inputs[ENV] = PolicyFeature(FeatureType.ENV, (3,))
    return {"input_features": inputs, "output_features": {ACTION: PolicyFeature(FeatureType.ACTION, (width,))}}


def of_vector(n: int) -> tuple:
    """Mean and deviation of a vector's values; the last never moved."""
    i = torch.arange(n, dtype=torch.float32)
    std = 0.2 + 0.3 * i
    std[-1] = 0
    return 10 * (i + 1) * (-1) ** i, std


def statistics(config, g: torch.Generator) -> dict:
    def vector(n: int) -> dict:
        mean, std = of_vector(n)
        return {"mean": mean, "std": std, "min": mean - 2 * std, "max": mean + 3 * std}

    def colours() -> dict:
        mean, std = torch.rand(3, 1, 1, generator=g), torch.rand(3, 1, 1, generator=g) / 3 + 0.2
        return {"mean": mean, "std": std, "min": mean * 0, "max": mean * 0 + 1}

    both = {**config.input_features, **config.output_features}
    return {k: colours() if f.type is FeatureType.VISUAL else vector(f.shape[0]) for k, f in both.items()}


def shaken(policy):
    """With weights that let every input count: as they are first drawn, images drown all else."""
    project, sizes = policy.model.encoder_img_feat_input_proj, []
    policy.eval()
    with torch.no_grad():
        for p in policy.parameters():
            if p.dim() == 1:
                p.add_(torch.randn_like(p) * 0.1)
        hook = project.register_forward_hook(lambda module, given, out: sizes.append(out.std()))
        arms = getattr(policy.config, "arms", 0) or 0
        policy.predict_action_chunk(frames(1, width=7 * arms or 4)[0])
        hook.remove()
        project.weight.div_(sizes[0])
    policy.reset()
    return policy


def act(directory, env: bool = False, mode: str = "MEAN_STD", **options):
    """A checkpoint of LeRobot's as LeRobot writes it; its processors."""
    torch.manual_seed(3)
    mapping = dict.fromkeys(("VISUAL", "STATE", "ACTION", "ENV"), NormalizationMode(mode))
    config = ACTConfig(normalization_mapping=mapping, **features(4, env), **{**SMALL, **options})
    before, after = make_act_pre_post_processors(config, statistics(config, torch.Generator().manual_seed(4)))
    for part in (shaken(ACTPolicy(config)), before, after):
        part.save_pretrained(directory)
    return before, after


def tact(directory, arms: int = 0, state: bool = True, **options):
    torch.manual_seed(5)
    width = 7 * arms if arms else 4
    seen = features(width, not arms)
    if not state:
        del seen["input_features"][STATE]
    config = TactConfig(arms=arms, pose_repr="relative" if arms else "none", **seen,
                        **{**SMALL, "obs_state_horizon": 2, **options})
    g, rows = torch.Generator().manual_seed(6), None
    if arms:
        mapping = dict.fromkeys(("STATE", "ACTION"), NormalizationMode.MIN_MAX)
        config.normalization_mapping = {**config.normalization_mapping, **mapping}
        rows = {k: {"min": -torch.rand(10 * arms, generator=g) - 0.1, "max": torch.rand(10 * arms, generator=g) + 0.1}
                for k in ((STATE, ACTION) if state else (ACTION,))}
    policy = shaken(TactPolicy(config, stats=rows))
    before, after = make_tact_pre_post_processors(config, statistics(config, g))
    for part in (policy, before, after):
        part.save_pretrained(directory)
    return before, after


def frames(n: int, batch: int = 1, width: int = 4, seed: int = 7) -> list[dict]:
    """As LeRobot's preprocess_observation and prepare_observation_for_inference make them."""
    g = torch.Generator().manual_seed(seed)

    def image(h: int, w: int):
        return torch.randint(0, 256, (batch, 3, h, w), generator=g, dtype=torch.uint8).float() / 255

    def vector(n: int):
        mean, std = of_vector(n)
        return mean + std * torch.randn(batch, n, generator=g)

    def state():
        return vector(width) if width == 4 else 0.4 * torch.randn(batch, width, generator=g)

    return [{STATE: state(), ENV: vector(3), LEFT: image(32, 48), TOP: image(48, 32)} for _ in range(n)]


@pytest.fixture
def on(monkeypatch):
    monkeypatch.setenv("TACT_LEROBOT", "float32")
    return monkeypatch


@pytest.fixture(scope="session")
def made(tmp_path_factory):
    """made(act or tact, ...) -> directory, preprocessor, postprocessor; written once, not to be changed."""
    written = {}

    def make(kind, **options):
        key = (kind, *sorted(options.items()))
        if key not in written:
            directory = tmp_path_factory.mktemp(kind.__name__)
            written[key] = (directory, *kind(directory, **options))
        return written[key]

    return make


def both(kind, directory, monkeypatch):
    """(served, by PyTorch), of one checkpoint."""
    monkeypatch.setenv("TACT_LEROBOT", "float32")
    served = kind.from_pretrained(directory)
    monkeypatch.setenv("TACT_LEROBOT", "off")
    alone = kind.from_pretrained(directory)
    assert getattr(alone, "_tact", None) is None
    served.reset()
    alone.reset()
    return served, alone


def compare(served, alone, before, after, given: list[dict]) -> None:
    for frame in given:
        seen = before(dict(frame))
        with torch.inference_mode():
            got, wanted = served.select_action(dict(seen)), alone.select_action(dict(seen))
        assert got.dtype == wanted.dtype and torch.allclose(after(got.clone()), after(wanted.clone()), **CLOSE)
        moving = slice(None if got.shape[-1] % 7 == 0 else -1)
        assert torch.allclose(got[:, moving], wanted[:, moving], **CLOSE)


@pytest.mark.parametrize("kind, policy", [(act, ACTPolicy), (tact, TactPolicy)])
def test_everything_counts(kind, policy, made):
    """Else the comparisons below would show nothing."""
    path, before, _ = made(kind)
    loaded, (one, other) = policy.from_pretrained(path), (before(f) for f in frames(2))

    def chunk(frame):
        loaded.reset()
        return loaded.predict_action_chunk(frame)

    for key in (STATE, LEFT, TOP):
        assert (chunk({**one, key: other[key]}) - chunk(one)).abs().max() > 0.01, key


# ---- the same actions ---------------------------------------------------------------------------


@pytest.mark.parametrize("options", [{}, {"env": True}, {"mode": "MIN_MAX"}, {"mode": "IDENTITY"},
                                     {"n_action_steps": 1, "temporal_ensemble_coeff": 0.01}])
def test_act(options, made, monkeypatch):
    path, before, after = made(act, **options)
    served, alone = both(ACTPolicy, path, monkeypatch)
    compare(served, alone, before, after, frames(5))
    assert served._tact.active and isinstance(served, ACTPolicy) and served.name == "act"


def test_act_of_several_environments(made, monkeypatch):
    path, before, after = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    compare(served, alone, before, after, frames(3, batch=3))
    compare(served, alone, before, after, frames(3, batch=3, seed=8))
    assert served._tact.active


@pytest.mark.parametrize("arms", [0, 1, 2])
@pytest.mark.parametrize("options", [{}, {"n_action_steps": 1}, {"obs_down_sample_steps": 2, "obs_state_horizon": 3},
                                     {"action_down_sample_steps": 3, "n_action_steps": 1}])
def test_tact(arms, options, made, monkeypatch):
    path, before, after = made(tact, arms=arms, **options)
    served, alone = both(TactPolicy, path, monkeypatch)
    given = frames(9, width=7 * arms or 4)
    compare(served, alone, before, after, given)
    served.reset()
    alone.reset()
    compare(served, alone, before, after, given[5:])
    assert served._tact.active


@pytest.mark.parametrize("arms", [0, 1, 2])
@pytest.mark.parametrize("horizon", [1, 2])
def test_tact_without_the_state(arms, horizon, made, monkeypatch):
    """Poses are relative to one all the same, and begin at it."""
    path, before, after = made(tact, arms=arms, state=False, obs_state_horizon=horizon)
    served, alone = both(TactPolicy, path, monkeypatch)
    compare(served, alone, before, after, frames(5, width=7 * arms or 4))
    assert served._tact.active and not any("robot_state" in name for name in served.state_dict())


def test_tact_in_a_batch_and_with_a_window_of_its_own(made, monkeypatch):
    path, before, after = made(tact, arms=1, obs_down_sample_steps=2, n_action_steps=1)
    served, alone = both(TactPolicy, path, monkeypatch)
    given = frames(8, width=7)
    compare(served, alone, before, after, given[:2])
    window = {k: torch.stack([before(dict(f))[k] for f in given[6:]], 1) for k in (STATE, LEFT, TOP)}
    torch.testing.assert_close(served.predict_action_chunk(window), alone.predict_action_chunk(window), **CLOSE)
    compare(served, alone, before, after, given[2:6])  # the episode goes on as if there had been none
    served.reset()
    alone.reset()
    compare(served, alone, before, after, frames(4, batch=2, width=7))
    assert served._tact.active


@pytest.mark.parametrize("changes", [
    {"resize_shape": [16, 24]}, {"resize_shape": [[16, 16], [64, 40]]},
    {"resize_shape": [45, 53], "crop_ratio": 0.8, "resize_filter": "bilinear"},
    {"resize_shape": [[41, 40], [64, 40]], "crop_shape": [36, 35], "resize_filter": "bilinear"}])
def test_images_that_are_resized(changes, tmp_path, monkeypatch):
    """Held against PyTorch on images of whole grey levels; PyTorch alone has fractions of them."""
    before, after = tact(tmp_path, **changes)
    served, alone = both(TactPolicy, tmp_path, monkeypatch)
    for frame in frames(3):
        seen = before(dict(frame))
        got, wanted = served.predict_action_chunk(dict(seen)), alone.predict_action_chunk(dict(seen))
        assert 1e-6 < (got - wanted)[..., :-1].abs().max() < 0.05
    assert served._tact.active


def test_images_that_are_cropped(tmp_path, monkeypatch):
    """As recorded: there is nothing to round."""
    before, after = tact(tmp_path, crop_shape=[32, 32])
    served, alone = both(TactPolicy, tmp_path, monkeypatch)
    compare(served, alone, before, after, frames(4))
    assert served._tact.active


def test_libtact_is_what_predicts(made, on):
    """A chunk that is no longer held against PyTorch's comes from the library."""
    path, before, _ = made(act)
    policy, (first, second) = ACTPolicy.from_pretrained(path), (before(dict(f)) for f in frames(2))
    policy.reset()
    policy.predict_action_chunk(first)
    on.setattr(policy._tact._handle, "predict_action_chunk", lambda: np.zeros((6, 4)))
    assert policy.predict_action_chunk(second).std(1).max() == 0


# ---- back to PyTorch ----------------------------------------------------------------------------


def left(policy, alone, seen, caplog, *words: str) -> None:
    """PyTorch goes on, and that is said in one line."""
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        for frame in seen:
            assert torch.equal(policy.select_action(dict(frame)), alone.select_action(dict(frame)))
        policy.reset()
        alone.reset()
    said = [r.getMessage() for r in caplog.records if r.name == "lerobot_policy_tact"]
    assert len(said) == 1 and "\n" not in said[0], said
    assert all(word in said[0] for word in ("PyTorch runs", *words)), said
    assert not policy._tact.active


def test_a_weight_that_differs_is_seen(made, tmp_path, monkeypatch, caplog):
    from safetensors.torch import load_file, save_file

    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    shutil.copytree(path, tmp_path, dirs_exist_ok=True)
    weights = load_file(path / "model.safetensors")
    weights["model.encoder.layers.0.linear1.bias"][3] += 0.5
    save_file(weights, tmp_path / "model.safetensors")
    served._tact = Serving(served, tmp_path, "float32")
    left(served, alone, [before(dict(f)) for f in frames(3)], caplog, "from PyTorch's", "0.0001")


def test_a_tolerance_of_nothing_is_kept(made, monkeypatch, caplog):
    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    served._tact = Serving(served, path, "float32", tolerance=0.0)
    left(served, alone, [before(dict(f)) for f in frames(1)], caplog, "from PyTorch's", "0 is allowed")


@pytest.mark.parametrize("how", ["optimizer", "data", "load", "adapter", "half"])
def test_weights_that_change(how, made, monkeypatch, caplog):
    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    seen = [before(dict(f)) for f in frames(3)]
    served.select_action(dict(seen[0]))
    assert served._tact.active
    for policy in (served, alone):
        head = policy.model.action_head
        if how == "optimizer":
            with torch.no_grad():
                head.bias.add_(1e-6)
        elif how == "data":
            head.bias.data[0] += 1e-3
        elif how == "load":
            policy.load_state_dict(policy.state_dict())
        elif how == "adapter":
            policy.model.action_head = torch.nn.Sequential(head, torch.nn.Linear(4, 4, bias=False).eval())
            torch.nn.init.eye_(policy.model.action_head[1].weight)
        else:
            policy.double().float()
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        served.reset()
        alone.reset()
        assert torch.equal(served.select_action(dict(seen[1])), alone.select_action(dict(seen[1])))
    assert [r for r in caplog.records if "those that were loaded" in r.getMessage()] and not served._tact.active


def test_an_image_between_grey_levels(made, monkeypatch, caplog):
    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    blurred = frames(1)[0]
    blurred[LEFT] = torch.nn.functional.avg_pool2d(blurred[LEFT], 3, 1, 1)
    left(served, alone, [before(blurred)], caplog, "left", "grey level")


def test_an_episode_goes_on_in_pytorch(made, monkeypatch, caplog):
    """With the history that it would have had."""
    path, before, _ = made(tact, n_action_steps=1)
    served, alone = both(TactPolicy, path, monkeypatch)
    given = frames(4)
    given[2][TOP] = given[2][TOP] * 0.9
    for k, seen in enumerate(before(dict(f)) for f in given):
        got, wanted = served.select_action(dict(seen)), alone.select_action(dict(seen))
        assert served._tact.active == (k < 2) and (k < 2 or torch.equal(got, wanted))
    assert caplog.text.count("PyTorch runs") == 1 and "top" in caplog.text


def test_a_value_that_is_not_finite(made, monkeypatch, caplog):
    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    seen = [before(dict(f)) for f in frames(4)]
    served.select_action(dict(seen[0]))
    seen[1][STATE][0, 1] = torch.nan
    caplog.clear()
    with caplog.at_level(logging.WARNING):
        assert served.predict_action_chunk(seen[1]).isnan().all() and not served._tact.active
    assert torch.equal(served.predict_action_chunk(seen[2]), alone.predict_action_chunk(seen[2]))
    assert sum(r.name == "lerobot_policy_tact" for r in caplog.records) == 1


def test_an_image_of_another_size(made, monkeypatch, caplog):
    path, before, _ = made(act)
    served, alone = both(ACTPolicy, path, monkeypatch)
    frame = frames(1)[0]
    frame[LEFT] = frame[LEFT][..., :32]
    left(served, alone, [before(frame)], caplog, "left", "32x32")


def test_frames_that_the_preprocessor_changed(tmp_path, monkeypatch, caplog):
    """As of a plain ACT policy that tact trained on resized frames: libtact would resize them once more."""
    before, _ = act(tmp_path)
    at = next(i for i, step in enumerate(before.steps) if isinstance(step, NormalizerProcessorStep))
    before.steps = [*before.steps[:at], ImageCropResizeProcessorStep(resize_size=[40, 40]), *before.steps[at:]]
    before.save_pretrained(tmp_path)
    with caplog.at_level(logging.WARNING):
        served, alone = both(ACTPolicy, tmp_path, monkeypatch)
    said = [r.getMessage() for r in caplog.records if r.name == "lerobot_policy_tact"]
    assert len(said) == 1 and "its image_crop_resize_processor has changed the frames" in said[0], said
    assert not served._tact.active
    for frame in frames(2):
        seen = before(dict(frame))
        assert torch.equal(served.select_action(dict(seen)), alone.select_action(dict(seen)))


def test_what_pytorch_refuses_is_still_refused(made, on):
    path, before, _ = made(act)
    policy, seen = ACTPolicy.from_pretrained(path), before(frames(1)[0])
    with pytest.raises(KeyError, match="top"):
        policy.select_action({k: v for k, v in seen.items() if k != TOP})


def test_no_library(made, monkeypatch, caplog):
    def none():
        raise Unservable("there is no libtact")

    path, before, _ = made(act)
    monkeypatch.setattr(serving, "import_libtact", none)
    monkeypatch.setenv("TACT_LEROBOT", "float32")
    with caplog.at_level(logging.WARNING):
        policy = ACTPolicy.from_pretrained(path)
        policy.reset()
        policy.reset()
    assert caplog.text.count("there is no libtact") == 1
    assert policy.select_action(before(frames(1)[0])).shape == (1, 4)


def test_a_checkpoint_without_statistics(made, tmp_path, on, caplog):
    shutil.copytree(made(act)[0], tmp_path, dirs_exist_ok=True)
    (tmp_path / "policy_preprocessor.json").unlink()
    with caplog.at_level(logging.WARNING):
        policy = ACTPolicy.from_pretrained(tmp_path)
        policy.reset()
    assert "its statistics have no" in caplog.text and policy._tact is not None


def test_training_is_left_alone(made, on):
    policy = ACTPolicy.from_pretrained(made(act)[0]).train()
    policy.reset()
    assert policy._tact._handle is None
    batch = {**frames(2)[0], ACTION: torch.zeros(1, 6, 4), "action_is_pad": torch.zeros(1, 6, dtype=torch.bool)}
    policy.forward(batch)[0].backward()
    assert policy.model.action_head.weight.grad is not None


def test_copies_are_pytorchs(made, on):
    path, before, after = made(act)
    policy, seen = ACTPolicy.from_pretrained(path), before(frames(1)[0])
    policy.reset()
    wanted = after(policy.predict_action_chunk(seen))
    for other in (copy.deepcopy(policy), pickle.loads(pickle.dumps(policy))):
        assert torch.allclose(after(other.predict_action_chunk(seen)), wanted, **CLOSE) and not other._tact.active
    assert policy._tact.active


def test_settings(made, monkeypatch, caplog):
    path = made(act)[0]
    monkeypatch.setenv("TACT_LEROBOT", "off")
    assert type(ACTPolicy.from_pretrained(path)) is ACTPolicy
    monkeypatch.setenv("TACT_LEROBOT", "fast")
    with caplog.at_level(logging.WARNING):
        assert type(ACTPolicy.from_pretrained(path)) is ACTPolicy
    assert "TACT_LEROBOT=fast is none of off, float32, bfloat16" in caplog.text
    monkeypatch.setenv("TACT_LEROBOT", "bfloat16")
    policy = ACTPolicy.from_pretrained(path)
    policy.reset()
    assert policy._tact._over == ("no bfloat16 instructions" in caplog.text)


def test_the_hook_waits_for_lerobots_policies():
    """Importing the package imports none of them, and those imported later are hooked all the same."""
    program = ("import sys, lerobot_policy_tact as p; late = 'lerobot.policies.pretrained' not in sys.modules; "
               "from lerobot.policies.pretrained import PreTrainedPolicy as P; "
               "print(late, P.from_pretrained.__func__.serves_act)")
    said = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=600,
                          env={"PYTHONPATH": ":".join(sys.path), "PATH": "/usr/bin:/bin"})
    assert said.stdout.split() == ["True", "True"], said.stderr
