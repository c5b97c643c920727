"""Deformable convolution v3 against its plain torch forms: layers of InternImage-T, on random numbers."""

from collections.abc import Callable, Iterator
from functools import partial

import torch
from torch import Tensor

from ...ops.dcnv3.api import VARIANTS, dcnv3


def dcnv3_case(
    name: str,
    height: int,
    width: int,
    groups: int,
    dim: int,
    batch: int = 1,
    goals: tuple[float | None, float | None] = (None, None),
) -> Iterator[dict]:
    """Forward, then forward and backward, as keyword arguments of `benchmark.Workload`.

    3 x 3 points, offsets of about a cell, the softmax part of the work.
    """
    value = torch.randn(batch, height, width, groups * dim, requires_grad=True)
    offset = torch.randn(batch, height, width, groups, 9, 2, requires_grad=True)
    mask = torch.randn(batch, height, width, groups, 9, requires_grad=True)
    direction = torch.randn_like(value)

    def contender(variant: str | None):
        def run() -> Tensor:
            if variant is None:
                return dcnv3(value, offset, mask, softmax=True)
            with VARIANTS.use(variant):
                return dcnv3(value, offset, mask, softmax=True)

        @torch.no_grad()
        def forward() -> list[Tensor]:
            return [run()]

        def both() -> list[Tensor]:
            output = run()
            # That of the offsets jumps at cell borders, where rounding decides; it is compared in the tests.
            grad_value, _, grad_mask = torch.autograd.grad(output, (value, offset, mask), direction)
            return [output.detach(), grad_value, grad_mask]

        return forward, both

    ours, peers = contender(None), {'grid_sample': contender('reference'), 'plain torch': contender('torch')}
    for turn, what in enumerate(('forward', 'forward + backward')):
        yield dict(
            name=f'dcnv3, {name}, {what}',
            ours=ours[turn],
            peers={peer: runs[turn] for peer, runs in peers.items()},
            tolerance=1e-5,
            goal=goals[turn],
        )


CASES: dict[str, Callable[[], Iterator[dict]]] = {
    'dcnv3-56': partial(dcnv3_case, '56x56x64', 56, 56, 4, 16, goals=(8, None)),
    'dcnv3-100': partial(dcnv3_case, '100x160x64', 100, 160, 4, 16, goals=(8, None)),
}
