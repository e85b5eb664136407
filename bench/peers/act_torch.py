# SPDX-License-Identifier: Apache-2.0
"""The temporal ACT policy in PyTorch, as a peer to measure against: training steps on synthetic batches,
or (--infer) the latency of one observation, or (--peak) what the machine can do. Prints one JSON line for
each --precision.

    python act_torch.py --batch_size 8 --horizon 2 --image 240x320 --steps 3
    python act_torch.py --device cuda --precision tf32,bf16 --image 480x640 --steps 50 --read_losses
    python act_torch.py --device cuda --precision bf16 --compile --lean --image 480x640 --steps 50

On a CPU it is eager float32 as LeRobot trains there. On a card it does what LeRobot's trainer does (cuDNN
benchmark mode; --precision tf32 as it allows; frames from pinned memory each step; with --read_losses it
waits for the losses each step); --lean is what a careful user would change in LeRobot's code for speed.
"""
import argparse
import contextlib
import json
import math
import resource
import statistics
import time

import torch
from torch import nn


class FeedForward(nn.Module):
    def __init__(self, d, f, p):
        super().__init__()
        self.linear1, self.linear2, self.dropout = nn.Linear(d, f), nn.Linear(f, d), nn.Dropout(p)

    def forward(self, x):
        return self.linear2(self.dropout(torch.relu(self.linear1(x))))


class Norm(nn.Module):
    """A batch norm that is not trained. bfloat16 times its float32 scale is float32, as in torchvision's, which
    LeRobot takes; `lean` stays in the type of x."""

    lean = False

    def __init__(self, channels):
        super().__init__()
        for name, value in (("weight", 1.0), ("bias", 0.0), ("running_mean", 0.0), ("running_var", 1.0)):
            self.register_buffer(name, torch.full((channels,), value))

    def forward(self, x):
        scale = (self.weight * (self.running_var + 1e-5).rsqrt())[:, None, None]
        shift = self.bias[:, None, None] - self.running_mean[:, None, None] * scale
        return x * scale.to(x.dtype) + shift.to(x.dtype) if self.lean else x * scale + shift


class Block(nn.Module):
    def __init__(self, cin, cout, stride):
        super().__init__()
        self.conv1, self.bn1 = nn.Conv2d(cin, cout, 3, stride, 1, bias=False), Norm(cout)
        self.conv2, self.bn2 = nn.Conv2d(cout, cout, 3, 1, 1, bias=False), Norm(cout)
        self.downsample = None
        if stride != 1:
            self.downsample = nn.Sequential(nn.Conv2d(cin, cout, 1, stride, bias=False), Norm(cout))

    def forward(self, x):
        y = self.bn2(self.conv2(torch.relu_(self.bn1(self.conv1(x)))))
        y += x if self.downsample is None else self.downsample(x)
        return torch.relu_(y)


class ResNet18(nn.Module):
    """Up to the last map, with torchvision's names. Written here so that PyTorch alone is enough."""

    def __init__(self):
        super().__init__()
        self.conv1, self.bn1, self.maxpool = nn.Conv2d(3, 64, 7, 2, 3, bias=False), Norm(64), nn.MaxPool2d(3, 2, 1)
        self.layer1 = nn.Sequential(Block(64, 64, 1), Block(64, 64, 1))
        self.layer2 = nn.Sequential(Block(64, 128, 2), Block(128, 128, 1))
        self.layer3 = nn.Sequential(Block(128, 256, 2), Block(256, 256, 1))
        self.layer4 = nn.Sequential(Block(256, 512, 2), Block(512, 512, 1))
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")

    def forward(self, x):
        x = self.maxpool(torch.relu_(self.bn1(self.conv1(x))))
        return self.layer4(self.layer3(self.layer2(self.layer1(x))))


class Attention(nn.MultiheadAttention):
    """LeRobot has the weights computed and drops them; `lean` spares them (flash attention)."""

    lean = False

    def forward(self, q, k, v, key_padding_mask=None):
        return super().forward(q, k, v, key_padding_mask=key_padding_mask, need_weights=not self.lean)


