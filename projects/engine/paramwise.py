"""One optimizer group for each setting, not for each tensor; and fused steps where the device has them.

mmengine makes a group of every tensor as soon as `paramwise_cfg` is set: 480 groups with two settings for DINO, so that
foreach and fused kernels get one tensor a call.
"""

import logging
from collections.abc import Sequence
from contextlib import contextmanager

from mmengine.logging import MMLogger, print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.optim import Optimizer

from ..registry import OPTIM_WRAPPER_CONSTRUCTORS
from .check_paramwise import check_keys

NOISE = ('paramwise_options -- ', 'is skipped since its')  # mmengine's lines, one for each tensor


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ParamwiseConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with merged groups. ``paramwise_cfg`` takes one more word:

    * ``layer_decay``: the rate of a backbone's parameter is multiplied by this to the power of how many layers lie
      above it; the backbone says ``layer_id(name)`` and ``num_layer_ids``.

    Unless the optimizer's config says otherwise, ``fused=True`` is asked for where all tensors are on a device that has
    it. Checkpoints with a group for each tensor are resumed, see :func:`regroup`.

    Raises:
        ValueError: a name in ``custom_keys`` fits no parameter; ``layer_decay`` on a backbone that says no layers.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        paramwise_cfg = dict(paramwise_cfg or {})
        self.layer_decay: float = paramwise_cfg.pop('layer_decay', 1.0)
        super().__init__(optim_wrapper_cfg, paramwise_cfg)
        if self.layer_decay != 1.0 and not self.paramwise_cfg:
            self.paramwise_cfg = dict(custom_keys={})  # an empty one would not be looked at

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = model.module if is_model_wrapper(model) else model
        self.model = model
        self.order: list[int] = []
        check_keys(self.paramwise_cfg.get('custom_keys', {}), [name for name, _ in model.named_parameters()])
        wrapper = self._build(model)
        wrapper.optimizer.single_order = self.order
        return wrapper

    def _build(self, model: nn.Module) -> OptimWrapper:
        asked = dict(self.optimizer_cfg)
        if 'fused' in asked:
            return super().__call__(model)
        try:
            self.optimizer_cfg = dict(asked, fused=True)
            return super().__call__(model)
        except (RuntimeError, TypeError):  # no fused kernel on this device, or none of this optimizer
            self.optimizer_cfg = asked
            return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module=None) -> None:
        if prefix:
            return super().add_params(params, module, prefix, is_dcn_module)
        single: list[dict] = []
        with silent(NOISE):
            super().add_params(single, module, prefix, is_dcn_module)
        self._decay(single)
        merged = merge(single)
        self.order = order_of(single, merged)
        params.extend(merged)
        frozen = sum(not each.requires_grad for each in module.parameters())
        rates = sorted({group.get('lr', self.base_lr) for group in merged})
        print_log(
            f'{len(single)} parameters in {len(merged)} groups, rates {", ".join(f"{rate:.3g}" for rate in rates)}; '
            f'{frozen} frozen',
            'current',
        )
        return None

    def _decay(self, single: list[dict]) -> None:
        if self.layer_decay == 1.0:
            return
        backbone = getattr(self.model, 'backbone', None)
        if not hasattr(backbone, 'layer_id'):
            raise ValueError(
                f'layer_decay={self.layer_decay}, but {type(backbone).__name__} says no `layer_id(name)` of its '
                'parameters; leave layer_decay out, or take a backbone that does (ViT, Swin, SwinV2, InternImage ...)'
            )
        names = {id(each): name for name, each in backbone.named_parameters()}
        for group in single:
            if (name := names.get(id(group['params'][0]))) is not None:
                depth = backbone.num_layer_ids - 1 - backbone.layer_id(name)
                group['lr'] = group.get('lr', self.base_lr) * self.layer_decay**depth


def merge(single: Sequence[dict]) -> list[dict]:
    """Groups of one tensor each -> one group for each setting, in the order in which the settings first come."""
    merged: dict[tuple, dict] = {}
    for group in single:
        setting = tuple(sorted((key, value) for key, value in group.items() if key != 'params'))
        merged.setdefault(setting, {**group, 'params': []})['params'] += group['params']
    return list(merged.values())


def order_of(single: Sequence[dict], merged: Sequence[dict]) -> list[int]:
    """For each tensor of the merged groups, one after the other, its place among the single ones."""
    places = {id(group['params'][0]): place for place, group in enumerate(single)}
    return [places[id(each)] for group in merged for each in group['params']]


def regroup(checkpoint: dict, optimizer: Optimizer) -> bool:
    """Bring a checkpoint with a group for each tensor to the groups of ``optimizer``; says whether it had such.

    The state of the optimizer goes with its tensors; rates of groups and schedules are those of their first tensor.

    Args:
        checkpoint: with `optimizer` and `param_schedulers`, as mmengine saves them; changed in place.
        optimizer: from :class:`ParamwiseConstructor`.
    """
    order = getattr(optimizer, 'single_order', [])
    saved = checkpoint.get('optimizer') or {}
    groups = saved.get('param_groups', [])
    if not order or len(groups) != len(order) or len(groups) == len(optimizer.param_groups):
        return False
    if any(len(group['params']) != 1 for group in groups):
        return False

    first, firsts, new_groups = 0, [], []
    for group in optimizer.param_groups:
        count = len(group['params'])
        firsts.append(order[first])
        new_groups.append({**groups[order[first]], 'params': list(range(first, first + count))})
        first += count
    state = saved.get('state', {})
    old_ids = [groups[place]['params'][0] for place in order]
    checkpoint['optimizer'] = dict(
        saved, param_groups=new_groups, state={new: state[old] for new, old in enumerate(old_ids) if old in state}
    )
    # Where there are several groups, mmengine's schedules have one more value, that of the optimizer's defaults.
    more = slice(len(groups), None if len(firsts) > 1 else len(groups))
    for schedule in checkpoint.get('param_schedulers') or []:
        for key, values in schedule.items():
            if isinstance(values, list) and len(values) in (len(groups), len(groups) + 1):
                schedule[key] = [values[place] for place in firsts] + values[more]
    return True


@contextmanager
def silent(noise: Sequence[str]):
    """Inside, lines of the current logger that hold one of these texts are left out."""

    def keep(record: logging.LogRecord) -> bool:
        return not any(text in record.getMessage() for text in noise)

    logger = MMLogger.get_current_instance()
    logger.addFilter(keep)
    try:
        yield
    finally:
        logger.removeFilter(keep)
