"""One optimizer group for each setting, not for each tensor; and fused steps where the device has them.

mmengine makes a group of every tensor as soon as `paramwise_cfg` is set: 480 groups with two settings for DINO, so that
foreach and fused kernels get one tensor a call.
"""

import difflib
import logging
from collections.abc import Callable, Iterable, Sequence
from contextlib import contextmanager, suppress
from typing import TypeVar

from mmengine.logging import MMLogger, print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import DefaultOptimWrapperConstructor, OptimWrapper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm
from torch.optim import Optimizer

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS

Built = TypeVar('Built')
NORMS = (nn.LayerNorm, nn.GroupNorm, nn.RMSNorm, _BatchNorm, _InstanceNorm)
NOISE = ('paramwise_options -- ', 'is skipped since its', 'is duplicate')  # mmengine's lines, one for each tensor


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class ParamwiseConstructor(DefaultOptimWrapperConstructor):
    """mmengine's constructor with merged groups; rates that decay by layer are those of `LayerDecayConstructor`.

    Unless the optimizer's config says otherwise, ``fused=True`` is asked for where all tensors are on a device that has
    it. Checkpoints with a group for each tensor are resumed, see :func:`regroup`.

    ``paramwise_cfg`` takes two words beside mmengine's, which hold also where a custom key decides about the rate
    (mmengine's ``norm_decay_mult`` does not): ``spare_norms=True``, no norm is decayed, whatever its name; and
    ``no_decay``, parts of names that are not decayed.

    Raises:
        ValueError: a name in ``custom_keys`` or ``no_decay`` fits no parameter.
    """

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = model.module if is_model_wrapper(model) else model
        self.order: list[int] = []
        names = [name for name, _ in model.named_parameters()]
        for word in ('custom_keys', 'no_decay'):
            check_keys(self.paramwise_cfg.get(word, ()), names, word)
        wrapper = fused(lambda cfg: self._build(model, cfg), self.optimizer_cfg)
        wrapper.optimizer.single_order = self.order
        return wrapper

    def _build(self, model: nn.Module, optimizer_cfg: dict) -> OptimWrapper:
        self.optimizer_cfg = optimizer_cfg
        self.paramwise_cfg = {'bypass_duplicate': True, **self.paramwise_cfg}  # tied weights are one, under either name
        return super().__call__(model)

    def add_params(self, params: list[dict], module: nn.Module, prefix: str = '', is_dcn_module=None) -> None:
        if prefix:
            return super().add_params(params, module, prefix, is_dcn_module)
        single: list[dict] = []
        with silent(NOISE):
            super().add_params(single, module, prefix, is_dcn_module)
        self._spare(single, module)
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

    def _spare(self, single: list[dict], module: nn.Module):
        """No decay in the groups, of one tensor each, that ``spare_norms`` and ``no_decay`` name."""
        parts = tuple(self.paramwise_cfg.get('no_decay', ()))
        spared = {id(each) for name, each in module.named_parameters() if any(part in name for part in parts)}
        if self.paramwise_cfg.get('spare_norms'):
            norms = [part for part in module.modules() if isinstance(part, NORMS)]
            spared |= {id(each) for norm in norms for each in norm.parameters(recurse=False)}
        for group in single:
            if id(group['params'][0]) in spared:
                group['weight_decay'] = 0.0


def fused(build: Callable[[dict], Built], optimizer: dict) -> Built:
    """``build(optimizer)``, with a fused step where the kind of optimizer and the device have one and the config does
    not say."""
    if 'fused' not in optimizer:
        with suppress(RuntimeError, TypeError):  # no fused kernel on this device, or none of this optimizer
            return build(dict(optimizer, fused=True))
    return build(optimizer)


def check_keys(keys: Iterable[str], names: list[str], word: str = 'custom_keys') -> None:
    """Every key must be in the name of a parameter: else the rate or decay that it names would be nobody's.

    Raises:
        ValueError: naming the key and the parts of the model that are spelt most like it.
    """
    parts = {'.'.join(name.split('.')[:depth]) for name in names for depth in range(1, 5)}
    parts |= {part for name in names for part in name.split('.')}
    for key in keys:
        if not any(key in name for name in names):
            close = difflib.get_close_matches(key, parts, n=3)
            question = f'; did you mean {" or ".join(map(repr, close))}?' if close else ''
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.{word} has {key!r}, which is in the name of no parameter{question}. '
                'Take it out, or write what is in a name (print(model) shows them)'
            )


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
