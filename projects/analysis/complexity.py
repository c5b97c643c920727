"""Parameters and multiply-adds of a model, counted on the meta device: no memory, no weights, the same everywhere.

Multiply-adds (MACs) are what the papers of the field print as "GFLOPs"; floating point operations are twice as many.
Counted are convolutions, matrix products, attention (fused or not) and the sampling of deformable attention; not
counted are normalisation, activations, softmax, interpolation and element-wise arithmetic, which is below one per cent.
"""

from collections import Counter
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.flop_counter import FlopCounterMode

from ..multimodal.roles import Momentum
from ..tasks import task_of

ROOT = '(itself)'  # what belongs to the model but to none of its parts


@dataclass(frozen=True)
class Parameters:
    """Numbers of parameters.

    Args:
        as_papers_count: all but weights and biases of frozen BatchNorms and the copies of momentum encoders.
    """

    total: int
    trainable: int
    as_papers_count: int

    @classmethod
    def of(cls, module: nn.Module) -> 'Parameters':
        aside = [part for part in module.modules() if isinstance(part, (_BatchNorm, Momentum))]
        uncounted = {parameter for part in aside for parameter in part.parameters() if not parameter.requires_grad}
        total = sum(parameter.numel() for parameter in module.parameters())
        return cls(
            total=total,
            trainable=sum(each.numel() for each in module.parameters() if each.requires_grad),
            as_papers_count=total - sum(parameter.numel() for parameter in uncounted),
        )


def build_on_meta(cfg: Config) -> nn.Module:
    """The model of a config without memory for its weights, in eval mode."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    try:
        with torch.device('meta'):
            model = MODELS.build(cfg.model)
    except (RuntimeError, NotImplementedError):  # parts that compute with tensors while they are built
        model = MODELS.build(cfg.model).to('meta')
    model.eval()
    return model


def count_parameters(model: nn.Module) -> dict[str, Parameters]:
    """Of the model as a whole, under ``'total'``, and of each of its parts."""
    parts = {name: Parameters.of(part) for name, part in model.named_children()}
    return {'total': Parameters.of(model), **{name: part for name, part in parts.items() if part.total}}


def count_macs(model: nn.Module, shape: tuple[int, ...]) -> dict[str, int]:
    """Multiply-adds for one image of a size, (D) H W: of the model, under ``'total'``, and of each of its parts.

    Args:
        model: from :func:`build_on_meta`; it takes no gradients afterwards.
    """
    model.requires_grad_(False)  # the counter stumbles over views of parameters that require gradients
    counter = FlopCounterMode(display=False)
    with _count_sampling(model) as sampling, counter, torch.no_grad():
        model(**task_of(model).blank(model, shape, device='meta'), mode='tensor')

    root = type(model).__name__
    counts = counter.get_flop_counts()
    macs = {}
    for name, _ in model.named_children():
        macs[name] = sum(counts.get(f'{root}.{name}', {}).values()) // 2 + sampling.macs[name]
    total = counter.get_total_flops() // 2 + sum(sampling.macs.values())
    macs[ROOT] = total - sum(macs.values())
    return {'total': total, **{name: count for name, count in macs.items() if count}}


class _count_sampling:
    """Counts the sampling of deformable attentions, ours and mmcv's alike: they all have ``sampling_offsets`` and
    ``value_proj``, as in the official code, and sample through an op that the counter does not see."""

    def __init__(self, model: nn.Module):
        self.model = model
        self.macs = Counter()

    def __enter__(self):
        self.hooks = [
            module.sampling_offsets.register_forward_hook(self._hook(name.split('.')[0], module))
            for name, module in self.model.named_modules()
            if hasattr(module, 'sampling_offsets') and hasattr(module, 'value_proj')
        ]
        return self

    def _hook(self, part: str, attention: nn.Module):

        def count(linear, inputs, offsets):
            axes = getattr(attention, 'dims', 2)
            samples = offsets.numel() // axes  # of all heads
            channels = attention.value_proj.out_features // attention.num_heads
            self.macs[part] += samples * channels * (2**axes + 1)  # the neighbours, then the attention weight

        return count

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()
