"""A model's config at a size that trains a step in a fraction of a second.

Every part of the config that has a ``type`` becomes small, the inner ones first:

1. by what its class says: an attribute ``tiny``, a dict of changes to the config, or a static method that takes the
   config and returns them. Write one where the words of 2 are not enough::

       class Swin(BaseModule):
           tiny = dict(arch=dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8)), window_size=4)

   :data:`LIBRARIES` says it for classes of mmdet and mmseg;
2. by the words that all parts of ours share (:data:`LIMITS`); lists of ``channels`` shrink by eight, as
   the backbones do.

No weights are loaded. Stages and outputs stay those of the config.
"""

import inspect
from collections.abc import Callable

import torch
from mmengine.config import ConfigDict

from ..layers.feature_spec import backbone_spec
from ..registry import MODELS, TASK_UTILS, resolve

# The most that a part's number may be, by the word for it: where its config says it or its class has it as a default.
LIMITS = dict(embed_dims=32, ffn_channels=64, num_layers=2, num_queries=20, num_groups=8)
GIVEN = dict(num_points=100, global_window=8)  # the same, where a config says it
LISTS = ('channels', 'skip_channels')  # become an eighth
WORDS_OF_THEIR_OWN = ('mmdet', 'mmseg', 'mmcv', 'mmpretrain', 'torch')  # packages to which the limits do not apply

STAGES = dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8), window_size=4)
WIDTH = dict(embed_dims=32)
LAYER = dict(self_attn_cfg=WIDTH, ffn_cfg=dict(WIDTH, feedforward_channels=64))
MASK2FORMER = dict(
    data_preprocessor=dict(batch_augments=None),
    panoptic_head=dict(
        feat_channels=32,
        out_channels=32,
        num_queries=20,
        positional_encoding=dict(num_feats=16),
        pixel_decoder=dict(
            norm_cfg=dict(num_groups=8),
            positional_encoding=dict(num_feats=16),
            encoder=dict(num_layers=1, layer_cfg=LAYER),
        ),
        transformer_decoder=dict(num_layers=3, layer_cfg=dict(LAYER, cross_attn_cfg=WIDTH)),
    ),
    train_cfg=dict(num_points=100),
)
LIBRARIES: dict[str, dict | Callable[[dict], dict]] = {
    'mmdet.ResNet': dict(depth=18, base_channels=8),
    'mmseg.ResNet': dict(depth=18, base_channels=8),
    'mmdet.SwinTransformer': STAGES,
    'mmseg.EncoderDecoder': lambda cfg: encoder_decoder(cfg),
    'mmdet.MaskRCNN': lambda cfg: on_pyramid(cfg),
    'mmdet.CascadeRCNN': lambda cfg: on_pyramid(cfg),
    'mmdet.HybridTaskCascade': lambda cfg: on_pyramid(cfg),
    'mmdet.ConvFCBBoxHead': lambda cfg: box_head(cfg),
    'mmdet.HTCMaskHead': dict(num_convs=1),  # adds the features of the stage before to its input: the same channels
    'mmdet.FusedSemanticHead': dict(num_convs=1),
    'mmdet.FCNMaskHead': dict(num_convs=1, conv_out_channels=16),
    'mmdet.Mask2Former': lambda cfg: mask2former(cfg),
}


def encoder_decoder(cfg: dict) -> dict:
    """mmseg's: heads are told what the shrunk backbone gives, and batches of unequal sizes are padded."""
    with torch.device('meta'):
        channels = backbone_spec(MODELS.build(cfg['backbone'])).channels
    made = dict(data_preprocessor=dict(size=None, size_divisor=32))
    for name in ('decode_head', 'auxiliary_head'):
        for head in [cfg[name]] if isinstance(cfg.get(name), dict) else cfg.get(name) or []:
            at = head.get('in_index', -1)
            read = channels[at] if isinstance(at, int) else [channels[each] for each in at]
            merge(head, dict(in_channels=read, channels=32))
    return made


def on_pyramid(cfg: dict) -> dict:
    """mmdet's two-stage detectors: few proposals, and a pyramid that is told what the shrunk backbone gives."""
    few, channels = dict(max_per_img=20), channels_of(cfg)
    neck = dict(in_channels=channels)
    if isinstance(cfg['neck'], list):  # what comes before the pyramid reads the last map
        *before, pyramid = cfg['neck']
        neck = [*(dict(each, in_channels=channels[-1]) for each in before), dict(pyramid, **neck)]
    return dict(neck=neck, train_cfg=dict(rpn_proposal=few), test_cfg=dict(rpn=few))


