# SPDX-License-Identifier: Apache-2.0
"""Poses as src/pose/pose.h has them: a recorded row has 7 values an arm (position, rotation vector,
gripper), a row as the network sees it 10 (relative position, first two rows of the relative rotation,
gripper). All arithmetic in float64."""

import torch
from torch import Tensor

RECORDED, SEEN = 7, 10


def matrix_from_vector(v: Tensor) -> Tensor:
    """Rodrigues' formula; series near angle 0, where the quotients lose their digits."""
    t2 = v.square().sum(-1)
    t = t2.sqrt()
    near = t <= 1e-4
    safe = torch.where(near, torch.ones_like(t), t)
    a = torch.where(near, 1 - t2 / 6 + t2 * t2 / 120, safe.sin() / safe)
    b = torch.where(near, 0.5 - t2 / 24 + t2 * t2 / 720, 2 * (safe / 2).sin().square() / safe.square())
    x, y, z = v.unbind(-1)
    o = torch.zeros_like(x)
    cross = torch.stack([o, -z, y, z, o, -x, -y, x, o], -1).unflatten(-1, (3, 3))
    eye = torch.eye(3, dtype=v.dtype, device=v.device)
    outer = v[..., :, None] * v[..., None, :]
    return eye + a[..., None, None] * cross + b[..., None, None] * (outer - t2[..., None, None] * eye)


def quaternion_from_matrix(R: Tensor) -> Tensor:
    """(w, x, y, z), w >= 0. Each row of the 4x4 table is the quaternion times four times one of its own
    values; the row of the largest value is taken, so nothing small is divided by."""
    a, b, c = R[..., 0, 0], R[..., 1, 1], R[..., 2, 2]

    def pair(i: int, j: int) -> tuple[Tensor, Tensor]:
        return R[..., j, i] - R[..., i, j], R[..., j, i] + R[..., i, j]

    (dx, sx), (dy, sy), (dz, sz) = pair(1, 2), pair(2, 0), pair(0, 1)
    table = torch.stack([
        torch.stack([1 + a + b + c, dx, dy, dz], -1),
        torch.stack([dx, 1 + a - b - c, sz, sy], -1),
        torch.stack([dy, sz, 1 - a + b - c, sx], -1),
        torch.stack([dz, sy, sx, 1 - a - b + c], -1),
    ], -2)
    top = torch.diagonal(table, dim1=-2, dim2=-1).argmax(-1)
    q = table.gather(-2, top[..., None, None].expand(*top.shape, 1, 4)).squeeze(-2)
    q = q / q.norm(dim=-1, keepdim=True)
    return torch.where(q[..., :1] < 0, -q, q)


def vector_from_matrix(R: Tensor) -> Tensor:
    q = quaternion_from_matrix(R)
    w, v = q[..., :1], q[..., 1:]
    s = v.norm(dim=-1, keepdim=True)
    angle = 2 * torch.atan2(s, w)
    out = torch.where(s > 1e-12, angle / s.clamp_min(1e-12), torch.full_like(s, 2)) * v
    # At angle pi both signs are this rotation: the first value that is not 0 is made positive.
    nonzero = (v != 0).to(torch.uint8).argmax(-1, keepdim=True)
    flip = (w == 0) & (v.gather(-1, nonzero) < 0)
    return torch.where(flip, -out, out)


def _directed(v: Tensor, otherwise: Tensor) -> Tensor:
    n = v.norm(dim=-1, keepdim=True)
    sound = (n > 1e-12) & n.isfinite()
    return torch.where(sound, v / torch.where(sound, n, torch.ones_like(n)), otherwise)


def _least_turn(a: Tensor) -> Tensor:
    """The second row of the smallest turn whose first row is a; where a is -x, y."""
    across = a[..., 1] ** 2 + a[..., 2] ** 2
    share = a[..., 1] * (1 - a[..., 0]) / torch.where(across > 0, across, torch.ones_like(across))
    b = torch.stack([-a[..., 1], 1 - share * a[..., 1], -share * a[..., 2]], -1)
    return b / b.norm(dim=-1, keepdim=True)


def matrix_from_rows(rows: Tensor) -> Tensor:
    """Gram-Schmidt on two rows (..., 6); a network's output is not orthonormal. Rows without a direction
    give a proper rotation all the same, never NaN (pose_from_9d says which)."""
    ex = torch.zeros_like(rows[..., :3])
    ex[..., 0] = 1
    a = _directed(rows[..., :3], ex)
    b = rows[..., 3:] - (a * rows[..., 3:]).sum(-1, keepdim=True) * a
    b = _directed(b, _least_turn(a))
    return torch.stack([a, b, torch.linalg.cross(a, b)], -2)


def rows_between(start: Tensor, end: Tensor, share: Tensor) -> Tensor:
    """A share (0 to 1, which broadcasts) of the way between rows (..., 7 arms): positions and grippers on a
    straight line, rotations by the shorter turn at an even rate."""
    a, b, share = _split(start, RECORDED), _split(end, RECORDED), share[..., None, None]
    line = a + share * (b - a)
    first = matrix_from_vector(a[..., 3:6])
    turn = vector_from_matrix(first.transpose(-1, -2) @ matrix_from_vector(b[..., 3:6]))
    rotation = vector_from_matrix(first @ matrix_from_vector(share * turn))
    return torch.cat([line[..., :3], rotation, line[..., 6:]], -1).flatten(-2)


def _split(row: Tensor, width: int) -> Tensor:
    return row.double().unflatten(-1, (-1, width))


def relative_rows(rows: Tensor, base: Tensor) -> Tensor:
    """rows (B, n, 7 arms) relative to base (B, 7 arms): (B, n, 10 arms)."""
    p, b = _split(rows, RECORDED), _split(base, RECORDED)[:, None]
    inverse = matrix_from_vector(b[..., 3:6]).transpose(-1, -2)
    position = (inverse @ (p[..., :3] - b[..., :3])[..., None]).squeeze(-1)
    rotation = inverse @ matrix_from_vector(p[..., 3:6])
    return torch.cat([position, rotation[..., :2, :].flatten(-2), p[..., 6:]], -1).flatten(-2)


def absolute_rows(rows: Tensor, base: Tensor) -> Tensor:
    """The inverse: rows (B, n, 10 arms) and base (B, 7 arms) give (B, n, 7 arms)."""
    p, b = _split(rows, SEEN), _split(base, RECORDED)[:, None]
    turn = matrix_from_vector(b[..., 3:6])
    position = b[..., :3] + (turn @ p[..., :3, None]).squeeze(-1)
    rotation = vector_from_matrix(turn @ matrix_from_rows(p[..., 3:9]))
    return torch.cat([position, rotation, p[..., 9:]], -1).flatten(-2)
