"""Multi-scale deformable attention against mmcv's form without compiled ops, on random numbers."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from ...ops.deform_attn.api import VARIANTS, ms_deform_attn, ms_deform_attn_reference

IMAGE = ((100, 167), (50, 84), (25, 42), (13, 21))  # of 800 x 1333 pixels
SMALL = ((16, 16), (8, 8), (4, 4), (2, 2))  # of 128 x 128 pixels


def ms_deform_attn_case(
    name: str,
    shapes: tuple,
    batch: int,
    heads: int,
    dim: int,
    queries: int | None,
    goals: tuple = (None, None),
    points: int = 4,
) -> Iterator[dict]:
    """Forward, then forward and backward, as keyword arguments of `benchmark.Workload`.

    Without ``queries`` they are the tokens and look around themselves.
    """
    size = torch.tensor([[width, height] for height, width in shapes]).unsqueeze(1)
    centers = torch.cat([_centers(*shape) for shape in shapes]) if queries is None else torch.rand(queries, 2)
    offsets = 4 * torch.randn(batch, len(centers), heads, len(shapes), points, 2) / size
    locations = (centers.view(-1, 1, 1, 1, 2) + offsets).requires_grad_()
    value = torch.randn(batch, int(size.prod(-1).sum()), heads, dim, requires_grad=True)
    weights = torch.randn(*locations.shape[:3], len(shapes) * points).softmax(-1).view(locations.shape[:-1])
    weights.requires_grad_()
    direction = torch.randn(batch, len(centers), heads * dim)

    def contender(op):
        @torch.no_grad()
        def forward() -> list[Tensor]:
            return [op(value, shapes, locations, weights)]

        def both() -> list[Tensor]:
            output = op(value, shapes, locations, weights)
            # That of the locations jumps at cell borders, where rounding decides; it is compared in the tests.
            grad_value, _, grad_weights = torch.autograd.grad(output, (value, locations, weights), direction)
            return [output.detach(), grad_value, grad_weights]

        return forward, both

    ours = contender(ms_deform_attn)
    peers = {peer: contender(op) for peer, op in _ms_deform_attn_peers().items()}
    for turn, what in enumerate(('forward', 'forward + backward')):
        yield dict(
            name=f'ms_deform_attn, {name}, {what}',
            ours=ours[turn],
            peers={peer: functions[turn] for peer, functions in peers.items()},
            tolerance=1e-5,
            goal=goals[turn],
        )


def _centers(height: int, width: int) -> Tensor:
    y, x = torch.meshgrid((torch.arange(height) + 0.5) / height, (torch.arange(width) + 0.5) / width, indexing='ij')
    return torch.stack([x, y], -1).flatten(0, 1)


def _ms_deform_attn_peers() -> dict[str, Callable]:
    """grid_sample per level, as mmcv and transformers run it without a compiled op, and our plain torch."""

    def plain_torch(value: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> Tensor:
        with VARIANTS.use('torch'):
            return ms_deform_attn(value, shapes, locations, weights)

    try:
        from mmcv.ops.multi_scale_deform_attn import multi_scale_deformable_attn_pytorch
    except ImportError:
        return {'grid_sample': ms_deform_attn_reference, 'plain torch': plain_torch}

    def mmcv(value: Tensor, shapes: tuple, locations: Tensor, weights: Tensor) -> Tensor:
        return multi_scale_deformable_attn_pytorch(value, torch.tensor(shapes), locations, weights)

    return {'mmcv': mmcv, 'plain torch': plain_torch}


CASES = {
    'encoder': partial(ms_deform_attn_case, 'encoder 800x1333', IMAGE, 1, 8, 32, None, goals=(12, 10)),
    'decoder': partial(ms_deform_attn_case, 'decoder 1,100 queries', IMAGE, 1, 8, 32, 1100, goals=(10, 6)),
    'small-encoder': partial(ms_deform_attn_case, 'small encoder, batch 16', SMALL, 16, 4, 16, None),
    'small-decoder': partial(ms_deform_attn_case, 'small decoder, batch 16', SMALL, 16, 4, 16, 230),
}
