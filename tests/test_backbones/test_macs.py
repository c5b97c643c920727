"""Multiply-adds by the rules of the official codes, which their READMEs print."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config

from mmparts.analysis.complexity import build_on_meta, count_macs
from mmparts.analysis.tables.model_cards import systems
from mmparts.registry import MODELS

ROOT = Path(__file__).resolve().parents[2]
PRINTED = {
    model['Config']: model['Reference']['GMACs']
    for members in systems(ROOT).values()
    for model, _ in members
    if 'GMACs' in model.get('Reference', {})
}


def counted(size: int, head: dict | None = None, **backbone) -> tuple[int, torch.nn.Module]:
    """Of a classifier with 1000 classes, and its backbone."""
    with torch.device('meta'):
        more = dict(head=head) if head else {}
        model = MODELS.build(dict(type='mmparts.Classifier', backbone=backbone, **more)).eval()
    return count_macs(model, (size, size))['total'], model.backbone


@pytest.mark.parametrize(
    ('arch', 'patch', 'size', 'published'),
    [
        ('tiny', 16, 224, 1.254),
        ('small', 16, 224, 4.599),
        ('base', 32, 224, 4.409),
        ('base', 16, 224, 17.564),
        ('base', 16, 384, 55.48),
        ('large', 16, 224, 61.56),
        ('huge', 14, 224, 167.30),
    ],
)
def test_vit(arch, patch, size, published):
    """Patches, twelve squares of the width and two of the tokens for each block, the classifier."""
    macs, _ = counted(size, type='mmparts.ViT', arch=arch, patch_size=patch, image_size=size, out='class')
    assert macs / 1e9 == pytest.approx(published, rel=1e-3)


@pytest.mark.parametrize(
    ('kind', 'kwargs', 'size', 'published'),
    [
        ('Swin', dict(arch='tiny', window_size=7), 224, 4.494),
        ('Swin', dict(arch='small', window_size=7), 224, 8.747),
        ('Swin', dict(arch='large', window_size=12), 384, 103.952),
        ('SwinV2', dict(arch='tiny', window_size=8), 256, 5.926),
        ('SwinV2', dict(arch='base', window_size=16), 256, 21.796),
    ],
)
def test_swin(kind, kwargs, size, published):
    """The official rule adds a multiply for each number that a norm reads, and leaves the bias net out."""
    macs, model = counted(size, type=f'mmparts.{kind}', out_indices=(3,), **kwargs)
    dims, depths = model.channels[0] // 8, model.depths
    places = [(size // 4 // 2**i) ** 2 for i in range(4)]
    norms = dims * places[0] + sum(2 * d * n * dims * 2**i for i, (d, n) in enumerate(zip(depths, places)))
    merged = [places[i] * dims * 2**i for i in range(3)]
    norms += sum(merged) / (2 if kind == 'SwinV2' else 1) + 8 * dims * places[3]
    macs += norms
    if kind == 'SwinV2':
        rows = (2 * kwargs['window_size'] - 1) ** 2
        macs -= sum(rows * (2 * 512 + 512 * h) * d for h, d in zip(model.num_heads, depths))
    assert macs / 1e9 == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize(
    ('arch', 'size', 'published'),
    [('tiny', 224, 4.89), ('small', 224, 8.31), ('base', 224, 16.18), ('large', 384, 107.8), ('xlarge', 384, 162.9)],
)
def test_intern_image(arch, size, published):
    """The official rule takes five multiply-adds for each sampled number of DCNv3, which the counter does not see."""
    head = dict(type='mmparts.ConvClassHead')
    macs, model = counted(size, head, type='mmparts.InternImage', arch=arch, out_indices=(3,))
    dims = model.channels[0] // 8
    macs += sum(5 * 9 * (size // 4 // 2**i) ** 2 * dims * 2**i * depth for i, depth in enumerate(model.depths))
    assert macs / 1e9 == pytest.approx(published, rel=2e-3)


@pytest.mark.parametrize('config', PRINTED)
def test_what_cards_print(config):
    """Norms and sampling, which the rules above add, are below three per cent."""
    published, size = (float(each) for each in PRINTED[config].rstrip(')').split(' ('))
    macs = count_macs(build_on_meta(Config.fromfile(ROOT / config)).eval(), (int(size),) * 2)['total']
    assert macs / 1e9 == pytest.approx(published, rel=0.03)
