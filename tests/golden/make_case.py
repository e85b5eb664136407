# SPDX-License-Identifier: Apache-2.0
"""make_case.py [--check] NAME...: makes expected.safetensors and training.safetensors of a golden case from the
configuration in its case.json, and puts the names and shapes of its parameters and buffers in there.

Everything is computed in float64 by LeRobot's own ACT module. At T = 1 without a temporal table its forward is run
as it is; other cases run TemporalForm, which is docs/architecture.md's model put together from that module's layers.
--check writes nothing and says by how much what is there differs: a case of LeRobot's form is reproduced to
rounding, which is what makes a new one trustworthy. Measured: 4e-14 for `single`, and 2e-14 for `all` and `state` but for
the gradient of the temporal table, which those have rounded to float32. docs/testing.md says what the files hold.

Needs PyTorch, torchvision, safetensors and LeRobot.
"""
import json
import sys
from pathlib import Path

import numpy as np
import torch
from lerobot.configs.types import FeatureType, PolicyFeature
from lerobot.policies.act import modeling_act
from lerobot.policies.act.configuration_act import ACTConfig
from safetensors.numpy import load_file, save_file

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "python/lerobot_policy_tact/tests"))
from generate import inputs, parameter, unit  # noqa: E402

SETTINGS = ("chunk_size", "vision_backbone", "replace_final_stride_with_dilation", "pre_norm", "dim_model", "n_heads",
            "dim_feedforward", "feedforward_activation", "n_encoder_layers", "n_decoder_layers", "use_vae", "latent_dim",
            "n_vae_encoder_layers", "dropout", "kl_weight")
STEPS = 20


def lerobots_act(case):
    """LeRobot's module for the case's settings and shapes, in float64."""
    shapes = case["inputs"]
    seen = {}
    if "state" in shapes:
        seen["observation.state"] = PolicyFeature(FeatureType.STATE, (shapes["state"][2],))
    if "env" in shapes:
        seen["observation.environment_state"] = PolicyFeature(FeatureType.ENV, (shapes["env"][1],))
    for key in cameras(case):
        seen[f"observation.images.{key}"] = PolicyFeature(FeatureType.VISUAL, tuple(shapes[key][2:]))
    config = ACTConfig(**{k: case[k] for k in SETTINGS}, n_action_steps=case["chunk_size"], device="cpu",
                       pretrained_backbone_weights=None, input_features=seen,
                       output_features={"action": PolicyFeature(FeatureType.ACTION, (shapes["action"][2],))})
    act = modeling_act.ACT(config).double()
    # In evaluation it makes the latent in float32.
    act.encoder_latent_input_proj.register_forward_pre_hook(lambda _, x: (x[0].double(),))
    return act


def cameras(case):
    return sorted(key for key in case["inputs"] if key.startswith("image"))


class LeRobotsForm(torch.nn.Module):
    """LeRobot's own forward, on one observation."""

    def __init__(self, case):
        super().__init__()
        self.model = lerobots_act(case)

    def forward(self, given, eps):
        batch = {"observation.images": [image[:, 0] for image in given["images"]],
                 "action_is_pad": given["is_pad"], "action": given["action"]}
        # Without a state LeRobot still reads the batch's device from one, and not a value of it.
        unseen = torch.full((given["action"].shape[0], 1), float("nan")).double()
        batch["observation.state"] = unseen if given["state"] is None else given["state"][:, 0]
        if given["env"] is not None:
            batch["observation.environment_state"] = given["env"]
        drawn, torch.randn_like = torch.randn_like, lambda _: eps
        try:
            action, latent = self.model(batch)
        finally:
            torch.randn_like = drawn
        return action, *latent


