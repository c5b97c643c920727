"""Whole nets against timm's, MONAI's and plain torch: forward, forward and backward, windows that slide over a volume.

Random weights, the same on both sides, images of noise; in eval mode, so that nothing is left out by chance.
"""

from collections.abc import Callable, Iterator

import torch
from torch import Tensor, nn

from ...backbones import InternImage, ViT, ViTLayout
from ...ops.dcnv3.api import VARIANTS
from ...registry import MODELS
from ...segment.swin_unetr.weights import SwinUNETRLayout
from ...segment.unetr.weights import UNETRLayout
from ...weights.convert import account

Net = Callable[[Tensor], Tensor]


def _workloads(
    name: str,
    ours: nn.Module,
    run: Net,
    peer: str,
    theirs: nn.Module,
    run_peer: Net,
    x: Tensor,
    tolerance: float = 1e-3,
):
    """Forward and a step without an optimizer, as keyword arguments of `race.Workload`."""

    def forward(run: Net):
        @torch.no_grad()
        def call() -> list[Tensor]:
            return [run(x)]

        return call

    def step(net: nn.Module, run: Net):
        inputs = x.clone().requires_grad_()
        weights = [each for each in net.parameters() if each.requires_grad]

        def call() -> list[Tensor]:
            out = run(inputs)
            # no constant: behind a layer norm the gradient of a sum is zero
            wave = torch.arange(out.numel()).cos().view_as(out)
            grad, *_ = torch.autograd.grad(out, [inputs, *weights], wave, allow_unused=True)
            return [out.detach(), grad]

        return call

    ours.eval(), theirs.eval()
    sides = ((forward(run), forward(run_peer)), (step(ours, run), step(theirs, run_peer)))
    for what, (mine, other) in zip(('forward', 'forward + backward'), sides):
        yield dict(name=f'{name}, {what}', ours=mine, peers={peer: other}, tolerance=tolerance, goal=1)


def _filled(layout, theirs: nn.Module, ours: nn.Module) -> nn.Module:
    ours.load_state_dict(layout.convert(theirs.state_dict(), ours).state)
    return ours


def vit() -> Iterator[dict]:
    from timm.models.vision_transformer import vit_base_patch16_224

    theirs = vit_base_patch16_224(num_classes=0)
    ours = _filled(ViTLayout, theirs, ViT('base', 16, 224, resize='timm', out='class'))
    yield from _workloads(
        'ViT-B/16, batch 2, 224x224', ours, lambda x: ours(x)[0], 'timm', theirs, theirs, torch.randn(2, 3, 224, 224)
    )


def swin_v2() -> Iterator[dict]:
    from timm.models.swin_transformer_v2 import swinv2_tiny_window8_256

    theirs = swinv2_tiny_window8_256(drop_path_rate=0.0)
    backbone = dict(type='mmparts.SwinV2', arch='tiny', window_size=8, out_indices=(3,), drop_path=0.0)
    ours = MODELS.build(dict(type='mmparts.Classifier', backbone=backbone))
    ours.load_state_dict(account(theirs.state_dict(), ours).check().state, strict=False)
    yield from _workloads(
        'Swin v2-T, window 8, batch 2, 256x256', ours, ours, 'timm', theirs, theirs, torch.randn(2, 3, 256, 256)
    )


def intern_image() -> Iterator[dict]:
    net = InternImage('tiny', drop_path=0.0, out_indices=(3,))
    with (
        torch.no_grad()
    ):  # at the start all samples lie on borders of cells, where the gradient of either cell is right
        for each in net.parameters():
            each += 0.02 * torch.randn_like(each)

    def plain(x: Tensor) -> Tensor:
        with VARIANTS.use('reference'):
            return net(x)[0]

    yield from _workloads(
        'InternImage-T, batch 2, 224x224',
        net,
        lambda x: net(x)[0],
        'grid_sample',
        net,
        plain,
        torch.randn(2, 3, 224, 224),
        tolerance=0.02,  # some samples lie near a border still, and rounding decides
    )


def _volumes(
    name: str, layout, theirs: nn.Module, encoder: dict, decoder: dict, size: tuple[int, int, int] = (96, 96, 96)
) -> Iterator[dict]:
    """Forward, forward and backward, and windows over a volume of a size."""
    from monai.inferers import sliding_window_inference

    sliding = dict(type='mmparts.SlidingInference', size=(64, 64, 64))
    net = dict(type='mmparts.Segmentor', dims=3, in_channels=1, num_classes=14, encoder=encoder, decoder=decoder)
    ours = _filled(layout, theirs, MODELS.build(dict(net, inference=sliding)))
    yield from _workloads(f'{name}, 64x64x64', ours, ours, 'monai', theirs, theirs, torch.randn(1, 1, 64, 64, 64))

    volume = torch.randn(1, 1, *size)

    @torch.no_grad()
    def slide() -> list[Tensor]:
        return [ours.inference(volume, ours)]

    @torch.no_grad()
    def slide_theirs() -> list[Tensor]:
        return [sliding_window_inference(volume, (64, 64, 64), 1, theirs, 0.5, 'gaussian')]

    yield dict(
        name=f'{name}, windows of 64 sliding over {"x".join(map(str, size))}',
        ours=slide,
        peers={'monai': slide_theirs},
        tolerance=1e-3,
        goal=1,
    )


def unetr() -> Iterator[dict]:
    from monai.networks.nets import UNETR

    theirs = UNETR(1, 14, (64, 64, 64), 16, 768, 3072, 12, norm_name='instance', res_block=True)
    encoder = dict(type='mmparts.TokenEncoder', image_size=64)
    yield from _volumes('UNETR, ViT-B', UNETRLayout, theirs, encoder, dict(type='mmparts.UNETRDecoder'))


def swin_unetr() -> Iterator[dict]:
    from monai.networks.nets import SwinUNETR

    theirs = SwinUNETR(1, 14, feature_size=24)
    encoder = dict(type='mmparts.MergingSwin', embed_dims=24, index='corner', merge_order='merging', drop_path=0.0)
    yield from _volumes(
        'Swin UNETR, 24 channels',
        SwinUNETRLayout,
        theirs,
        encoder,
        dict(type='mmparts.SwinUNETRDecoder'),
        size=(64, 96, 96),  # four windows; MONAI takes three seconds for each
    )


CASES: dict[str, Callable[[], Iterator[dict]]] = {
    'vit-b': vit,
    'swin-v2-t': swin_v2,
    'intern-image-t': intern_image,
    'unetr': unetr,
    'swin-unetr': swin_unetr,
}
