# SPDX-License-Identifier: Apache-2.0
"""The policy in LeRobot: history, queue, loading, refusals. Small images keep a ResNet-18 quick."""

import json

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("lerobot", reason="LeRobot is not installed")
from lerobot.configs.types import FeatureType, PolicyFeature  # noqa: E402
from lerobot_policy_tact import TactConfig  # noqa: E402
from lerobot_policy_tact.modeling_tact import Ensembler, TactPolicy, fill_in  # noqa: E402
from lerobot_policy_tact.poses import matrix_from_vector, vector_from_matrix  # noqa: E402
from lerobot_policy_tact.processor_tact import make_tact_pre_post_processors  # noqa: E402
from lerobot_policy_tact.statistics import RowNormalizer  # noqa: E402

STATE, IMAGE, ACTION = "observation.state", "observation.images.wrist", "action"
SMALL = {"dim_model": 16, "n_heads": 2, "dim_feedforward": 32, "n_encoder_layers": 1, "chunk_size": 6,
         "n_action_steps": 2, "latent_dim": 4, "n_vae_encoder_layers": 1, "dropout": 0.0}


def config(**options) -> TactConfig:
    inputs = {STATE: PolicyFeature(FeatureType.STATE, (7,)), IMAGE: PolicyFeature(FeatureType.VISUAL, (3, 32, 32))}
    return TactConfig(input_features=inputs, output_features={ACTION: PolicyFeature(FeatureType.ACTION, (7,))},
                      pretrained_backbone_weights=None, device="cpu", push_to_hub=False, **{**SMALL, **options})


def relative(**options) -> TactPolicy:
    stats = {key: {"min": -torch.ones(10), "max": torch.ones(10)} for key in (STATE, ACTION)}
    c = config(arms=1, pose_repr="relative", **options)
    c.normalization_mapping = {k: type(v)("MIN_MAX") if k != "VISUAL" else v
                               for k, v in c.normalization_mapping.items()}
    policy = TactPolicy(c, stats=stats).eval()
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return policy


def frames(n: int) -> list[dict]:
    g = torch.Generator().manual_seed(1)
    return [{STATE: torch.randn(1, 7, generator=g), IMAGE: torch.randn(1, 3, 32, 32, generator=g)}
            for _ in range(n)]


def window(taken: list[dict]) -> dict:
    return {key: torch.stack([f[key] for f in taken], 1) for key in taken[0]}


def test_history_is_sampled_down_and_starts_with_the_first_frame():
    policy, seen = relative(obs_state_horizon=3, obs_down_sample_steps=2, n_action_steps=1), frames(6)
    for i, frame in enumerate(seen):
        action = policy.select_action(frame)
        taken = [seen[max(0, i - 4)], seen[max(0, i - 2)], seen[i]]
        assert torch.allclose(action, policy.predict_action_chunk(window(taken))[:, 0], atol=1e-6)


def test_a_chunk_keeps_the_base_it_was_predicted_at_and_reset_clears_all():
    policy, seen = relative(obs_state_horizon=2), frames(3)
    first = [policy.select_action(f) for f in seen]
    chunk = policy.predict_action_chunk(window([seen[0], seen[0]]))
    assert torch.allclose(torch.stack(first[:2], 1), chunk[:, :2], atol=1e-6)
    policy.reset()
    again = [policy.select_action(f) for f in seen]
    assert all(torch.equal(a, b) for a, b in zip(first, again, strict=True))


def test_a_window_of_its_own_leaves_the_history_alone():
    policy, seen = relative(obs_state_horizon=2), frames(4)
    policy.select_action(seen[0])
    policy.predict_action_chunk(window(seen[2:]))
    policy._queue.clear()
    action = policy.select_action(seen[1])
    assert torch.allclose(action, policy.predict_action_chunk(window(seen[:2]))[:, 0], atol=1e-6)


