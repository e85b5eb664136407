# SPDX-License-Identifier: Apache-2.0
# A tiny policy, so that a run takes a second.
TINY=(--policy.pretrained_backbone_weights=null --policy.device=cpu --policy.dim_model=32
    --policy.n_heads=4 --policy.dim_feedforward=64 --policy.n_encoder_layers=1
    --policy.n_vae_encoder_layers=1 --policy.chunk_size=8 --policy.n_action_steps=8
    --policy.resize_shape=[32,48] --batch_size=2 --num_workers=1 --log_freq=1 --num_stat_samples=0)
