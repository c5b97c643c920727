"""Window attention against timm's and MONAI's plain paths: cutting, attention and putting back, on random maps."""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ...layers.window_attention import CosineWindowAttention, WindowAttention
from ...layers.window_grid import WindowGrid


def _workloads(
    name: str,
    ours: nn.Module,
    theirs: nn.Module,
    peer: str,
    run_peer: Callable[[Tensor], Tensor],
    batch: int,
    size: tuple[int, ...],
    goal: float,
) -> Iterator[dict]:
    """Forward in eval, then a training step, as keyword arguments of `ops.benchmark.Workload`. ``theirs`` lends its
    weights, and its parameters carry the same names."""
    ours.load_state_dict({key: tensor for key, tensor in theirs.state_dict().items() if 'index' not in key})
    grid = WindowGrid.of(size, ours.window_size, shifted=True)
    x = torch.randn(batch, *size, ours.proj.in_features)
    direction = torch.randn_like(x)

    def run_ours(x: Tensor) -> Tensor:
        return grid.reverse(ours(grid.partition(x), grid))

    def forward(module: nn.Module, run: Callable) -> Callable[[], list[Tensor]]:
        def call():
            with torch.no_grad():
                return [run(x)]

        return call

    def step(module: nn.Module, run: Callable) -> Callable[[], list[Tensor]]:
        names = sorted(dict(module.named_parameters()))
        weights = [module.get_parameter(each).requires_grad_() for each in names]
        inputs = x.clone().requires_grad_()

        def call():
            out = run(inputs)
            return [out.detach(), *torch.autograd.grad(out, [inputs, *weights], direction)]

        return call

    for what, made, aim in (('forward', forward, goal), ('forward + backward', step, None)):
        yield dict(
            name=f'window attention, {name}, {what}',
            ours=made(ours.eval(), run_ours),
            peers={peer: made(theirs.eval(), run_peer)},
            tolerance=1e-4,
            goal=aim,
        )


def plain_2d() -> Iterator[dict]:
    from timm.models.swin_transformer import SwinTransformerBlock

    block = SwinTransformerBlock(96, (56, 56), num_heads=3, window_size=7, shift_size=3)
    yield from _workloads(
        '7x7, 56x56, batch 4', WindowAttention(96, 3, (7, 7)), block.attn, 'timm', block._attn, 4, (56, 56), goal=1.4
    )


def cosine_2d() -> Iterator[dict]:
    from timm.models.swin_transformer_v2 import SwinTransformerV2Block

    block = SwinTransformerV2Block(96, (64, 64), num_heads=3, window_size=16, shift_size=8)
    yield from _workloads(
        '16x16 cosine, 64x64, batch 2',
        CosineWindowAttention(96, 3, (16, 16)),
        block.attn,
        'timm',
        block._attn,
        2,
        (64, 64),
        goal=2,
    )


def plain_3d() -> Iterator[dict]:
    from monai.networks.nets.swin_unetr import SwinTransformerBlock, compute_mask

    block = SwinTransformerBlock(48, 3, (7, 7, 7), (3, 3, 3), qkv_bias=True)
    block.norm1 = nn.Identity()
    mask = compute_mask([28, 28, 28], (7, 7, 7), (3, 3, 3), 'cpu')
    yield from _workloads(
        '7x7x7, 28x28x28',
        WindowAttention(48, 3, (7, 7, 7)),
        block.attn,
        'monai',
        lambda x: block.forward_part1(x, mask),
        1,
        (28, 28, 28),
        goal=5,
    )


CASES = {'window-7x7': plain_2d, 'window-16x16': cosine_2d, 'window-7x7x7': plain_3d}
