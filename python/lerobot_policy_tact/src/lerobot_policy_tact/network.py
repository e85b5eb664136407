# SPDX-License-Identifier: Apache-2.0
"""The temporal ACT network in PyTorch: the model of docs/architecture.md under LeRobot's names.

Shapes: B samples, T observations, S = chunk_size, Q = S + n_past_actions, D = dim_model, A action values, L tokens.
"""

import math
from itertools import groupby

import torch
import torch.nn.functional as F
import torchvision
from torch import Tensor, nn
from torchvision.ops.misc import FrozenBatchNorm2d


class FeedForward(nn.Module):
    """What encoder and decoder layers share. Submodules are registered in LeRobot's order: the
    optimiser numbers its state by it."""

    def __init__(self, c, attentions: tuple[str, ...], norms: int):
        super().__init__()
        for name in attentions:
            layer = nn.MultiheadAttention(c.dim_model, c.n_heads, dropout=c.dropout, batch_first=True)
            self.add_module(name, layer)
        self.linear1 = nn.Linear(c.dim_model, c.dim_feedforward)
        self.linear2 = nn.Linear(c.dim_feedforward, c.dim_model)
        for i in range(norms):
            self.add_module(f"norm{i + 1}", nn.LayerNorm(c.dim_model))
        self.drop = nn.Dropout(c.dropout)
        self.pre_norm = c.pre_norm
        self.activation = {"relu": F.relu, "gelu": F.gelu}[c.feedforward_activation]

    def feed_forward(self, x: Tensor) -> Tensor:
        return self.linear2(self.drop(self.activation(self.linear1(x))))

    def block(self, x: Tensor, norm: nn.LayerNorm, inner) -> Tensor:
        """A residual block, normalised before or after."""
        if self.pre_norm:
            return x + self.drop(inner(norm(x)))
        return norm(x + self.drop(inner(x)))


def attend(layer: nn.MultiheadAttention, query: Tensor, key: Tensor, value: Tensor,
           padding: Tensor | None = None) -> Tensor:
    return layer(query, key, value, key_padding_mask=padding, need_weights=False)[0]


class EncoderLayer(FeedForward):
    def __init__(self, c):
        super().__init__(c, ("self_attn",), 2)

    def forward(self, x: Tensor, positions: Tensor, padding: Tensor | None) -> Tensor:
        def own(y: Tensor) -> Tensor:
            return attend(self.self_attn, y + positions, y + positions, y, padding)

        return self.block(self.block(x, self.norm1, own), self.norm2, self.feed_forward)


class Encoder(nn.Module):
    def __init__(self, c, layers: int):
        super().__init__()
        self.layers = nn.ModuleList(EncoderLayer(c) for _ in range(layers))
        self.norm = nn.LayerNorm(c.dim_model) if c.pre_norm else nn.Identity()

    def forward(self, x: Tensor, positions: Tensor, padding: Tensor | None = None) -> Tensor:
        for layer in self.layers:
            x = layer(x, positions, padding)
        return self.norm(x)


class DecoderLayer(FeedForward):
    def __init__(self, c):
        super().__init__(c, ("self_attn", "multihead_attn"), 3)

    def forward(self, x: Tensor, queries: Tensor, memory: Tensor, keys: Tensor) -> Tensor:
        def own(y: Tensor) -> Tensor:
            return attend(self.self_attn, y + queries, y + queries, y)

        def cross(y: Tensor) -> Tensor:
            return attend(self.multihead_attn, y + queries, keys, memory)

        x = self.block(x, self.norm1, own)
        x = self.block(x, self.norm2, cross)
        return self.block(x, self.norm3, self.feed_forward)


class Decoder(nn.Module):
    def __init__(self, c):
        super().__init__()
        self.layers = nn.ModuleList(DecoderLayer(c) for _ in range(c.n_decoder_layers))
        self.norm = nn.LayerNorm(c.dim_model)

    def forward(self, x: Tensor, queries: Tensor, memory: Tensor, keys: Tensor) -> Tensor:
        for layer in self.layers:
            x = layer(x, queries, memory, keys)
        return self.norm(x)


class Backbone(nn.Module):
    """torchvision's ResNet up to its last stage, with batch norms that never learn. The submodules are
    taken out of it, so that the weights are called backbone.conv1.weight and so on."""

    def __init__(self, c):
        super().__init__()
        make = getattr(torchvision.models, c.vision_backbone)
        net = make(
            weights=c.pretrained_backbone_weights,
            norm_layer=FrozenBatchNorm2d,
            replace_stride_with_dilation=[False, False, bool(c.replace_final_stride_with_dilation)],
        )
        self.channels = net.fc.in_features
        for name, module in net.named_children():
            if name not in ("avgpool", "fc"):
                self.add_module(name, module)

    def forward(self, x: Tensor) -> Tensor:
        for module in self.children():
            x = module(x)
        return x


