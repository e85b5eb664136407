# SPDX-License-Identifier: Apache-2.0
"""The temporal ACT policy in PyTorch, as a peer to measure against: one training step on synthetic
batches, eager float32 as LeRobot trains on a CPU. Prints one JSON line.

    python act_torch.py --batch_size 8 --horizon 2 --image 240x320 --steps 3
"""
import argparse
import json
import math
import statistics
import time

import torch
import torchvision
from torch import nn
from torchvision.models._utils import IntermediateLayerGetter
from torchvision.ops.misc import FrozenBatchNorm2d


class FeedForward(nn.Module):
    def __init__(self, d, f, p):
        super().__init__()
        self.linear1, self.linear2, self.dropout = nn.Linear(d, f), nn.Linear(f, d), nn.Dropout(p)

    def forward(self, x):
        return self.linear2(self.dropout(torch.relu(self.linear1(x))))


class EncoderLayer(nn.Module):
    def __init__(self, d, heads, f, p):
        super().__init__()
        self.attention = nn.MultiheadAttention(d, heads, dropout=p)
        self.ff = FeedForward(d, f, p)
        self.norm1, self.norm2 = nn.LayerNorm(d), nn.LayerNorm(d)
        self.drop1, self.drop2 = nn.Dropout(p), nn.Dropout(p)

    def forward(self, x, pos, mask=None):
        q = x + pos
        x = self.norm1(x + self.drop1(self.attention(q, q, x, key_padding_mask=mask)[0]))
        return self.norm2(x + self.drop2(self.ff(x)))


class DecoderLayer(nn.Module):
    def __init__(self, d, heads, f, p):
        super().__init__()
        self.self_attention = nn.MultiheadAttention(d, heads, dropout=p)
        self.cross_attention = nn.MultiheadAttention(d, heads, dropout=p)
        self.ff = FeedForward(d, f, p)
        self.norm1, self.norm2, self.norm3 = nn.LayerNorm(d), nn.LayerNorm(d), nn.LayerNorm(d)
        self.drop1, self.drop2, self.drop3 = nn.Dropout(p), nn.Dropout(p), nn.Dropout(p)

    def forward(self, x, query_pos, memory, pos):
        q = x + query_pos
        x = self.norm1(x + self.drop1(self.self_attention(q, q, x)[0]))
        y = self.cross_attention(x + query_pos, memory + pos, memory)[0]
        x = self.norm2(x + self.drop2(y))
        return self.norm3(x + self.drop3(self.ff(x)))


