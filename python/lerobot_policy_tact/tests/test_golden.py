# SPDX-License-Identifier: Apache-2.0
"""The network against tests/golden: outputs, losses and a digest of every gradient, in float64."""

import json
from pathlib import Path
from types import SimpleNamespace

import pytest

np = pytest.importorskip("numpy", reason="NumPy is not installed")
torch = pytest.importorskip("torch", reason="PyTorch is not installed")
pytest.importorskip("torchvision", reason="torchvision is not installed")
from generate import inputs, parameter, unit  # noqa: E402
from lerobot_policy_tact.network import TemporalACT, act_loss  # noqa: E402
from safetensors.numpy import load_file  # noqa: E402

GOLDEN = Path(__file__).parents[3] / "tests" / "golden"
CASES = sorted(p.parent.name for p in GOLDEN.glob("*/case.json"))


class Case:
    def __init__(self, name: str):
        self.json = json.loads((GOLDEN / name / "case.json").read_text())
        self.expected = load_file(GOLDEN / name / "expected.safetensors")
        c = SimpleNamespace(**{"n_past_actions": 0, **self.json}, pretrained_backbone_weights=None)
        shapes, salt = c.inputs, c.salt
        cameras = sorted(k for k in shapes if k.startswith("image"))
        env = shapes.get("env")
        self.net = torch.nn.Module()
        self.net.model = TemporalACT(c, shapes["state"][2] if "state" in shapes else 0,
                                     env[1] if env else 0, shapes["action"][2], len(cameras))
        if c.temporal_pos_embed != "none":
            self.net.temporal_pos_embed = torch.nn.Embedding(c.obs_state_horizon, c.dim_model)
        self.net.double()
        self.load(salt)

        def value(key: str):
            return torch.tensor(inputs(f"input.{key}", salt, shapes[key])).double() if key in shapes else None

        self.state, self.env, self.eps = value("state"), value("env"), value("eps")
        self.action, self.images = value("action"), [value(k) for k in cameras]
        self.is_pad = torch.tensor(self.expected["action_is_pad"])

    def load(self, salt: int) -> None:
        listed = {**self.json["parameters"], **self.json.get("buffers", {})}
        own = self.net.state_dict()
        extra = {k: v for k, v in own.items() if k == "model.vae_encoder_pos_enc" and k not in listed}
        values = {k: torch.tensor(parameter(k, salt, tuple(s))).double() for k, s in listed.items()}
        if "model.vae_encoder_pos_enc" in listed:  # a table, not a random weight
            values["model.vae_encoder_pos_enc"] = own["model.vae_encoder_pos_enc"]
        self.net.load_state_dict({**values, **extra}, strict=True)

    def run(self, train: bool):
        self.net.train(train)
        embed = getattr(self.net, "temporal_pos_embed", None)
        table = None if embed is None else embed.weight
        given = (self.action, self.is_pad, self.eps) if train else ()
        return self.net.model(self.state, self.env, self.images, table, *given)


def relative(value, wanted) -> float:
    return float(np.linalg.norm(value - wanted) / max(np.linalg.norm(wanted), 1e-300))


@pytest.mark.parametrize("name", CASES)
def test_golden(name: str):
    case = Case(name)
    with torch.no_grad():
        out = case.run(train=False)[0].numpy()[:, :case.json["chunk_size"]]
    assert relative(out, case.expected["eval_action"]) <= 1e-6

    predicted, mu, log_sigma_x2 = case.run(train=True)
    total, l1, kld = act_loss(predicted, case.action, case.is_pad, mu, log_sigma_x2, case.json["kl_weight"])
    assert relative(predicted.detach().numpy(), case.expected["train_action"]) <= 1e-6
    if mu is not None:
        assert relative(mu.detach().numpy(), case.expected["mu"]) <= 1e-6
        assert relative(log_sigma_x2.detach().numpy(), case.expected["log_sigma_x2"]) <= 1e-6
    losses = np.array([total.item(), l1.item(), 0.0 if kld is None else kld.item()])
    assert relative(losses, case.expected["loss"]) <= 1e-6
    total.backward()
    check_gradients(case)


def check_gradients(case: Case) -> None:
    grads = {n: p.grad for n, p in case.net.named_parameters() if p.grad is not None}
    wanted = {k[5:]: v for k, v in case.expected.items() if k.startswith("grad.")}
    assert set(wanted) == set(case.json["parameters"])
    whole = case.expected["grad_norm"].item()
    for name, digest in wanted.items():
        g = grads[name].numpy().ravel()
        own = np.concatenate([[np.linalg.norm(g), g.sum(), g @ unit(f"proj.{name}", 0, g.size)], g[:16]])
        # A gradient that is nothing but rounding is held to the size of the whole.
        scale = digest[0] if digest[0] > 1e-10 * whole else 1e-5 * whole
        error = np.abs(own - digest) / scale
        error[1] /= np.sqrt(g.size)
        assert error.max() <= 1e-5, name
