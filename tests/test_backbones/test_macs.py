"""Multiply-adds by the rules of the official codes, which their READMEs print."""

import pytest
import torch

from mmparts.analysis.complexity import count_macs
from mmparts.registry import MODELS


def counted(size: int, **backbone) -> tuple[int, torch.nn.Module]:
    """Of a classifier with 1000 classes, and its backbone."""
    with torch.device('meta'):
        model = MODELS.build(dict(type='mmparts.Classifier', backbone=backbone)).eval()
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