def sinusoid_2d(d, h, w):
    half = d // 2
    i = torch.arange(half, dtype=torch.float64)
    wavelength = 10000 ** (2 * (i // 2) / half)

    def axis(n):
        p = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1e-6) * 2 * math.pi
        angle = p[:, None] / wavelength
        return torch.where(i % 2 == 0, angle.sin(), angle.cos()).float()

    y, x = axis(h)[:, None].expand(h, w, half), axis(w)[None].expand(h, w, half)
    return torch.cat([y, x], -1).reshape(h * w, d)


class TemporalACT(nn.Module):
    def __init__(self, state, action, horizon, cameras, chunk, d=512, heads=8, f=3200, latent=32, p=0.1):
        super().__init__()
        net = torchvision.models.resnet18(weights=None, norm_layer=FrozenBatchNorm2d)
        self.backbone = IntermediateLayerGetter(net, {"layer4": "map"})
        self.horizon, self.cameras, self.chunk, self.d, self.latent = horizon, cameras, chunk, d, latent
        self.vae_encoder = nn.ModuleList(EncoderLayer(d, heads, f, p) for _ in range(4))
        self.encoder = nn.ModuleList(EncoderLayer(d, heads, f, p) for _ in range(4))
        self.decoder = DecoderLayer(d, heads, f, p)
        self.decoder_norm = nn.LayerNorm(d)
        self.vae_cls, self.vae_state = nn.Embedding(1, d), nn.Linear(state, d)
        self.vae_action, self.vae_out = nn.Linear(action, d), nn.Linear(d, 2 * latent)
        self.register_buffer("vae_pos", torch.randn(chunk + 2, 1, d))
        self.state, self.latent_in = nn.Linear(state, d), nn.Linear(latent, d)
        self.image = nn.Conv2d(512, d, 1)
        self.kind, self.time = nn.Embedding(2, d), nn.Embedding(horizon, d)
        self.query, self.head = nn.Embedding(chunk, d), nn.Linear(d, action)

    def encode_latent(self, state, action, pad):
        b = state.shape[0]
        x = torch.cat([self.vae_cls.weight[None].expand(b, 1, -1), self.vae_state(state[:, -1:]),
                       self.vae_action(action)], 1).transpose(0, 1)
        mask = torch.cat([torch.zeros(b, 2, dtype=torch.bool), pad], 1)
        for layer in self.vae_encoder:
            x = layer(x, self.vae_pos, mask)
        mu, logvar = self.vae_out(x[0]).chunk(2, -1)
        return mu + (logvar / 2).exp() * torch.randn_like(mu), mu, logvar

    def forward(self, state, images, action=None, pad=None):
        b, t = state.shape[:2]
        mu = logvar = None
        z = torch.zeros(b, self.latent)
        if action is not None:
            z, mu, logvar = self.encode_latent(state, action, pad)
        tokens = [self.latent_in(z)[:, None], self.state(state)]
        pos = [self.kind.weight[:1], self.kind.weight[1:].expand(t, -1) + self.time.weight]
        for frames in images:
            m = self.image(self.backbone(frames.flatten(0, 1))["map"])
            h, w = m.shape[-2:]
            tokens.append(m.flatten(2).transpose(1, 2).reshape(b, t * h * w, self.d))
            table = sinusoid_2d(self.d, h, w)
            pos += [table + self.time.weight[i] for i in range(t)]
        x, pos = torch.cat(tokens, 1).transpose(0, 1), torch.cat(pos)[:, None]
        for layer in self.encoder:
            x = layer(x, pos)
        q = self.decoder(torch.zeros(self.chunk, b, self.d), self.query.weight[:, None], x, pos)
        return self.head(self.decoder_norm(q).transpose(0, 1)), mu, logvar


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--batch_size", type=int, default=8)
    parser.add_argument("--horizon", type=int, default=2)
    parser.add_argument("--image", default="240x320")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    h, w = map(int, args.image.split("x"))
    b, t, chunk, dim = args.batch_size, args.horizon, 100, 10
    model = TemporalACT(dim, dim, t, args.cameras, chunk)
    groups = [{"params": [q for n, q in model.named_parameters() if not n.startswith("backbone")]},
              {"params": [q for n, q in model.named_parameters() if n.startswith("backbone")], "lr": 1e-5}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, weight_decay=1e-4)
    state, action = torch.randn(b, t, dim), torch.randn(b, chunk, dim)
    pad = torch.zeros(b, chunk, dtype=torch.bool)
    images = [torch.randn(b, t, 3, h, w) for _ in range(args.cameras)]
    times = []
    for _ in range(args.steps + 1):
        start = time.perf_counter()
        out, mu, logvar = model(state, images, action, pad)
        l1 = ((out - action).abs() * ~pad[..., None]).sum() / ((~pad).sum() * dim)
        kld = (-0.5 * (1 + logvar - mu**2 - logvar.exp())).sum(-1).mean()
        (l1 + 10 * kld).backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        times.append(time.perf_counter() - start)
    print(json.dumps({"peer": f"torch {torch.__version__} eager", "threads": torch.get_num_threads(),
                      "image": args.image, "batch_size": b, "step_ms": 1e3 * statistics.median(times[1:])}))


if __name__ == "__main__":
    main()
