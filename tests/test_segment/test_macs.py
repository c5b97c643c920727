"""Multiply-adds of the table of BraTS 2021 (docs/brats2021.md), counted on the meta device."""

import pytest
import torch
from mmengine.config import Config
from segmentors import on_meta
from tiny import CONFIGS
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

NORMS = (nn.LayerNorm, nn.GroupNorm, nn.InstanceNorm3d, nn.BatchNorm3d)


def macs(config: str, size: tuple[int, ...]) -> tuple[float, float]:
    """In G: those of layers and attention products, and with what fvcore counts for norms (5 an element, 4 where the
    norm has no factors)."""
    model = on_meta(Config.fromfile(CONFIGS / config).model).eval()
    extra = 0

    def count(module, inputs, output):
        nonlocal extra
        extra += inputs[0].numel() * (5 if getattr(module, 'weight', None) is not None else 4)

    for module in model.modules():
        if isinstance(module, NORMS):
            module.register_forward_hook(count)
    with torch.no_grad(), FlopCounterMode(display=False) as counter:
        model(torch.empty(1, model.in_channels, *size, device='meta'))
    products = counter.get_total_flops() / 2
    return products / 1e9, (products + extra) / 1e9


@pytest.mark.parametrize(
    ('config', 'printed'),
    [
        ('vt_unet/vt-unet_t_1xb1-350e_brats2021.py', 51.970),
        ('vt_unet/vt-unet_s_1xb1-350e_brats2021.py', 100.838),
        ('vt_unet/vt-unet_b_1xb1-350e_brats2021.py', 164.961),
    ],
)
def test_vt_unet_counts_as_fvcore_does(config, printed):
    assert macs(config, (128, 128, 128))[1] == pytest.approx(printed, rel=1e-3)


@pytest.mark.parametrize(
    ('config', 'size', 'measured'),
    [
        ('trans_bts/trans-bts_1xb8-1000e_brats2021.py', (128, 128, 128), 325.4),
        ('bitr_unet/bitr-unet_4xb2-3000e_brats2021.py', (128, 128, 128), 196.5),
        ('unetr/unetr_vit-b_1xb1-300e_brats2021.py', (128, 128, 128), 183.6),
        ('swin_unetr/swin-unetr_f48_1xb1-300e_brats2021.py', (128, 128, 128), 771.6),
        ('swin_unetr/swin-unetr_f48_1xb1-300e_brats2021.py', (128, 128, 64), 386.4),
        ('nn_former/nn-former_tumour_1xb2-1000e_msd-brain-tumour.py', (128, 128, 128), 63.9),
    ],
)
def test_products_are_those_of_the_official_models(config, size, measured):
    assert macs(config, size)[0] == pytest.approx(measured, rel=5e-3)