class TemporalForm(torch.nn.Module):
    """T observations: more tokens of the same kinds, and the learned table of their times."""

    def __init__(self, case):
        super().__init__()
        self.case, self.model = case, lerobots_act(case)
        rows = case["chunk_size"] + case.get("n_past_actions", 0)  # the chunk's, and behind them the past
        self.model.decoder_pos_embed = torch.nn.Embedding(rows, case["dim_model"]).double()
        if case["temporal_pos_embed"] != "none":
            self.temporal_pos_embed = torch.nn.Embedding(case["obs_state_horizon"], case["dim_model"])

    def latent(self, given, eps):
        S = self.case["chunk_size"]  # it sees no past action
        act, first = self.model, [self.model.vae_encoder_cls_embed.weight.expand(len(eps), 1, -1)]
        if given["state"] is not None:
            first.append(act.vae_encoder_robot_state_input_proj(given["state"][:, -1:]))
        x = torch.cat([*first, act.vae_encoder_action_input_proj(given["action"][:, :S])], dim=1)
        masked = torch.cat([torch.zeros(len(eps), len(first), dtype=torch.bool), given["is_pad"][:, :S]], dim=1)
        cls = act.vae_encoder(x.transpose(0, 1), pos_embed=act.vae_encoder_pos_enc.transpose(0, 1),
                              key_padding_mask=masked)[0]
        mu, log_sigma_x2 = act.vae_encoder_latent_output_proj(cls).chunk(2, dim=1)
        return mu + torch.exp(log_sigma_x2 / 2) * eps, mu, log_sigma_x2

    def forward(self, given, eps):
        act, T = self.model, self.case["obs_state_horizon"]
        mu = log_sigma_x2 = None
        z = torch.zeros_like(eps)
        if self.case["use_vae"] and self.training:
            z, mu, log_sigma_x2 = self.latent(given, eps)
        kinds = act.encoder_1d_feature_pos_embed.weight
        times = self.temporal_pos_embed.weight if hasattr(self, "temporal_pos_embed") else torch.zeros(T, 1)
        tokens, places = [act.encoder_latent_input_proj(z)[:, None]], [kinds[:1]]
        if given["state"] is not None:
            tokens.append(act.encoder_robot_state_input_proj(given["state"]))
            places.append(kinds[1:2] + times)
        if given["env"] is not None:
            tokens.append(act.encoder_env_state_input_proj(given["env"])[:, None])
            places.append(kinds[-1:])
        for camera in given["images"]:  # (B, T, 3, h, w)
            for t in range(T):
                features = act.backbone(camera[:, t])["feature_map"]
                place = act.encoder_cam_feat_pos_embed(features).to(features)[0].flatten(1).T
                tokens.append(act.encoder_img_feat_input_proj(features).flatten(2).transpose(1, 2))
                places.append(place + times[t] if self.case["temporal_pos_embed"] == "all" else place)
        place = torch.cat([p.expand(-1, kinds.shape[1]) for p in places])[:, None]
        memory = act.encoder(torch.cat(tokens, dim=1).transpose(0, 1), pos_embed=place)
        queries = act.decoder_pos_embed.weight[:, None]
        nothing = torch.zeros(len(queries), len(z), kinds.shape[1], dtype=z.dtype)
        out = act.decoder(nothing, memory, encoder_pos_embed=place, decoder_pos_embed=queries)
        return act.action_head(out.transpose(0, 1)), mu, log_sigma_x2


def losses(case, given, action, mu, log_sigma_x2):
    valid = ~given["is_pad"][:, :, None]
    l1 = ((action - given["action"]).abs() * valid).sum() / (valid.sum() * action.shape[2])
    if mu is None:
        return l1, l1, torch.zeros(())
    kld = (-0.5 * (1 + log_sigma_x2 - mu**2 - log_sigma_x2.exp())).sum(1).mean()
    return l1 + case["kl_weight"] * kld, l1, kld


