"""Every backbone under every kind of head: it builds, trains a tiny step that reaches every parameter, and predicts."""

from collections.abc import Callable, Iterator
from itertools import product

import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope

from ...engine.cli import load_config
from ...registry import MODELS
from ...tasks import task_of
from .combinations import Outcome

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=4, num_heads=2), image_size=64, class_token=False)
STAGES = dict(embed_dims=8, depths=(1, 1, 1, 1), num_heads=(1, 2, 4, 8))
GROUPS = dict(embed_dims=8, depths=(1, 1, 1, 1), num_groups=(1, 2, 4, 8), order='pre', layer_scale=None)
ADAPTER = dict(type='mmparts.ViTAdapter', vit=dict(VIT, final_norm=False), num_heads=2, prior_channels=8)
BEIT = dict(VIT, final_norm=False, class_token=True, position='relative', biases=(True, False, True))

# All give maps of the strides 4, 8, 16, 32; the plain ViT one of 16, of which the simple pyramid makes them.
BACKBONES = {
    'ViT': VIT,
    'Swin': dict(type='mmparts.Swin', arch=STAGES, window_size=4),
    'SwinV2': dict(type='mmparts.SwinV2', arch=STAGES, window_size=4),
    'ViTAdapter': ADAPTER,
    'BEiTAdapter': dict(ADAPTER, vit=BEIT),
    'InternImage': dict(type='mmparts.InternImage', arch=GROUPS),
}
PYRAMID = dict(type='mmparts.PyramidBackbone', backbone=VIT, out_channels=16)
PADDED = dict(pad_size_divisor=32)
NORMALISED = dict(mean=[127.5] * 3, std=[60.0] * 3)


def detector(config: str, backbone: dict, **changes) -> ConfigDict:
    """A tiny detector of a shipped config on another backbone."""
    cfg = load_config(f'mmparts::{config}')
    cfg.merge_from_dict(dict(model=dict(backbone=dict(backbone, _delete_=True), **changes)))
    return task_of(cfg).tiny(cfg)


def maps_of(name: str, *indices: int) -> dict:
    """A backbone with these of its maps; an adapter always gives all four."""
    return dict(BACKBONES[name], **({} if 'ViT' in name or 'BEiT' in name else dict(out_indices=indices)))


def dino(name: str) -> ConfigDict:
    scales = dict(_delete_=True, type='mmparts.SimplePyramid', scales=(2, 1, 0.5, 0.25))
    neck = dict(neck=scales) if name == 'ViT' else {}
    config = 'dino/dino-4scale_r50_8xb2-12e_coco.py'
    return detector(config, maps_of(name, 1, 2, 3), data_preprocessor=PADDED, **neck)


def mask_dino(name: str) -> ConfigDict:
    backbone = PYRAMID if name == 'ViT' else maps_of(name, 0, 1, 2, 3)
    return detector('mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py', backbone, data_preprocessor=PADDED)


def mask2former(name: str) -> ConfigDict:
    """mmdet's own head, told the channels."""
    cfg = load_config('mmparts::mask2former/mask2former_r50_8xb2-lsj-50e_coco.py')
    model = task_of(cfg).tiny(cfg)
    model.backbone = PYRAMID if name == 'ViT' else BACKBONES[name]
    channels = {'ViT': [16] * 4, 'ViTAdapter': [32] * 4, 'BEiTAdapter': [32] * 4}
    model.panoptic_head.in_channels = channels.get(name, [8, 16, 32, 64])
    return model


def upernet(name: str) -> dict:
    taps = dict(out_indices=(0, 1, 2, 3)) if name == 'ViT' else {}
    return dict(
        type='mmparts.Segmentor',
        encoder=dict(BACKBONES[name], **taps),
        decoder=dict(type='mmparts.UPerDecoder', mid_channels=8),
        num_classes=3,
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=32, **NORMALISED),
    )


def classifier(name: str) -> dict:
    if 'Adapter' in name:
        raise ValueError('an adapter is for dense heads: a classifier would read the last of its four maps alone')
    images = dict(type='ImgDataPreprocessor', bgr_to_rgb=True, **NORMALISED)
    return dict(type='mmparts.Classifier', backbone=maps_of(name, 3), num_classes=3, data_preprocessor=images)


HEADS: dict[str, Callable[[str], dict]] = {
    'DINO': dino,
    'Mask DINO': mask_dino,
    'UPerNet': upernet,
    'Mask2Former': mask2former,
    'Classifier': classifier,
}


def every() -> Iterator[tuple[str, str]]:
    """Backbone and head of each combination."""
    return product(BACKBONES, HEADS)


def try_out(backbone: str, head: str) -> Outcome:
    """Build a combination, train it for a step, predict two images."""
    torch.manual_seed(0)
    try:
        cfg = HEADS[head](backbone)
    except ValueError as error:
        return Outcome(refused=str(error))
    try:
        return Outcome(problem=problem(cfg))
    except Exception as error:  # whatever it is: this is to find it
        return Outcome(problem=f'{type(error).__name__}: {error}')


def problem(cfg: dict) -> str:
    """What is wrong with a model in a step and a prediction; empty: nothing."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg).train()
    for parameter in model.parameters():  # Swin v2's blocks start as the identity
        parameter.data += 0.02 * torch.randn_like(parameter)
    data = task_of(model).batch(model)
    loss, logged = model.parse_losses(model(**data, mode='loss'))
    loss.backward()
    if not all(torch.as_tensor(value).isfinite().all() for value in logged.values()):
        return f'losses are not finite: {logged}'
    missed = [name for name, each in model.named_parameters() if each.requires_grad and each.grad is None]
    if missed:
        return f'no gradient: {", ".join(missed)}'
    with torch.no_grad():
        found = model.eval()(**data, mode='predict')
    return '' if len(found) == 2 else f'{len(found)} predictions of two images'


def table(outcomes: dict[tuple[str, str], Outcome]) -> str:
    """Markdown: a tick, the number of a reason, or FAILS."""
    reasons = list(dict.fromkeys(each.refused for each in outcomes.values() if each.refused))
    rows = [f'| backbone | {" | ".join(HEADS)} |', '|---' * (1 + len(HEADS)) + '|']
    for backbone in BACKBONES:
        found = [outcomes[backbone, head] for head in HEADS]
        marks = [str(1 + reasons.index(o.refused)) if o.refused else 'FAILS' if o.problem else '✓' for o in found]
        rows.append(f'| {backbone} | {" | ".join(marks)} |')
    return '\n'.join([*rows, '', *(f'{number}. {reason}' for number, reason in enumerate(reasons, start=1))])
