"""What a backbone gives and a neck takes: channels and strides, checked when the model is built.

Our backbones publish ``channels`` and ``strides``; those of others are asked by a trial run on the meta device.
"""

import copy
from dataclasses import dataclass

import torch
from torch import nn

from ..registry import build_part, resolve

PROBE_SIZE = 256  # pixels; a multiple of every stride in use


@dataclass(frozen=True)
class FeatureSpec:
    channels: tuple[int, ...]
    strides: tuple[int, ...]

    def __str__(self):
        return f'channels {list(self.channels)} at strides {list(self.strides)}'


def backbone_spec(backbone: nn.Module) -> FeatureSpec:
    """The channels and strides of a backbone's outputs: those it publishes, or those that a trial run shows."""
    if (
        hasattr(backbone, 'channels')
        and hasattr(backbone, 'strides')
        and len(backbone.channels) == len(backbone.strides)
    ):
        return FeatureSpec(tuple(backbone.channels), tuple(backbone.strides))
    image = torch.empty(1, image_channels(backbone), PROBE_SIZE, PROBE_SIZE, device='meta')
    try:
        return _spec_of(_on_meta(backbone)(image))
    except Exception as error:
        raise RuntimeError(
            f'cannot find out the channels of {type(backbone).__name__}: it publishes no `channels` and `strides`, and '
            f"a trial run failed ({error}); write the neck's in_channels instead of 'auto'"
        ) from error


def image_channels(backbone: nn.Module) -> int:
    """Channels of the images that a backbone takes: as it says, else those of its first convolution."""
    first = next((part.in_channels for part in backbone.modules() if isinstance(part, nn.Conv2d)), 3)
    said = getattr(backbone, 'in_channels', first)
    return said if isinstance(said, int) else first


def build_neck(cfg: dict, backbone: nn.Module, embed_dims: int, num_levels: int) -> nn.Module:
    """Build a neck on a backbone.

    ``in_channels='auto'`` reads the backbone's; an explicit list is held against them, where they can be found out.
    ``out_channels`` and ``num_outs`` default to the detector's ``embed_dims`` and ``num_levels``.
    """
    wanted = cfg.get('in_channels', 'auto')
    shared = dict(out_channels=embed_dims, num_outs=num_levels)
    try:
        given = backbone_spec(backbone)
    except RuntimeError:
        if wanted == 'auto':
            raise
        return build_part(cfg, **shared)  # nothing to hold it against

    if wanted != 'auto' and list(wanted) != list(given.channels):
        raise ValueError(
            f'neck {resolve(cfg).__name__} takes in_channels {list(wanted)}, backbone '
            f"{type(backbone).__name__} gives {given}; write in_channels='auto' or "
            f"{list(given.channels)}, or change the backbone's out_indices"
        )
    neck = build_part({**cfg, 'in_channels': list(given.channels)}, **shared)
    _check_outputs(neck, given, embed_dims, num_levels)
    return neck


def _check_outputs(neck: nn.Module, given: FeatureSpec, embed_dims: int, num_levels: int):
    feats = tuple(
        torch.empty(1, channels, PROBE_SIZE // stride, PROBE_SIZE // stride, device='meta')
        for channels, stride in zip(given.channels, given.strides)
    )
    spec = _spec_of(_on_meta(neck)(feats))
    tokens = spec.channels[getattr(neck, 'num_skips', 0) :]  # what goes past the transformer may have any width
    if tokens != (embed_dims,) * (num_levels + getattr(neck, 'num_pixel_levels', 0)):
        raise ValueError(
            f'neck {type(neck).__name__} gives {spec}; the detector was told num_levels={num_levels} and '
            f'embed_dims={embed_dims}, that is channels {[embed_dims] * num_levels}'
        )


def _spec_of(feats: tuple[torch.Tensor, ...]) -> FeatureSpec:
    return FeatureSpec(tuple(feat.shape[1] for feat in feats), tuple(PROBE_SIZE // feat.shape[-1] for feat in feats))


def _on_meta(module: nn.Module) -> nn.Module:
    """A copy without memory: every parameter and buffer on the meta device."""
    tensors = [*module.parameters(), *module.buffers()]
    empty = {id(tensor): torch.empty_like(tensor, device='meta') for tensor in tensors}
    for tensor in module.parameters():
        empty[id(tensor)] = nn.Parameter(empty[id(tensor)], requires_grad=tensor.requires_grad)
    probe = copy.deepcopy(module, memo=empty)
    probe.eval()  # not chained: some backbones return None
    return probe