def test_actions_several_frames_apart():
    policy, seen = relative(obs_state_horizon=2, action_down_sample_steps=3), frames(8)
    assert policy.config.action_delta_indices == [0, 3, 6, 9, 12, 15]
    acted = torch.stack([policy.select_action(f) for f in seen], 1)
    chunks = [policy.predict_action_chunk(window(seen[i - 1 : i + 1] if i else [seen[0]] * 2))
              for i in (0, 6)]
    assert chunks[0].shape == (1, 18, 7)
    assert torch.allclose(acted, torch.cat([chunks[0][:, :6], chunks[1][:, :2]], 1), atol=1e-6)
    # Between two predicted actions, and held after the last.
    a, b, got = chunks[0][0, 3].double(), chunks[0][0, 6].double(), chunks[0][0, 4].double()
    assert torch.allclose(got[[0, 1, 2, 6]], (a + (b - a) / 3)[[0, 1, 2, 6]], atol=1e-6)
    start, end, between = (matrix_from_vector(v[3:6]) for v in (a, b, got))
    angle = [vector_from_matrix(start.T @ m).norm() for m in (between, end)]
    assert torch.allclose(angle[0], angle[1] / 3, atol=1e-5)
    assert torch.equal(chunks[0][0, 16], chunks[0][0, 15])
    values = torch.tensor([[[0.0, 3.0], [3.0, 0.0]]])
    assert torch.allclose(fill_in(values, 3, 0), torch.tensor([[[0.0, 3], [1, 2], [2, 1], [3, 0], [3, 0], [3, 0]]]))


def test_actions_several_frames_apart_are_saved(tmp_path):
    for every, version in ((1, 1), (3, 2)):
        relative(obs_state_horizon=2, action_down_sample_steps=every).save_pretrained(tmp_path / str(every))
        tact = json.loads((tmp_path / str(every) / "tact.json").read_text())
        assert tact["version"] == version and tact.get("action_down_sample_steps", 1) == every
        assert TactPolicy.from_pretrained(tmp_path / str(every)).config.action_down_sample_steps == every
    tact["version"] = 99
    (tmp_path / "3" / "tact.json").write_text(json.dumps(tact))
    with pytest.raises(ValueError, match="version 99"):
        TactPolicy.from_pretrained(tmp_path / "3")


def test_past_actions_teach_and_are_not_carried_out(tmp_path):
    policy, seen = relative(obs_state_horizon=2, n_past_actions=3, action_down_sample_steps=2), frames(4)
    assert policy.config.action_delta_indices == [0, 2, 4, 6, 8, 10, -2, -4, -6]
    assert policy.predict_action_chunk(window(seen[:2])).shape == (1, 12, 7)
    assert policy.model.decoder_pos_embed.weight.shape == (9, 16)
    batch = window(seen[:2])
    batch[ACTION] = batch[STATE][:, -1:].repeat(1, 9, 1)
    batch["action_is_pad"] = torch.tensor([[False] * 7 + [True] * 2])

    def losses(row: int) -> tuple[float, float]:
        moved = {**batch, ACTION: batch[ACTION].clone()}
        moved[ACTION][:, row] += 1
        torch.manual_seed(0)
        logged = policy.train().forward(moved)[1]
        return logged["l1_loss"], logged["kld_loss"]

    plain = losses(8)  # padding
    assert plain == losses(7)
    # A past action counts, and the latent does not see it; one of the chunk it sees.
    assert losses(6)[0] != plain[0] and losses(6)[1] == plain[1]
    assert losses(5)[0] != plain[0] and losses(5)[1] != plain[1]
    policy.eval().save_pretrained(tmp_path)
    tact = json.loads((tmp_path / "tact.json").read_text())
    assert tact["version"] == 3 and tact["n_past_actions"] == 3
    assert "n_past_actions" not in json.loads((tmp_path / "config.json").read_text())
    again = TactPolicy.from_pretrained(tmp_path)
    assert torch.equal(again.predict_action_chunk(window(seen[:2])), policy.predict_action_chunk(window(seen[:2])))
    relative(obs_state_horizon=2).save_pretrained(tmp_path / "none")
    assert "n_past_actions" not in json.loads((tmp_path / "none" / "tact.json").read_text())