def box_head(cfg: dict) -> dict:
    """mmdet's box heads: few channels, a convolution where there are any."""
    convs = dict(num_shared_convs=1, conv_out_channels=16) if cfg.get('num_shared_convs') else {}
    return dict(fc_out_channels=32, **convs)


def mask2former(cfg: dict) -> dict:
    """mmdet's: its head is told what the shrunk backbone gives."""
    head = dict(MASK2FORMER['panoptic_head'], in_channels=channels_of(cfg))
    return dict(MASK2FORMER, panoptic_head=head)


def channels_of(cfg: dict) -> list[int]:
    """What the backbone of a model gives."""
    with torch.device('meta'):
        return list(backbone_spec(MODELS.build(cfg['backbone'])).channels)


def without_pretrained(cfg):
    """The same config without the entries that load weights from a file."""
    if isinstance(cfg, dict):
        return type(cfg)(
            {
                key: without_pretrained(value)
                for key, value in cfg.items()
                if not (key == 'pretrained' or (key == 'init_cfg' and 'checkpoint' in (value or ())))
            }
        )
    if isinstance(cfg, (list, tuple)):
        return type(cfg)(without_pretrained(value) for value in cfg)
    return cfg


def shrink(cfg: ConfigDict, shared: frozenset[str] = frozenset()) -> ConfigDict:
    """A part's config, changed in place.

    Args:
        shared: words that the parts around it hand on; its own defaults for them do not count.
    """
    kind = part_class(cfg)
    taken = frozenset(inspect.signature(kind).parameters) if kind else frozenset()
    for key, value in cfg.items():
        for inner in value if isinstance(value, (list, tuple)) else [value]:
            if isinstance(inner, dict):
                shrink(inner, shared | taken)
        cfg[key] = smaller(key, value)
    if kind is not None:
        cfg.update(defaults_above(kind, cfg, shared))
        merge(cfg, changes(kind, cfg))
    return cfg


def smaller(key: str, value):
    """A value by the word for it."""
    if key in LISTS and isinstance(value, (list, tuple)):
        return [max(1, channels // 8) for channels in value]
    if key == 'norm_cfg' and value and value.get('type') == 'SyncBN':  # needs processes
        return dict(value, type='BN')
    limit = {**LIMITS, **GIVEN}.get(key)
    return min(value, limit) if limit and isinstance(value, int) else value


def part_class(cfg: dict) -> type | None:
    """The class of a part; None for what is none, such as ``dict(type='GN')`` or a dict without a type."""
    for registry in (MODELS, TASK_UTILS):
        try:
            kind = resolve(cfg, registry) if 'type' in cfg else None
        except KeyError:
            continue
        return kind if isinstance(kind, type) else None
    return None


def changes(kind: type, cfg: dict) -> dict:
    """What the class of a part, or the table of libraries, says makes it small."""
    names = [f'{base.__module__.partition(".")[0]}.{base.__name__}' for base in kind.__mro__]
    known = next((LIBRARIES[name] for name in names if name in LIBRARIES), {})
    said = getattr(kind, 'tiny', known)
    return said(cfg) if callable(said) else said


def defaults_above(kind: type, cfg: dict, shared: frozenset[str]) -> dict:
    """Limits for the defaults of a class of ours that are beyond them."""
    if kind.__module__.partition('.')[0] in WORDS_OF_THEIR_OWN:
        return {}
    defaults = {word: one.default for word, one in inspect.signature(kind).parameters.items()}
    beyond = {word: limit for word, limit in LIMITS.items() if isinstance(defaults.get(word), int)}
    beyond = {word: limit for word, limit in beyond.items() if defaults[word] > limit}
    return {word: limit for word, limit in beyond.items() if word not in cfg and word not in shared}


def merge(cfg: dict, new: dict) -> None:
    """``new`` into ``cfg``: of dicts the entries, unless they say ``_delete_``; all else as a whole."""
    for key, value in new.items():
        if isinstance(value, dict) and '_delete_' in value:
            cfg[key] = {word: each for word, each in value.items() if word != '_delete_'}
        elif isinstance(value, dict) and isinstance(cfg.get(key), dict):
            merge(cfg[key], value)
        else:
            cfg[key] = value