class EncoderLayer(nn.Module):
    def __init__(self, d, heads, f, p):
        super().__init__()
        self.attention = Attention(d, heads, dropout=p)
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
        self.self_attention = Attention(d, heads, dropout=p)
        self.cross_attention = Attention(d, heads, dropout=p)
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
    def __init__(self, state, action, horizon, cameras, chunk, image, d=512, heads=8, f=3200, latent=32,
                 p=0.1):
        super().__init__()
        self.backbone = ResNet18()
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
        h, w = ((n + 31) // 32 for n in image)
        self.register_buffer("table", sinusoid_2d(d, h, w))

    def encode_latent(self, state, action, pad):
        b = state.shape[0]
        x = torch.cat([self.vae_cls.weight[None].expand(b, 1, -1), self.vae_state(state[:, -1:]),
                       self.vae_action(action)], 1).transpose(0, 1)
        mask = torch.cat([pad.new_zeros(b, 2), pad], 1)
        for layer in self.vae_encoder:
            x = layer(x, self.vae_pos, mask)
        mu, logvar = self.vae_out(x[0]).chunk(2, -1)
        return mu + (logvar / 2).exp() * torch.randn_like(mu), mu, logvar

    def forward(self, state, images, action=None, pad=None):
        b, t = state.shape[:2]
        mu = logvar = None
        z = state.new_zeros(b, self.latent)
        if action is not None:
            z, mu, logvar = self.encode_latent(state, action, pad)
        tokens = [self.latent_in(z)[:, None], self.state(state)]
        pos = [self.kind.weight[:1], self.kind.weight[1:].expand(t, -1) + self.time.weight]
        for frames in images:
            m = self.image(self.backbone(frames.flatten(0, 1)))
            h, w = m.shape[-2:]
            tokens.append(m.flatten(2).transpose(1, 2).reshape(b, t * h * w, self.d))
            pos += [self.table + self.time.weight[i] for i in range(t)]
        x, pos = torch.cat(tokens, 1).transpose(0, 1), torch.cat(pos)[:, None]
        for layer in self.encoder:
            x = layer(x, pos)
        q = self.decoder(x.new_zeros(self.chunk, b, self.d), self.query.weight[:, None], x, pos)
        return self.head(self.decoder_norm(q).transpose(0, 1)), mu, logvar


class Step(nn.Module):
    """What is compiled: frames to normalised images, the model, and in training the losses."""

    def __init__(self, model, lean):
        super().__init__()
        self.model, self.lean = model, lean
        self.register_buffer("mean", torch.tensor([0.485, 0.456, 0.406])[:, None, None])
        self.register_buffer("std", torch.tensor([0.229, 0.224, 0.225])[:, None, None])

    def normalised(self, frames):
        if frames.dtype != torch.uint8:
            return frames
        x = (frames.float() / 255 - self.mean) / self.std
        if self.lean:
            b, t = x.shape[:2]
            x = x.flatten(0, 1).contiguous(memory_format=torch.channels_last).unflatten(0, (b, t))
        return x

    def forward(self, state, images, action=None, pad=None):
        out, mu, logvar = self.model(state, [self.normalised(x) for x in images], action, pad)
        if action is None:
            return out
        l1 = ((out - action).abs() * ~pad[..., None]).sum() / ((~pad).sum() * action.shape[-1])
        kld = (-0.5 * (1 + logvar - mu**2 - logvar.exp())).sum(-1).mean()
        return l1 + 10 * kld, l1, kld


def autocast(args, precision):
    if precision == "bf16":
        return torch.autocast(args.device, dtype=torch.bfloat16)
    return contextlib.nullcontext()


def synchronize(args):
    if args.device == "cuda":
        torch.cuda.synchronize()


def build(args, precision):
    """The model, and what runs it (compiled or not)."""
    torch.manual_seed(0)
    if args.device == "cuda":
        torch.backends.cudnn.benchmark = True
        torch.backends.cudnn.allow_tf32 = precision != "float32"
        torch.set_float32_matmul_precision("highest" if precision == "float32" else "high")
    Attention.lean = Norm.lean = args.lean
    model = TemporalACT(DIM, DIM, args.horizon, args.cameras, CHUNK, args.size)
    step = Step(model, args.lean).to(args.device)
    if args.lean:
        step = step.to(memory_format=torch.channels_last)
    return model, step


def compiled(args, step):
    return torch.compile(step, mode=args.compile, dynamic=False) if args.compile else step


def batches(args, count):
    """Batches in host memory, pinned for a card; frames are uint8 there, as a loader hands them over, and
    on a CPU floats that need no more work."""
    b, t, (h, w) = args.batch_size, args.horizon, args.size
    out = []
    for _ in range(count):
        if args.frames == "uint8":
            images = [torch.randint(0, 256, (b, t, 3, h, w), dtype=torch.uint8) for _ in range(args.cameras)]
        else:
            images = [torch.randn(b, t, 3, h, w) for _ in range(args.cameras)]
        batch = (torch.randn(b, t, DIM), images, torch.randn(b, CHUNK, DIM),
                 torch.zeros(b, CHUNK, dtype=torch.bool))
        out.append(tuple(pinned(x) for x in batch) if args.device == "cuda" else batch)
    return out


def pinned(x):
    return [y.pin_memory() for y in x] if isinstance(x, list) else x.pin_memory()


def moved(args, x):
    if isinstance(x, list):
        return [moved(args, y) for y in x]
    return x.to(args.device, non_blocking=True)


def timed(args, step):
    """Milliseconds of each of args.steps calls after the warm-up, and their mean by the wall clock. On a
    card the calls are not waited for one by one: a call's time is that between two events in its stream."""
    for i in range(args.warmup):
        step(i)
    synchronize(args)
    start = last = time.perf_counter()
    times, events = [], []
    for i in range(args.steps):
        if args.device == "cuda":
            events.append(torch.cuda.Event(enable_timing=True))
            events[-1].record()
        step(i)
        now = time.perf_counter()
        times.append(1e3 * (now - last))
        last = now
    if args.device == "cuda":
        events.append(torch.cuda.Event(enable_timing=True))
        events[-1].record()
        synchronize(args)
        times = [a.elapsed_time(b) for a, b in zip(events, events[1:])]
    return times, 1e3 * (time.perf_counter() - start) / args.steps


def quantile(times, q):
    return sorted(times)[round(q * (len(times) - 1))]


def flops_of(call):
    """Of convolutions, matrix products and attention in one call, or None."""
    try:
        from torch.utils.flop_counter import FlopCounterMode
        with FlopCounterMode(display=False) as counter:
            call()
        return counter.get_total_flops()
    except Exception:
        return None


def train(args, precision):
    model, eager = build(args, precision)
    named = list(model.named_parameters())
    groups = [{"params": [q for n, q in named if not n.startswith("backbone")]},
              {"params": [q for n, q in named if n.startswith("backbone")], "lr": 1e-5}]
    optimizer = torch.optim.AdamW(groups, lr=1e-5, weight_decay=1e-4,
                                  **({"fused": True} if args.fused or args.lean else {}))
    run, host = compiled(args, eager), batches(args, 2 if args.device == "cuda" else 1)
    last = [None]

    def step(i, run=run):
        if args.compile:
            torch.compiler.cudagraph_mark_step_begin()
        batch = [moved(args, x) for x in host[i % len(host)]]
        with autocast(args, precision):
            loss, l1, kld = run(*batch)
        if args.read_losses:
            l1.item(), kld.item()
        loss.backward()
        norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 10.0)
        optimizer.step()
        optimizer.zero_grad()
        if args.read_losses:
            loss.item(), norm.item()
        last[0] = loss.detach()

    flops = flops_of(lambda: step(0, eager)) if args.device == "cuda" else None
    if args.device == "cuda":
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()
    times, mean = timed(args, step)
    ms = statistics.median(times)
    result = {"step_ms": ms, "step_p10_ms": quantile(times, 0.1), "step_p90_ms": quantile(times, 0.9),
              "step_mean_ms": mean, "samples_per_s": 1e3 * args.batch_size / ms, "loss": last[0].item()}
    if flops:
        result |= {"gflop_per_step": flops / 1e9, "gflops": flops / ms / 1e6}
    if args.device == "cuda":
        result["peak_memory_mb"] = torch.cuda.max_memory_allocated() / 1e6
    result["resident_mb"] = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3  # the process' largest
    return result