def padding(case):
    """Sample b of B lacks its last actions, and its oldest, which stand last among the past ones: none of the first
    sample's, more of every further one's."""
    B, S, N = case["inputs"]["action"][0], case["chunk_size"], case.get("n_past_actions", 0)
    return np.array([[i >= n - b * n // (B + 1) for n in (S, N) for i in range(n)] for b in range(B)])


def noise(case, step=None):
    salt = case["salt"] if step is None else case["salt"] + 1000 * (step + 1)
    return torch.tensor(inputs("input.eps", salt, case["inputs"]["eps"])).double()


def given_inputs(case, is_pad):
    def value(key):
        shape = case["inputs"].get(key)
        return None if shape is None else torch.tensor(inputs(f"input.{key}", case["salt"], shape)).double()

    return {"state": value("state"), "env": value("env"), "action": value("action"),
            "images": [value(key) for key in cameras(case)], "is_pad": torch.tensor(is_pad)}


def fill(case, net):
    """Lists the parameters and buffers, and gives them their values. The VAE's table keeps its own."""
    table = "model.vae_encoder_pos_enc"
    case["parameters"] = {n: list(p.shape) for n, p in net.named_parameters()}
    case["buffers"] = {n: list(b.shape) for n, b in net.named_buffers() if n != table}
    with torch.no_grad():
        for name, tensor in net.state_dict().items():
            if name != table:
                tensor.copy_(torch.tensor(parameter(name, case["salt"], tuple(tensor.shape))))


def digest(name, tensor, first, with_sum):
    x = tensor.detach().numpy().ravel()
    sums = [x.sum()] if with_sum else []
    return np.array([np.linalg.norm(x), *sums, x @ unit(f"proj.{name}", 0, x.size), *x[:first]])


def expected(case, net, given):
    with torch.no_grad():
        out = {"eval_action": net.eval()(given, noise(case))[0][:, :case["chunk_size"]].numpy()}
    action, mu, log_sigma_x2 = net.train()(given, noise(case))
    parts = losses(case, given, action, mu, log_sigma_x2)
    parts[0].backward()
    out |= {"action_is_pad": given["is_pad"].numpy(), "train_action": action.detach().numpy(),
            "loss": np.array([x.item() for x in parts])}
    if mu is not None:
        out |= {"mu": mu.detach().numpy(), "log_sigma_x2": log_sigma_x2.detach().numpy()}
    grads = {n: torch.zeros_like(p) if p.grad is None else p.grad for n, p in net.named_parameters()}
    out["grad_norm"] = np.array([np.sqrt(sum(g.square().sum().item() for g in grads.values()))])
    return out | {f"grad.{n}": digest(n, g, 16, True) for n, g in grads.items()}


def training(case, net, given):
    groups = [{"params": [p for n, p in net.named_parameters() if "backbone" not in n]},
              {"params": [p for n, p in net.named_parameters() if "backbone" in n], "lr": 1e-5}]
    optimizer = torch.optim.AdamW(groups, lr=1e-4, weight_decay=1e-4)
    curve = []
    for step in range(STEPS):
        optimizer.zero_grad()
        parts = losses(case, given, *net.train()(given, noise(case, step)))
        parts[0].backward()
        norm = torch.nn.utils.clip_grad_norm_(net.parameters(), 10.0)
        curve.append([*(x.item() for x in parts), norm.item()])
        optimizer.step()
    return {"curve": np.array(curve)} | {f"param.{n}": digest(n, p, 8, False) for n, p in net.named_parameters()}


def difference(there, made):
    """The largest relative distance of a tensor, those left out that are nothing but rounding."""
    assert set(there) == set(made), set(there) ^ set(made)
    worst = 0.0, ""
    for name, wanted in there.items():
        scale = np.linalg.norm(wanted.astype(float))
        if scale > 1e-10:
            worst = max(worst, (np.linalg.norm(made[name].astype(float) - wanted) / scale, name))
    return worst


def make(name, check):
    folder = HERE / name
    case = json.loads((folder / "case.json").read_text())
    plain = (case["obs_state_horizon"] == 1 and case["temporal_pos_embed"] == "none"
             and not case.get("n_past_actions"))
    torch.manual_seed(0)
    net = (LeRobotsForm if plain else TemporalForm)(case)
    there = load_file(folder / "expected.safetensors") if check else {"action_is_pad": padding(case)}
    given = given_inputs(case, there["action_is_pad"])
    fill(case, net)
    files = {"expected": expected(case, net, given)}
    if not check or (folder / "training.safetensors").exists():
        files["training"] = training(case, net, given)
    for file, made in files.items():
        if check:
            print(f"{name}/{file}: off by %.1e (%s)" % difference(load_file(folder / f"{file}.safetensors"), made))
        else:
            whole = {k: np.ascontiguousarray(v) for k, v in made.items()}  # save_file writes a view as it lies
            save_file(whole, folder / f"{file}.safetensors")
    if not check:
        (folder / "case.json").write_text(json.dumps(case, indent=1))
        print(f"{name}: loss {files['expected']['loss']}, {sum(v.size for f in files.values() for v in f.values())} values")


for argument in sys.argv[1:]:
    if argument != "--check":
        make(argument, "--check" in sys.argv)