def test_actions_that_are_given_are_none_here(tmp_path):
    policy, seen = relative(obs_state_horizon=2, max_action_prefix=3), frames(1)[0]
    weight = policy.model.action_prefix_proj.weight
    assert weight.shape == (policy.config.dim_model, 11)
    assert not TactPolicy(config(obs_state_horizon=2, max_action_prefix=3)).model.action_prefix_proj.weight.any()
    before = policy.select_action(seen)
    torch.nn.init.normal_(weight)
    policy.reset()
    assert torch.equal(policy.select_action(seen), before)
    policy.save_pretrained(tmp_path / "given")
    tact = json.loads((tmp_path / "given" / "tact.json").read_text())
    assert tact["max_action_prefix"] == 3 and tact["version"] == 3
    loaded = TactPolicy.from_pretrained(tmp_path / "given")
    assert loaded.config.max_action_prefix == 3
    assert torch.equal(loaded.model.action_prefix_proj.weight, weight)
    relative(obs_state_horizon=2).save_pretrained(tmp_path / "none")
    assert "max_action_prefix" not in json.loads((tmp_path / "none" / "tact.json").read_text())
    with pytest.raises(ValueError, match="max_action_prefix 6"):
        relative(obs_state_horizon=2, max_action_prefix=6)


def test_loss_is_of_relative_rows_and_has_gradients():
    policy = relative(obs_state_horizon=2).train()
    batch = window(frames(2))
    batch[ACTION] = batch[STATE][:, -1:].repeat(1, 6, 1)
    batch["action_is_pad"] = torch.tensor([[False] * 4 + [True] * 2])
    loss, logged = policy.forward(batch)
    loss.backward()
    assert set(logged) == {"l1_loss", "kld_loss"}
    assert policy.temporal_pos_embed.weight.grad.abs().sum() > 0
    # In evaluation there is no latent noise, and what is padded does not count.
    policy.eval()
    moved = {**batch, ACTION: batch[ACTION].clone()}
    moved[ACTION][:, 4:] += 1
    assert policy.forward(batch)[1]["l1_loss"] == policy.forward(moved)[1]["l1_loss"]


def test_saved_and_loaded_again(tmp_path):
    policy = relative(obs_state_horizon=2)
    policy.save_pretrained(tmp_path)
    saved = json.loads((tmp_path / "config.json").read_text())
    assert saved["type"] == "tact" and saved["normalization_mapping"]["STATE"] == "MIN_MAX"
    assert saved["input_features"][STATE]["shape"] == [10] and "obs_state_horizon" not in saved
    assert json.loads((tmp_path / "tact.json").read_text())["obs_state_horizon"] == 2
    again, seen = TactPolicy.from_pretrained(tmp_path), window(frames(2))
    assert torch.equal(again.predict_action_chunk(seen), policy.predict_action_chunk(seen))


def unseen(**options) -> TactPolicy:
    """Relative poses of a network that does not see the state."""
    c = config(arms=1, pose_repr="relative", **options)
    del c.input_features[STATE]
    c.normalization_mapping = {k: type(v)("MIN_MAX") if k != "VISUAL" else v
                               for k, v in c.normalization_mapping.items()}
    policy = TactPolicy(c, stats={ACTION: {"min": -torch.ones(10), "max": torch.ones(10)}}).eval()
    with torch.no_grad():
        for p in policy.parameters():
            p.add_(torch.randn_like(p) * 0.1)
    return policy