def infer(args, precision):
    """From frames in host memory to the chunk of actions in host memory, one call after the other."""
    model, eager = build(args, precision)
    model.eval()
    run, host = compiled(args, eager), batches(args, 1)
    times = []
    with torch.inference_mode(), autocast(args, precision):
        for i in range(-args.warmup, args.steps):
            start = time.perf_counter()
            if args.compile:
                torch.compiler.cudagraph_mark_step_begin()
            run(*[moved(args, x) for x in host[0][:2]]).float().cpu()
            if i >= 0:
                times.append(1e3 * (time.perf_counter() - start))
    return {"latency_ms": statistics.median(times), "latency_p10_ms": quantile(times, 0.1),
            "latency_p90_ms": quantile(times, 0.9)}


def peak(args, precision):
    """Best rates of a square matrix product and of a copy (bytes read and written)."""
    build(args, precision)
    n = 8192 if args.device == "cuda" else 1024
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    a, b = (torch.rand(n, n, device=args.device) * 2 - 1 for _ in range(2))
    y = torch.empty(n, n, device=args.device, dtype=dtype)
    source, target = (torch.rand(n * n, device=args.device) for _ in range(2))

    def best(call, calls=4):
        least = math.inf
        for i in range(6):
            synchronize(args)
            start = time.perf_counter()
            for _ in range(calls):
                call()
            synchronize(args)
            if i:
                least = min(least, (time.perf_counter() - start) / calls)
        return least

    a, b = a.to(dtype), b.to(dtype)
    return {"peak_size": n, "peak_gflops": 2 * n**3 / best(lambda: torch.mm(a, b.T, out=y)) / 1e9,
            "copy_gbps": 8 * n * n / best(lambda: target.copy_(source)) / 1e9}


