"""Parts of ours are found from every scope, hide nobody else's, and need no `custom_imports`."""

import subprocess
import sys

import mmdet.registry
import mmengine.registry
import mmseg.registry
import pytest
from mmengine.registry import DefaultScope, Registry

import mmparts.registry
from mmparts.registry import build_part, keywords, resolve


def registries(module) -> dict[str, Registry]:
    scope = module.__name__.split('.')[0]  # a module also holds registries that it imported
    return {name: value for name, value in vars(module).items() if isinstance(value, Registry) and value.scope == scope}


# Those of ours that extend one of mmdet's; weight layouts are nobody else's idea.
OURS = {name: registry for name, registry in registries(mmparts.registry).items() if registry.parent is not None}


def parts() -> list[tuple[str, str]]:
    """(registry, part) of everything that importing our packages registers."""
    for registry in OURS.values():
        registry.import_from_location()
    return [(name, part) for name, registry in OURS.items() for part in registry.module_dict]


def test_every_registry_of_mmdet_is_extended():
    assert set(OURS) == set(registries(mmdet.registry))
    for name, registry in OURS.items():
        assert registry.parent is getattr(mmdet.registry, name)


@pytest.mark.parametrize('scope', [None, 'mmdet', 'mmseg', 'mmparts'])
def test_every_part_is_found_from_every_scope(scope):
    found = parts()
    assert {'QueryDetector', 'SetPredictionHead', 'HungarianMatcher', 'Swin'} <= {part for _, part in found}
    for name, part in found:
        for library in (mmengine.registry, mmdet.registry, mmseg.registry, mmparts.registry):
            with DefaultScope.overwrite_default_scope(scope):
                with getattr(library, name).switch_scope_and_registry(None) as current:
                    assert current.get(f'mmparts.{part}') is OURS[name].module_dict[part], (library.__name__, part)


@pytest.mark.parametrize('library', [mmengine.registry, mmdet.registry, mmseg.registry])
def test_no_name_of_ours_exists_elsewhere(library):
    theirs = registries(library)
    for registry in theirs.values():
        registry.import_from_location()
    taken = [(name, part) for name, part in parts() if name in theirs and part in theirs[name].module_dict]
    assert not taken


def test_mmdet_names_are_found_in_our_scope():
    import mmdet.models

    with DefaultScope.overwrite_default_scope('mmparts'):
        assert resolve(dict(type='ResNet')) is mmdet.models.ResNet


def test_shared_numbers_reach_only_the_parts_that_take_them():
    cfg = dict(type='mmparts.PointQueries', num_queries=7)
    part = build_part(cfg, num_queries=300, embed_dims=16, num_classes=3)
    assert part.content.weight.shape == (7, 16)  # the part's own number wins
    assert cfg == dict(type='mmparts.PointQueries', num_queries=7)


class Closed:
    def __init__(self, a, b=1, embed_dims=0):
        self.given = dict(a=a, b=b, embed_dims=embed_dims)


class HandsOn(Closed):
    def __init__(self, c=2, **kwargs):
        super().__init__(**kwargs)


class Twice(HandsOn):
    def __init__(self, d=3, **kwargs):
        super().__init__(d, **kwargs)


class GivesByPlace(Closed):
    def __init__(self, **kwargs):
        super().__init__(1, **kwargs)


class GivesByName(HandsOn):
    def __init__(self, **kwargs):
        super().__init__(a=1, embed_dims=8, **kwargs)


class Looks(Closed):
    def __init__(self, **kwargs):
        self.own = kwargs.pop('own', None)
        super().__init__(**kwargs)


class Keeps(Closed):
    def __init__(self, c, **kwargs):
        super().__init__(1)
        self.kwargs = kwargs


unread = dict(Closed=Closed)
exec('class Unread(Closed):\n    def __init__(self, e=0, **kwargs):\n        super().__init__(**kwargs)', unread)


@pytest.mark.parametrize(
    ('kind', 'names', 'free'),
    [
        (Closed, 'a b embed_dims', False),
        (HandsOn, 'a b c embed_dims', False),
        (Twice, 'a b d embed_dims', False),
        (GivesByPlace, 'b embed_dims', False),
        (GivesByName, 'b c', False),
        (Looks, 'a b embed_dims', True),
        (Keeps, 'c', True),
        (unread['Unread'], 'a b e embed_dims', True),
    ],
)
def test_keywords_follow_kwargs_upwards(kind, names, free):
    assert keywords(kind).names == set(names.split())
    assert keywords(kind).free is free


@pytest.mark.parametrize('kind', [Closed, HandsOn, Twice, Looks, unread['Unread']])
def test_shared_numbers_go_where_kwargs_go(kind):
    assert build_part(dict(type=kind, a=5), embed_dims=16, num_classes=3).given == dict(a=5, b=1, embed_dims=16)


def test_a_constructor_that_sets_a_number_keeps_it():
    assert build_part(dict(type=GivesByName), embed_dims=16).given['embed_dims'] == 8
    with pytest.raises(TypeError, match='embed_dims'):
        build_part(dict(type=GivesByName, embed_dims=16))


def test_an_unknown_part_is_named():
    with pytest.raises(KeyError, match='mmparts.NoSuchQueries'):
        build_part(dict(type='NoSuchQueries'))


SWIN = dict(type='mmparts.Swin', arch=dict(embed_dims=8, depths=(1, 1), num_heads=(1, 2)), out_indices=(0, 1))
PLAIN_CONFIGS = dict(
    mmdet=dict(
        type='RetinaNet',
        backbone=SWIN,
        neck=dict(type='FPN', in_channels=[8, 16], out_channels=8, num_outs=5),
        bbox_head=dict(
            type='RetinaHead',
            num_classes=3,
            in_channels=8,
            feat_channels=8,
            stacked_convs=1,
            anchor_generator=dict(type='AnchorGenerator', ratios=[1.0], scales=[4], strides=[4, 8, 16, 32, 64]),
            bbox_coder=dict(type='DeltaXYWHBBoxCoder'),
        ),
    ),
    mmseg=dict(
        type='EncoderDecoder',
        backbone=SWIN,
        decode_head=dict(
            type='FCNHead', in_channels=16, in_index=1, channels=8, num_convs=1, num_classes=3, norm_cfg=dict(type='BN')
        ),
        train_cfg=dict(),
        test_cfg=dict(mode='whole'),
    ),
)

# The compiled half of mmcv is played by a stub, so that nothing but the config leads to mmparts.
BUILD = """
import sys, types
stub = types.ModuleType('mmcv._ext')
stub.__getattr__ = lambda name: None if name.startswith('__') else print
stub.__path__ = []
sys.modules.update({'mmcv._ext': stub, 'torchvision': None})

from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
cfg = Config.fromfile(sys.argv[1])
init_default_scope(cfg.default_scope)
assert 'mmparts.backbones' not in sys.modules  # the package itself, which is light, may be there at start-up
model = MODELS.build(cfg.model)
assert type(model.backbone).__module__ == 'mmparts.backbones.swin'
print('built', type(model).__name__)
"""


@pytest.mark.parametrize('scope', PLAIN_CONFIGS)
def test_a_plain_config_uses_our_parts_without_custom_imports(scope, tmp_path):
    config = tmp_path / 'plain.py'
    config.write_text(f'default_scope = {scope!r}\nmodel = {PLAIN_CONFIGS[scope]!r}\n')
    done = subprocess.run([sys.executable, '-c', BUILD, str(config)], capture_output=True, text=True, cwd=tmp_path)
    assert done.returncode == 0, done.stderr
    assert f'built {PLAIN_CONFIGS[scope]["type"]}' in done.stdout