def sequence_sinusoid(length: int, width: int) -> Tensor:
    """(1, length, width): position / 10000^(2 floor(j/2) / width), sine on even j, cosine on odd j."""
    j = torch.arange(width, dtype=torch.float64)
    angle = torch.arange(length, dtype=torch.float64)[:, None] / 10000 ** (2 * (j // 2) / width)
    return torch.where(j.long() % 2 == 0, angle.sin(), angle.cos())[None].float()


def image_sinusoid(height: int, width: int, dim: int) -> Tensor:
    """(height * width, dim): rows first, then columns, each on half of the channels, positions scaled
    to (0, 2 pi]."""

    def axis(n: int) -> Tensor:
        i = torch.arange(dim // 2, dtype=torch.float64)
        position = torch.arange(1, n + 1, dtype=torch.float64) / (n + 1e-6) * 2 * math.pi
        angle = position[:, None] / 10000 ** (2 * (i // 2) / (dim // 2))
        return torch.where(i.long() % 2 == 0, angle.sin(), angle.cos())

    rows = axis(height)[:, None].expand(height, width, dim // 2)
    columns = axis(width)[None].expand(height, width, dim // 2)
    return torch.cat([rows, columns], dim=-1).reshape(height * width, dim)


class TemporalACT(nn.Module):
    """`c` has the fields of ACT's configuration, and obs_state_horizon and temporal_pos_embed.

    The temporal table is an argument of forward and not a part of this module, because its name in a
    checkpoint is temporal_pos_embed.weight and not model.temporal_pos_embed.weight.
    """

    def __init__(self, c, state_dim: int, env_dim: int, action_dim: int, cameras: int):
        super().__init__()
        self.c = c
        self.state_dim, self.env_dim, self.cameras = state_dim, env_dim, cameras
        if c.use_vae:
            self._add_vae(state_dim, action_dim)
        if cameras:
            self.backbone = Backbone(c)
        self.encoder = Encoder(c, c.n_encoder_layers)
        self.decoder = Decoder(c)
        for p in (*self.encoder.parameters(), *self.decoder.parameters()):
            if p.dim() > 1:
                nn.init.xavier_uniform_(p)
        self._add_projections(state_dim, env_dim, action_dim)

    def _add_vae(self, state_dim: int, action_dim: int) -> None:
        c = self.c
        self.vae_encoder = Encoder(c, c.n_vae_encoder_layers)
        self.vae_encoder_cls_embed = nn.Embedding(1, c.dim_model)
        if state_dim:
            self.vae_encoder_robot_state_input_proj = nn.Linear(state_dim, c.dim_model)
        self.vae_encoder_action_input_proj = nn.Linear(action_dim, c.dim_model)
        self.vae_encoder_latent_output_proj = nn.Linear(c.dim_model, 2 * c.latent_dim)
        tokens = 1 + (state_dim > 0) + c.chunk_size
        self.register_buffer("vae_encoder_pos_enc", sequence_sinusoid(tokens, c.dim_model))

    def _add_projections(self, state_dim: int, env_dim: int, action_dim: int) -> None:
        c = self.c
        if state_dim:
            self.encoder_robot_state_input_proj = nn.Linear(state_dim, c.dim_model)
        if env_dim:
            self.encoder_env_state_input_proj = nn.Linear(env_dim, c.dim_model)
        self.encoder_latent_input_proj = nn.Linear(c.latent_dim, c.dim_model)
        if self.cameras:
            self.encoder_img_feat_input_proj = nn.Conv2d(self.backbone.channels, c.dim_model, 1)
        kinds = 1 + (state_dim > 0) + (env_dim > 0)
        self.encoder_1d_feature_pos_embed = nn.Embedding(kinds, c.dim_model)
        self.decoder_pos_embed = nn.Embedding(c.chunk_size + c.n_past_actions, c.dim_model)
        self.action_head = nn.Linear(c.dim_model, action_dim)
        if getattr(c, "max_action_prefix", 0):
            # Kept for the runtime that gives the policy actions to go on from: of none nothing is projected.
            self.action_prefix_proj = nn.Linear(action_dim + 1, c.dim_model, bias=False)
            nn.init.zeros_(self.action_prefix_proj.weight)

    def latent(self, state: Tensor | None, action: Tensor, is_pad: Tensor, eps: Tensor | None):
        """mu + exp(log sigma^2 / 2) eps from [cls, newest state, actions of the chunk]; padded actions are masked."""
        action, is_pad = action[:, :self.c.chunk_size], is_pad[:, :self.c.chunk_size]
        B = action.shape[0]
        tokens = [self.vae_encoder_cls_embed.weight.expand(B, 1, -1)]
        if self.state_dim:
            tokens.append(self.vae_encoder_robot_state_input_proj(state[:, -1:]))
        tokens.append(self.vae_encoder_action_input_proj(action))
        x = torch.cat(tokens, dim=1)
        padding = F.pad(is_pad.bool(), (x.shape[1] - is_pad.shape[1], 0), value=False)
        cls = self.vae_encoder(x, self.vae_encoder_pos_enc, padding)[:, 0]
        mu, log_sigma_x2 = self.vae_encoder_latent_output_proj(cls).chunk(2, dim=-1)
        eps = torch.randn_like(mu) if eps is None else eps
        return mu + (log_sigma_x2 / 2).exp() * eps, mu, log_sigma_x2

    def image_tokens(self, images: list[Tensor]) -> tuple[Tensor, list[Tensor]]:
        """Cameras (B, T, 3, h, w) each, of sizes of their own -> tokens (B, cameras T h' w', D), and the
        sinusoid of one frame of each camera. Neighbours of one size go through the backbone together."""
        tokens, frames = [], []
        for _, neighbours in groupby(images, key=lambda image: image.shape):
            alike = list(neighbours)
            y, frame = self.tokens_of_one_size(alike)
            tokens.append(y)
            frames += [frame] * len(alike)
        return torch.cat(tokens, dim=1), frames

    def tokens_of_one_size(self, images: list[Tensor]) -> tuple[Tensor, Tensor]:
        B, T = images[0].shape[:2]
        x = torch.stack(images).flatten(0, 2)
        y = self.encoder_img_feat_input_proj(self.backbone(x))  # (cameras B T, D, h', w')
        height, width = y.shape[2:]
        y = y.flatten(2).transpose(1, 2).unflatten(0, (len(images), B, T))
        y = y.permute(1, 0, 2, 3, 4).flatten(1, 3)
        return y, image_sinusoid(height, width, self.c.dim_model).to(y)

    def positions(self, frames: list[Tensor], table: Tensor | None) -> Tensor:
        """(L, D): a learned row per kind of token, the sinusoid for image tokens, the temporal table."""
        T, kinds = self.c.obs_state_horizon, self.encoder_1d_feature_pos_embed.weight
        times = kinds.new_zeros(T, kinds.shape[1]) if table is None else table
        rows = [kinds[:1]]
        if self.state_dim:
            rows.append(kinds[1:2] + times)
        if self.env_dim:
            rows.append(kinds[-1:])
        on_images = times if self.c.temporal_pos_embed == "all" else torch.zeros_like(times)
        rows += [(frame[None] + on_images[:, None]).flatten(0, 1) for frame in frames]
        return torch.cat(rows)

    def forward(self, state: Tensor | None, env: Tensor | None, images: list[Tensor],
                table: Tensor | None, action: Tensor | None = None, is_pad: Tensor | None = None,
                eps: Tensor | None = None):
        """state (B, T, ds), env (B, E), images per camera (B, T, 3, h, w), all normalised.
        Returns actions (B, Q, A), those of the chunk first, mu and log sigma^2 (None where the VAE is not run)."""
        first = next(x for x in (state, env, *images) if x is not None)
        B, mu, log_sigma_x2 = first.shape[0], None, None
        if self.c.use_vae and self.training and action is not None:
            z, mu, log_sigma_x2 = self.latent(state, action, is_pad, eps)
        else:
            z = first.new_zeros(B, self.c.latent_dim)
        tokens, frames = [self.encoder_latent_input_proj(z)[:, None]], []
        if self.state_dim:
            tokens.append(self.encoder_robot_state_input_proj(state))
        if self.env_dim:
            tokens.append(self.encoder_env_state_input_proj(env)[:, None])
        if self.cameras:
            y, frames = self.image_tokens(images)
            tokens.append(y)
        positions = self.positions(frames, table)
        memory = self.encoder(torch.cat(tokens, dim=1), positions)
        queries = self.decoder_pos_embed.weight
        x = self.decoder(queries.new_zeros(B, *queries.shape), queries, memory, memory + positions)
        return self.action_head(x), mu, log_sigma_x2


def act_loss(predicted: Tensor, action: Tensor, is_pad: Tensor, mu: Tensor | None,
             log_sigma_x2: Tensor | None, kl_weight: float) -> tuple[Tensor, Tensor, Tensor | None]:
    """Total, L1 over the unpadded entries, mean KL divergence from the standard normal."""
    valid = ~is_pad.bool()
    error = (predicted - action).abs() * valid[..., None]
    l1 = error.sum() / (valid.sum() * action.shape[-1]).clamp_min(1)
    if mu is None:
        return l1, l1, None
    kld = -0.5 * (1 + log_sigma_x2 - mu.square() - log_sigma_x2.exp()).sum(-1).mean()
    return l1 + kl_weight * kld, l1, kld
