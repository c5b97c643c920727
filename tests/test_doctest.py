"""The examples in docstrings run as they stand; ``torch`` is imported for them."""

import doctest
from importlib import import_module
from pathlib import Path

import pytest
import torch

from mmparts.detr import roles

PACKAGE = Path(__file__).resolve().parent.parent / 'projects'
WITH_EXAMPLES = [
    '.'.join(('mmparts', *path.relative_to(PACKAGE).with_suffix('').parts)).removesuffix('.__init__')
    for path in sorted(PACKAGE.rglob('*.py'))
    if '.mim' not in path.parts and '>>> ' in path.read_text(encoding='utf-8')
]

# A part of each role: whoever writes another sees there how it is called. Those of detr are in roles.py.
OTHER_ROLES = [
    'backbones.last_map_attention.LastMapAttention',
    'backbones.simple_pyramid.SimplePyramid',
    'backbones.vit.ViT',
    'classify.heads.LinearClassHead',
    'evaluation.volumetric.metric.VolumeMetric',
    'segment.conv_encoder.ConvEncoder',
    'segment.heads.SoftmaxHead',
    'segment.inference.WholeInference',
    'segment.terms.SoftDiceTerm',
    'segment.token_bottleneck.TokenBottleneck',
    'segment.up_decoder.UpDecoder',
]


def test_every_role_has_an_example():
    classes = [kind for kind in vars(roles).values() if isinstance(kind, type) and kind.__module__ == roles.__name__]
    for name in OTHER_ROLES:
        module, _, kind = name.rpartition('.')
        classes.append(getattr(import_module(f'mmparts.{module}'), kind))
    assert not [kind.__name__ for kind in classes if '>>> ' not in (kind.__doc__ or '')]
    assert len(classes) > 27


@pytest.mark.parametrize('name', WITH_EXAMPLES)
def test_examples_run(name):
    flags = doctest.ELLIPSIS | doctest.NORMALIZE_WHITESPACE
    failed, tried = doctest.testmod(import_module(name), extraglobs=dict(torch=torch), optionflags=flags)
    assert tried and not failed
