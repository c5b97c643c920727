"""Any detector config at a size that trains a step in a fraction of a second, and batches to feed it."""

import copy
from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import InstanceData
from torch import nn

from mmparts.registry import MODELS

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'

# What makes a backbone small. Stages and outputs stay those of the config; nothing is downloaded.
BACKBONES = {
    'ResNet': dict(depth=18, base_channels=8),
    'mmseg.ResNet': dict(depth=18, base_channels=8),
    'mmparts.Swin': dict(arch=dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8)), window_size=4),
    'SwinTransformer': dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8), window_size=4),
}


def tiny(cfg: dict) -> ConfigDict:
    """The model of a detector config (or such a model itself), few channels wide and few layers deep."""
    model = copy.deepcopy(ConfigDict(cfg.get('model', cfg)))
    model.update(embed_dims=32, num_queries=20, init_cfg=None)
    model.backbone.update(BACKBONES.get(model.backbone.type, {}), init_cfg=None)
    model.encoder.update(num_layers=1, ffn_channels=64)
    model.decoder.update(num_layers=2, ffn_channels=64)
    if model.neck.get('norm_cfg'):
        model.neck.norm_cfg.num_groups = 8
    if 'mask_decoder' in model.head:
        for part, name in (
            (model.backbone, 'channels'),
            (model.head.mask_decoder, 'channels'),
            (model.neck, 'skip_channels'),
        ):
            part.update({name: [channels // 8 for channels in part[name]]} if name in part else {})
    for group in model.get('groups', ()):
        group.num = 10
    if 'num_points' in model.head:
        model.head.num_points = 100
    return model


def build(model: dict, seed: int = 0) -> nn.Module:
    """The model, with weights that depend on the seed alone, and every weight a little off its start.

    Many weights start at zero on purpose (the last layer of a box branch); a test that left them so would not see
    what they do.
    """
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = MODELS.build(model)
    for parameter in built.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return built


def base(name: str, **changes) -> ConfigDict:
    """A model of ``configs/_base_/models``, tiny, with ``changes`` merged in as a config would."""
    cfg = Config(dict(model=tiny(Config.fromfile(CONFIGS / '_base_' / 'models' / f'{name}.py'))))
    cfg.merge_from_dict(dict(model=changes))
    return cfg.model


def mask2former(name: str = 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py') -> ConfigDict:
    """The model of a config of mmdet's Mask2Former, as tiny; each of its parts has the sizes in words of its own."""
    width = dict(embed_dims=32)
    layer = dict(self_attn_cfg=width, ffn_cfg=dict(width, feedforward_channels=64))
    cfg = Config(dict(model=Config.fromfile(CONFIGS / name).model))
    cfg.merge_from_dict(
        dict(
            model=dict(
                data_preprocessor=dict(batch_augments=None),
                backbone=dict(depth=18, base_channels=8, init_cfg=None),
                panoptic_head=dict(
                    in_channels=[8, 16, 32, 64],
                    feat_channels=32,
                    out_channels=32,
                    num_queries=20,
                    positional_encoding=dict(num_feats=16),
                    pixel_decoder=dict(
                        norm_cfg=dict(num_groups=8),
                        positional_encoding=dict(num_feats=16),
                        encoder=dict(num_layers=1, layer_cfg=layer),
                    ),
                    transformer_decoder=dict(num_layers=3, layer_cfg=dict(layer, cross_attn_cfg=width)),
                ),
                train_cfg=dict(num_points=100),
            )
        )
    )
    return cfg.model


def samples(sizes=((64, 96), (96, 64)), counts=(3, 0), num_classes: int = 80, seed: int = 0) -> list[DetDataSample]:
    """One data sample for each (height, width), with so many random objects."""
    random = torch.Generator().manual_seed(seed)
    made = []
    for index, ((height, width), count) in enumerate(zip(sizes, counts)):
        extent = torch.tensor([width, height], dtype=torch.float32)
        centre = torch.rand(count, 2, generator=random) * 0.6 + 0.2
        half = torch.rand(count, 2, generator=random) * 0.15 + 0.05
        boxes = torch.cat([(centre - half) * extent, (centre + half) * extent], dim=1)
        labels = torch.randint(num_classes, (count,), generator=random)
        made.append(
            DetDataSample(
                gt_instances=InstanceData(bboxes=boxes, labels=labels, masks=ellipses(boxes, height, width)),
                metainfo=dict(
                    img_path=f'image_{index}.png',
                    img_id=index,
                    img_shape=(height, width),
                    ori_shape=(2 * height, 3 * width),
                    scale_factor=(1 / 3, 1 / 2),
                ),
            )
        )
    return made


def ellipses(boxes: torch.Tensor, height: int, width: int) -> BitmapMasks:
    """The ellipse within each box (xyxy pixels)."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing='ij')
    masks = [
        (2 * x - left - right).div(right - left) ** 2 + (2 * y - top - bottom).div(bottom - top) ** 2 <= 1
        for left, top, right, bottom in boxes
    ]
    return BitmapMasks([mask.numpy().astype('uint8') for mask in masks], height, width)


def batch(model: nn.Module, sizes=((64, 96), (96, 64)), counts=(3, 0), seed: int = 0) -> dict:
    """What the model's forward takes, padded by its own preprocessor: images of unequal sizes, one without objects."""
    random = torch.Generator().manual_seed(seed)
    images = [torch.randint(256, (3, *size), generator=random, dtype=torch.uint8) for size in sizes]
    head = model.head if hasattr(model, 'head') else model.panoptic_head
    data = dict(inputs=images, data_samples=samples(sizes, counts, head.num_classes, seed))
    return model.data_preprocessor(data, training=model.training)


def with_patches(data: dict, side: int = 32) -> dict:
    """The same, with what pre-training on pictures without labels takes: a patch for each object."""
    for sample in data['data_samples']:
        sample.gt_instances.patches = torch.randint(256, (len(sample.gt_instances), 3, side, side), dtype=torch.uint8)
    return data


def total(losses: dict) -> torch.Tensor:
    """What an optimiser would minimise."""
    return sum(value for name, value in losses.items() if 'loss' in name)


def without_gradient(model: nn.Module) -> list[str]:
    """Trainable parameters that a backward pass did not reach, or reached with NaN or infinity."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.isfinite().all())
    ]


def at_own_size(path: str) -> nn.Module:
    """The model of a config below ``configs``, nothing made smaller."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(Config.fromfile(CONFIGS / path).model)


def unmoved_by_two_steps(model: nn.Module, data: dict) -> set[str]:
    """Trainable parameters that two steps of AdamW leave as they were; every one must have a gradient."""
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for _ in range(2):  # what is behind a layer of zeros moves in the second step
        optimiser.zero_grad()
        total(model(**data, mode='loss')).backward()
        assert not without_gradient(model)
        optimiser.step()
    return {key for key, value in model.named_parameters() if value.requires_grad and value.equal(before[key])}


def assert_comes_back(model: nn.Module, fresh: nn.Module, data: dict, path: Path):
    """Saved to ``path`` and loaded into another model, the weights predict the same."""
    torch.save(model.state_dict(), path)
    fresh.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        ours, theirs = (each.eval()(**data, mode='predict') for each in (model, fresh))
    for one, other in zip(ours, theirs):
        assert one.pred_instances.bboxes.equal(other.pred_instances.bboxes)
        assert len(one.pred_instances.scores) and one.pred_instances.scores.equal(other.pred_instances.scores)
