# SPDX-License-Identifier: Apache-2.0
"""Poses against tests/golden/pose.safetensors, which UMI's own utilities made."""

from pathlib import Path

import pytest

torch = pytest.importorskip("torch", reason="PyTorch is not installed")
from lerobot_policy_tact.poses import (  # noqa: E402
    absolute_rows,
    matrix_from_rows,
    matrix_from_vector,
    relative_rows,
    vector_from_matrix,
)
from safetensors.torch import load_file  # noqa: E402

GOLDEN = load_file(Path(__file__).parents[3] / "tests" / "golden" / "pose.safetensors")


def row(pose):
    """With a gripper, and a chunk of one."""
    return torch.cat([pose, torch.full_like(pose[:, :1], 0.25)], 1)[:, None]


def test_relative():
    seen = relative_rows(row(GOLDEN["pose"]), row(GOLDEN["base"])[:, 0])[:, 0]
    assert (seen[:, :9] - GOLDEN["relative_pose9d"]).abs().max() <= 1e-9
    assert (seen[:, 9] == 0.25).all()


def test_absolute():
    seen = torch.cat([GOLDEN["noisy_pose9d"], torch.full((len(GOLDEN["base"]), 1), 0.25).double()], 1)[:, None]
    back = absolute_rows(seen, row(GOLDEN["base"])[:, 0])[:, 0]
    wanted = GOLDEN["absolute_mat"]
    assert (back[:, :3] - wanted[:, :3, 3]).abs().max() <= 1e-9
    # As rotations: at angle pi a vector may have either sign.
    assert (matrix_from_vector(back[:, 3:6]) - wanted[:, :3, :3]).abs().max() <= 1e-9


def test_vectors_through_zero_and_pi():
    axis = torch.tensor([0.48, -0.6, 0.64], dtype=torch.float64)
    angles = [0, 1e-12, 1e-8, 1e-4, 1, 3, torch.pi - 1e-9, torch.pi - 1e-4]
    angles = torch.tensor(angles, dtype=torch.float64)
    vectors = angles[:, None] * axis
    assert (vector_from_matrix(matrix_from_vector(vectors)) - vectors).abs().max() <= 1e-7


@pytest.mark.parametrize("rows", [[0.0] * 6, [0, 0, 2, 0, 0, 1], [float("nan")] * 6, [1, 0, 0, 0, 0, 0]])
def test_rows_without_a_direction(rows):
    R = matrix_from_rows(torch.tensor(rows, dtype=torch.float64))
    assert (R @ R.T - torch.eye(3)).abs().max() <= 1e-12
    assert torch.linalg.det(R) > 0.99


def test_parallel_rows_give_the_least_turn():
    first = [[0, 3, 0], [0, 0, -1], [-2, 0, 0], [1, -2, 3], [-3, 1, 0.5], [-1, 1e-9, 0]]
    first = torch.tensor(first, dtype=torch.float64)
    R = matrix_from_rows(torch.cat([first, -2 * first], -1))
    assert (R @ R.mT - torch.eye(3)).abs().max() <= 1e-12
    assert (R.diagonal(dim1=-2, dim2=-1).sum(-1) - 1 - 2 * R[:, 0, 0]).abs().max() <= 1e-12
