"""Mask DINO as published: the authors' code takes the padded batch for the image.

It masks no padding, and boxes are shares of the padded batch. In their training all images fill it; at test, images are
padded to multiples of 32 pixels.
"""

from dataclasses import replace

from mmdet.structures import DetDataSample
from torch import Tensor

from ...registry import MODELS
from ..detector import QueryDetector
from ..structures import ImageSizes, Memory


@MODELS.register_module()
class MaskDINO(QueryDetector):
    """A :class:`QueryDetector`; only with ``as_published=True`` it does anything else.

    Then ``mode='tensor'`` gives boxes as shares of the padded batch.
    """

    def encode(self, batch_inputs: Tensor, samples: list | None) -> Memory:
        return super().encode(batch_inputs, None if self.as_published else samples)

    def loss(self, batch_inputs: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        if self.as_published:
            batch_data_samples = [filling(batch_inputs, sample) for sample in batch_data_samples]
        return super().loss(batch_inputs, batch_data_samples)

    def predict(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list:
        if not self.as_published:
            return super().predict(batch_inputs, batch_data_samples, rescale)
        images = ImageSizes.of(batch_inputs, batch_data_samples)
        predictions = self._forward(batch_inputs, batch_data_samples)
        boxes = predictions['boxes']
        shares = boxes.new_tensor(images.shares).repeat(1, 2)[:, None]
        predictions.update(boxes=boxes / shares, masks=replace(predictions['masks'], images=images))
        results = self.head.predict(predictions, batch_data_samples, rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)


def filling(batch_inputs: Tensor, sample: DetDataSample) -> DetDataSample:
    """The sample of an image that fills the padded batch."""
    size = tuple(batch_inputs.shape[-2:])
    sample = sample.clone()
    sample.set_metainfo(dict(img_shape=size))
    if 'masks' in sample.gt_instances:
        sample.gt_instances = sample.gt_instances.clone()
        sample.gt_instances.masks = sample.gt_instances.masks.pad(size)
    return sample
