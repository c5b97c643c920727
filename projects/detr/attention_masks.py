"""A head whose masks are made of attention: what the queries of the last decoder layer look at (DETR, Cell-DETR)."""
from functools import partial

import torch
from mmengine.structures import InstanceData
from torch import Tensor

from .head import SetPredictionHead, in_pixels
from .masks import extents


class AttentionMaskHead(SetPredictionHead):
    """Detections and pictures of a head whose ``predictions['masks']`` are :class:`SeparateMasks` or of their kind."""
    needs = ('skips',)
    predicts = ('masks', 'maps')

    def mask_attention(self, predictions: dict, layer: int = -1) -> Tensor:
        """B N heads h w over the padded images, of sum one over heads and places, for pictures."""
        self._only_last(layer)
        attention = predictions['masks'].attention[0]
        return attention / attention.sum((-3, -2, -1), keepdim=True)

    def mask_logits(self, predictions: dict, layer: int = -1) -> Tensor:
        """B N h w over the padded images, for pictures."""
        self._only_last(layer)
        masks = predictions['masks']
        image, query = torch.ones(masks.attention.shape[1:3], device=masks.attention.device).nonzero().unbind(1)
        return masks.logits(image, query).unflatten(0, masks.attention.shape[1:3])

    def predict(self, predictions: dict, samples: list, rescale: bool = True) -> list[InstanceData]:
        """Detections of each image with their masks (bool), best first."""
        results = []
        shares = extents(samples, predictions['boxes'])
        last = predictions['logits'][-1], predictions['boxes'][-1]
        for image, (logits, boxes, extent, sample) in enumerate(zip(*last, shares, samples)):
            size = tuple(sample.ori_shape[:2] if rescale else sample.img_shape[:2])
            make = partial(predictions['masks'].over_image, image, extent, size)
            scores, labels, boxes, masks = self.select(logits, boxes, make)
            order = scores.argsort(descending=True)
            results.append(InstanceData(bboxes=in_pixels(boxes, sample, rescale)[order], scores=scores[order],
                                        labels=labels[order], masks=masks[order]))
        return results

    def _only_last(self, layer: int) -> None:
        if layer != -1:
            raise ValueError(f'{type(self).__name__} makes masks of the last decoder layer only, not of layer {layer} '
                             '(-1 is the last)')