CHUNK, DIM = 100, 10


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--device", default="cpu", choices=["cpu", "cuda"])
    parser.add_argument("--precision", default="float32", help="float32, tf32, bf16 (autocast), or several: a,b")
    parser.add_argument("--compile", nargs="?", const="reduce-overhead", help="torch.compile, with this mode")
    parser.add_argument("--lean", action="store_true",
                        help="attention without weights, channels_last, fused AdamW, frozen norms that stay in bf16")
    parser.add_argument("--fused", action="store_true", help="fused AdamW instead of the default (foreach)")
    parser.add_argument("--read_losses", action="store_true", help="read losses back each step, as LeRobot does")
    parser.add_argument("--infer", action="store_true", help="latency of one call, batch 1")
    parser.add_argument("--peak", action="store_true", help="rates of a matrix product and a copy")
    parser.add_argument("--frames", choices=["uint8", "float"], help="default: uint8 on a card, float on a CPU")
    parser.add_argument("--batch_size", "--batch", type=int, default=8)
    parser.add_argument("--horizon", type=int, default=2)
    parser.add_argument("--image", default="240x320")
    parser.add_argument("--cameras", type=int, default=1)
    parser.add_argument("--steps", type=int, default=3)
    parser.add_argument("--warmup", type=int, help="default: 10 on a card, 1 on a CPU")
    parser.add_argument("--threads", type=int, default=0)
    args = parser.parse_args()
    if args.threads:
        torch.set_num_threads(args.threads)
    card = args.device == "cuda"
    if card and not torch.cuda.is_available():
        parser.error("PyTorch sees no card")
    args.size = tuple(map(int, args.image.split("x")))
    args.warmup = args.warmup if args.warmup is not None else 10 if card else 1
    args.frames = args.frames or ("uint8" if card else "float")
    if args.infer:
        args.batch_size = 1
    work = peak if args.peak else infer if args.infer else train
    for precision in args.precision.split(","):
        if precision not in ("float32", "tf32", "bf16"):
            parser.error(f"--precision {precision}: not float32, tf32 or bf16")
        result = {"peer": f"torch {torch.__version__} " + (f"compile {args.compile}" if args.compile else "eager"),
                  "device": torch.cuda.get_device_name() if card else "cpu", "precision": precision,
                  "lean": args.lean, "threads": torch.get_num_threads(), "image": args.image,
                  "cameras": args.cameras, "batch_size": args.batch_size, "obs_state_horizon": args.horizon,
                  "steps": args.steps}
        print(json.dumps(result | work(args, precision), allow_nan=False), flush=True)
        if card:
            torch._dynamo.reset()
            torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
