"""Random batches for measurements: what a detector's forward takes, without a data set."""

import numpy as np
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from torch import Tensor, nn

OBJECTS = 7  # COCO's mean number for an image


def blank_samples(batch_size: int, shape: tuple[int, int]) -> list[DetDataSample]:
    """Data samples of images of (height, width) that are neither resized nor padded; without objects."""
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, batch_input_shape=shape, scale_factor=(1.0, 1.0))
    return [DetDataSample(metainfo=dict(meta, img_id=index)) for index in range(batch_size)]


def random_batch(
    batch_size: int, shape: tuple[int, int], device: torch.device | str = 'cpu', seed: int = 0, channels: int = 3
) -> tuple[Tensor, list[DetDataSample]]:
    """Normalised images (B C H W) and their samples, each with ``OBJECTS`` random boxes of class 0,
    which their masks fill."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(batch_size, channels, *shape, generator=random)
    samples = blank_samples(batch_size, shape)
    extent = torch.tensor([shape[1], shape[0]] * 2)
    for sample in samples:
        corners = torch.rand(2, OBJECTS, 2, generator=random).sort(0).values
        boxes = torch.cat([corners[0], corners[1]], dim=-1) * extent
        sample.gt_instances = InstanceData(
            bboxes=boxes, labels=torch.zeros(OBJECTS, dtype=torch.long), masks=filled(boxes, shape)
        )
    return images.to(device), [sample.to(device) for sample in samples]


def image_channels(model: nn.Module) -> int:
    """Of the images that a model takes: three, unless its backbone says otherwise."""
    return getattr(getattr(model, 'backbone', None), 'in_channels', 3)


def filled(boxes: Tensor, shape: tuple[int, int]) -> BitmapMasks:
    """Masks of images of (height, width) that are whole boxes, N 4 as xyxy pixels."""
    masks = np.zeros((len(boxes), *shape), np.uint8)
    for mask, (left, top, right, bottom) in zip(masks, boxes.round().int().tolist()):
        mask[top:bottom, left:right] = 1
    return BitmapMasks(masks, *shape)
