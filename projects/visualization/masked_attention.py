"""Where mmdet's Mask2Former looks: the queries of a layer attend within the masks that the layer before predicts."""

import torch
from torch import nn

from ..registry import TASK_UTILS
from .attention import Look, Watch


class MaskedWatch(Watch):
    """:class:`Watch` for mmdet's Mask2Former, which has neither boxes nor references."""

    def _parts(self, model: nn.Module) -> tuple[nn.ModuleList, nn.Module]:
        return model.panoptic_head.transformer_decoder.layers, model.panoptic_head

    def _offered(self) -> list[str]:
        return ['mask-attention', 'mask']

    @property
    def select(self):
        return TASK_UTILS.build(dict(type='mmparts.TopKMasks', num=100, no_object=True))

    def __enter__(self):
        self.hooks = [
            self.cross_attn.register_forward_pre_hook(self._keep_inputs, with_kwargs=True),
            self.head.pixel_decoder.register_forward_hook(self._keep_shapes),
            self.head.register_forward_hook(self._keep_predictions),
        ]
        return self

    def _keep_inputs(self, module, inputs, named):
        self.inputs = named

    def _keep_shapes(self, module, inputs, outputs):
        self.shapes = [tuple(level.shape[-2:]) for level in outputs[1]]  # the layers take them in turn

    @torch.no_grad()
    def look(self) -> Look:
        logits, masks = ([each[0].float().cpu() for each in layers] for layers in self.predictions)
        seen = Look(logits[-1], None, None, masks=masks[-1])
        if self.kind == 'mask':
            seen.maps, seen.brightest = masks[self.layer].sigmoid()[:, None], 1.0
        else:
            seen.maps = self._weights()
        return seen

    def _weights(self) -> torch.Tensor:
        """N heads h w, by torch's own attention, which mmcv's wraps; it has the tokens in front."""
        named = {name: value for name, value in self.inputs.items() if isinstance(value, torch.Tensor)}
        query, key = ((named[side] + named[f'{side}_pos']).transpose(0, 1) for side in ('query', 'key'))
        _, weights = self.cross_attn.attn(query, key, key, attn_mask=named['attn_mask'], average_attn_weights=False)
        shape = next(shape for shape in self.shapes if shape[0] * shape[1] == len(key))
        return weights[0].transpose(0, 1).unflatten(-1, shape).float().cpu()


def watch(model: nn.Module, layer: int = -1, kind: str | None = None) -> Watch:
    """The :class:`Watch` that knows the model."""
    masked = hasattr(getattr(model, 'panoptic_head', None), 'transformer_decoder')
    return (MaskedWatch if masked else Watch)(model, layer, kind)
