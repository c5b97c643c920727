"""Random batches for measurements: what a detector's forward takes, without a data set."""
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from torch import Tensor

OBJECTS = 7  # COCO's mean number for an image


def blank_samples(batch_size: int, shape: tuple[int, int]) -> list[DetDataSample]:
    """Data samples of images of (height, width) that are neither resized nor padded; without objects."""
    meta = dict(img_shape=shape, ori_shape=shape, pad_shape=shape, batch_input_shape=shape, scale_factor=(1., 1.))
    return [DetDataSample(metainfo=dict(meta, img_id=index)) for index in range(batch_size)]


def random_batch(batch_size: int, shape: tuple[int, int], device: torch.device | str = 'cpu',
                 seed: int = 0) -> tuple[Tensor, list[DetDataSample]]:
    """Normalised images (B 3 H W) and their samples, each with ``OBJECTS`` random boxes of class 0."""
    random = torch.Generator().manual_seed(seed)
    images = torch.randn(batch_size, 3, *shape, generator=random)
    samples = blank_samples(batch_size, shape)
    extent = torch.tensor([shape[1], shape[0]] * 2)
    for sample in samples:
        corners = torch.rand(2, OBJECTS, 2, generator=random).sort(0).values
        boxes = torch.cat([corners[0], corners[1]], dim=-1) * extent
        sample.gt_instances = InstanceData(bboxes=boxes, labels=torch.zeros(OBJECTS, dtype=torch.long))
    return images.to(device), [sample.to(device) for sample in samples]