@pytest.mark.parametrize("horizon", [1, 2])
def test_poses_relative_to_one_that_the_network_does_not_see(tmp_path, horizon):
    policy, seen = unseen(obs_state_horizon=horizon), frames(3)
    assert not any("robot_state" in name for name in policy.state_dict())
    first = policy.select_action(seen[0])
    # Elsewhere with the same before its camera, it does the same there.
    there = {**seen[0], STATE: seen[0][STATE] + torch.tensor([3.0, -2, 1, 0, 0, 0, 0])}
    policy.reset()
    moved = policy.select_action(there) - first
    assert torch.allclose(moved[0, :3], torch.tensor([3.0, -2, 1]), atol=1e-5)
    assert torch.allclose(moved[0, 3:], torch.zeros(4), atol=1e-5)
    # The same from a window, in training, and saved and loaded again.
    taken = window(seen[:1] * horizon)
    chunk = policy.predict_action_chunk(taken)
    assert torch.allclose(chunk[:, 0], first, atol=1e-6)
    batch = {**taken, ACTION: chunk, "action_is_pad": torch.zeros(1, 6, dtype=torch.bool)}
    beside = {**batch, **{k: batch[k] + torch.tensor([3.0, -2, 1, 0, 0, 0, 0]) for k in (STATE, ACTION)}}
    assert abs(policy.forward(batch)[1]["l1_loss"] - policy.forward(beside)[1]["l1_loss"]) < 1e-5
    policy.train().forward(batch)[0].backward()
    policy.eval().save_pretrained(tmp_path)
    again = TactPolicy.from_pretrained(tmp_path)
    assert STATE not in json.loads((tmp_path / "config.json").read_text())["input_features"]
    assert torch.equal(again.predict_action_chunk(taken), chunk)
    with pytest.raises(KeyError):
        policy.select_action({IMAGE: seen[0][IMAGE]})


def test_a_missing_tensor_is_refused(tmp_path):
    from safetensors.torch import load_file, save_file

    relative(obs_state_horizon=2).save_pretrained(tmp_path)
    tensors = load_file(tmp_path / "model.safetensors")
    del tensors["model.action_head.bias"]
    save_file(tensors, tmp_path / "model.safetensors")
    with pytest.raises(RuntimeError, match="action_head.bias"):
        TactPolicy.from_pretrained(tmp_path, strict=False)


def test_refusals():
    with pytest.raises(ValueError, match="tact train"):
        TactPolicy(config(arms=1, pose_repr="relative"))
    policy = relative(obs_state_horizon=2)
    with pytest.raises(ValueError, match="neither made relative"):
        policy.predict_action_chunk({STATE: torch.zeros(1, 2, 10), IMAGE: torch.zeros(1, 2, 3, 32, 32)})
    with pytest.raises(ValueError, match="3 observations"):
        policy.predict_action_chunk(window(frames(3)))
    with pytest.raises(ValueError, match="no mean"):
        make_tact_pre_post_processors(config(), dataset_stats={STATE: {}})


def test_a_value_that_never_varied():
    stats = {STATE: {"min": torch.tensor([0.0, 2.0]), "max": torch.tensor([1.0, 2.0])}}
    n = RowNormalizer(STATE, "MIN_MAX", stats, 2)
    assert n(torch.tensor([1.0, 2.0])).tolist() == [1.0, -1.0]
    assert n(torch.tensor([0.0, 2.5])).tolist() == [-1.0, -0.5]
    assert n.invert(torch.tensor([1.0, 7.0])).tolist() == [1.0, 2.0]


def test_ensemble():
    """Against the sum that it stands for."""
    m, S, g = 0.3, 4, torch.Generator().manual_seed(2)
    chunks, ensembler = [torch.randn(1, S, 2, generator=g) for _ in range(9)], Ensembler(m)
    for now, chunk in enumerate(chunks):
        foresaw = [(chunks[k][:, now - k]) for k in range(max(0, now - S + 1), now + 1)]
        w = torch.exp(-m * torch.arange(len(foresaw)))
        wanted = sum(wi * c for wi, c in zip(w, foresaw, strict=True)) / w.sum()
        assert torch.allclose(ensembler.update(chunk), wanted, atol=1e-6)
