"""A head whose masks are made of attention: what the queries of the last decoder layer look at (DETR, Cell-DETR)."""

import torch
from torch import Tensor

from ..segments import SegmentationHead


class AttentionMaskHead(SegmentationHead):
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

    def _only_last(self, layer: int) -> None:
        if layer != -1:
            raise ValueError(
                f'{type(self).__name__} makes masks of the last decoder layer only, not of layer {layer} '
                '(-1 is the last)'
            )
