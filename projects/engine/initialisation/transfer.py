"""Fine-tuning by class name: all of a checkpoint that fits is taken, and of what stands for classes the rows of those
classes that both know.

Which tensors stand for classes is not listed anywhere: the model is built once more, without memory, for some classes
more, and what grows with them is it, in whatever part (class branches of the encoder's and the decoder's predictions,
label embeddings of denoising, heads of other families). Tensors of query slots are found the same way; where a model
has another number of queries, its slots take those of the checkpoint in turn.
"""

import copy
import inspect
import logging
from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
from mmengine.config import Config, ConfigDict
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.registry import init_default_scope
from torch import Tensor, nn

from ...datasets.members import classes_of
from ...registry import HOOKS, MODELS, keywords, resolve
from ...weights.errors import WeightsDoNotFit
from .fit import IGNORED, partly

MORE = 7  # classes, or queries, of the second model


@dataclass
class Rows:
    """The dimension of a tensor that stands for classes (or query slots), and how many of its rows are for something
    else (no object, a spare one); these come after the classes."""

    dim: int
    spare: int


@dataclass
class Transfer:
    """What becomes of a checkpoint in a model.

    whole: tensors that are taken as they are; rows: tensor -> the place of each class row (new -> old), spare rows
    included; slots: tensors of query slots -> their dimension; new: tensors that stay as initialised, and why; unused:
    tensors of the file that the model has not. shared, added, gone: class names.
    """

    whole: list[str] = field(default_factory=list)
    rows: dict[str, dict[int, int]] = field(default_factory=dict)
    dims: dict[str, int] = field(default_factory=dict)
    slots: dict[str, int] = field(default_factory=dict)
    new: dict[str, str] = field(default_factory=dict)
    unused: list[str] = field(default_factory=list)
    shared: list[str] = field(default_factory=list)
    added: list[str] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)

    def fresh(self) -> list[str]:
        """Tensors that are new, as a whole or in some rows."""
        return [*self.new, *(self.rows if self.added else ())]

    def __str__(self) -> str:
        lines = [f'{len(self.whole)} tensors are taken from the checkpoint as they are']
        if self.rows:
            lines.append(
                f'of {len(self.rows)} that stand for classes the rows are matched by name: {names(self.shared)}; '
                f'new, as the mean of the old: {names(self.added)}; left behind: {names(self.gone)}'
            )
        if self.slots:
            lines.append(f'another number of queries, so the slots of the checkpoint in turn: {names([*self.slots])}')
        lines += [f'as initialised: {name} ({why})' for name, why in self.new.items()]
        if self.unused:
            lines.append(f'not in this model: {names(self.unused)}')
        return '\n  '.join(lines)


def plan_transfer(model: dict, state: dict[str, Tensor], old: Sequence[str] | None, new: Sequence[str]) -> Transfer:
    """What of ``state`` the model of a config can take.

    Args:
        model: its config. state: the checkpoint's tensors.
        old, new: class names of the checkpoint (None: it does not say) and of the data.
    """
    shapes = shapes_of(model)
    classes, slots = rows_of(model, shapes, 'num_classes'), rows_of(model, shapes, 'num_queries')
    place = {name: index for index, name in enumerate(old or ())}
    found = Transfer(unused=[name for name in state if name not in shapes and not name.endswith(IGNORED)])
    found.shared = [name for name in new if name in place]
    found.added = [name for name in new if name not in place]
    found.gone = [name for name in place if name not in new]
    for name, shape in shapes.items():
        given = tuple(state[name].shape) if name in state else None
        if given is None:
            found.new[name] = 'not in the checkpoint'
        elif name in classes:
            rows = classes[name]
            expected = list(shape)
            expected[rows.dim] = len(old or ()) + rows.spare
            if old is None:
                found.new[name] = 'the checkpoint does not name its classes'
            elif given != tuple(expected):
                found.new[name] = f'{given} in the checkpoint, which is not made for its {len(old)} classes'
            else:
                found.dims[name] = rows.dim
                found.rows[name] = {index: place[key] for index, key in enumerate(new) if key in place}
                found.rows[name] |= {len(new) + i: len(old) + i for i in range(rows.spare)}
        elif given == shape:
            found.whole.append(name)
        elif name in slots and not slots[name].spare and same_but(slots[name].dim, given, shape):
            found.slots[name] = slots[name].dim
        else:
            found.new[name] = f'{given} in the checkpoint, {shape} here'
    return found


def shapes_of(model: dict) -> dict[str, tuple[int, ...]]:
    """Names and shapes of a model's tensors, without memory for them."""
    state = light(model).state_dict()
    return {name: tuple(value.shape) for name, value in state.items() if not name.endswith(IGNORED)}


def light(model: dict) -> nn.Module:
    """A model without memory for its weights."""
    model = copy.deepcopy(model)
    try:
        with torch.device('meta'):
            return MODELS.build(model)
    except (RuntimeError, NotImplementedError):  # parts that compute with tensors while they are built
        return MODELS.build(model)


def rows_of(model: dict, shapes: dict[str, tuple[int, ...]], number: str) -> dict[str, Rows]:
    """Tensors that grow with a number of the config, ``num_classes`` or ``num_queries``."""
    model, value = with_number(model, number)
    if value is None:
        return {}
    larger = replaced(model, number, value, value + MORE)
    found = {}
    for name, shape in shapes_of(larger).items():
        before = shapes.get(name)
        if before is None or len(before) != len(shape):
            continue
        grown = [dim for dim, (a, b) in enumerate(zip(before, shape)) if a != b]
        if len(grown) == 1 and shape[grown[0]] - before[grown[0]] == MORE:
            found[name] = Rows(grown[0], before[grown[0]] - value)
    return found


def same_but(dim: int, given: Sequence[int], shape: Sequence[int]) -> bool:
    """Whether two shapes differ in one dimension alone."""
    return len(given) == len(shape) and all(a == b for i, (a, b) in enumerate(zip(given, shape)) if i != dim)


def with_number(model: dict, key: str) -> tuple[dict, int | None]:
    """A model's config with its number of classes or queries, and that number; a default of its class is written."""
    number = next(found_numbers(model, key), None)
    if number is None and key in keywords(resolve(model)).names:
        parameter = inspect.signature(resolve(model)).parameters.get(key)
        if parameter is not None and isinstance(parameter.default, int):
            number = parameter.default
            model = dict(model, **{key: number})
    return model, number


def found_numbers(node, key: str):
    """Every entry of that name within a config, that of a backbone (its pre-training) left out."""
    if isinstance(node, dict):
        if isinstance(node.get(key), int):
            yield node[key]
        for name, value in node.items():
            if name != 'backbone':
                yield from found_numbers(value, key)
    elif isinstance(node, (list, tuple)):
        for value in node:
            yield from found_numbers(value, key)


def replaced(node, key: str, old: int, new: int):
    """A config with another number of classes or queries; a backbone keeps its own."""
    if isinstance(node, dict):
        made = {name: value if name == 'backbone' else replaced(value, key, old, new) for name, value in node.items()}
        if made.get(key) == old:
            made[key] = new
        return ConfigDict(made)
    if isinstance(node, (list, tuple)):
        return type(node)(replaced(value, key, old, new) for value in node)
    return copy.deepcopy(node)


def names(listed: Sequence[str], most: int = 12) -> str:
    more = f' and {len(listed) - most} more' if len(listed) > most else ''
    return (', '.join(listed[:most]) or 'none') + more


def old_classes(checkpoint: dict) -> list[str] | None:
    """Class names that a checkpoint was trained with."""
    saved = (checkpoint.get('meta') or {}).get('dataset_meta') or {}
    found = {str(key).lower(): value for key, value in saved.items()}.get('classes')
    return list(found) if found else None


@HOOKS.register_module()
class TransferHook(Hook):
    """Takes from the checkpoint in ``load_from`` all that fits, and class rows by name. Resuming is not touched.

    What is new is said as a warning; a share of 100 % is never claimed where rows are new.

    Raises:
        WeightsDoNotFit: nothing fits.
    """

    def after_load_checkpoint(self, runner, checkpoint: dict) -> None:
        if runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = checkpoint.get('state_dict', checkpoint)
        plan = plan_transfer(runner.cfg.model, state, old_classes(checkpoint), class_names(runner))
        if not plan.whole:
            raise WeightsDoNotFit(f'nothing of load_from={runner._load_from} fits {type(model).__name__}: {plan}')
        take(model, state, plan)
        level = logging.WARNING if plan.fresh() or plan.unused or plan.gone else logging.INFO
        print_log(f'fine-tuning from {runner._load_from}:\n  {plan}', 'current', level)


def class_names(runner) -> tuple[str, ...]:
    """Those of the training set."""
    return tuple(classes_of(runner.train_dataloader.dataset) or ())


def take(model: nn.Module, state: dict[str, Tensor], plan: Transfer) -> None:
    """Leave in ``state`` what the model shall load: whole tensors, and class tensors with rows of both.

    A new class starts as the mean of the old ones: what they have in common, that here is an object, need not be
    learned again, and the encoder's proposals stay good.
    """
    own, counted = model.state_dict(), {}
    known = len(plan.shared) + len(plan.gone)
    for name, rows in plan.rows.items():
        merged = own[name].detach().cpu().clone()
        dim = plan.dims[name]
        new = torch.tensor([index for index in range(merged.shape[dim]) if index not in rows], dtype=torch.long)
        if known and len(new):
            mean = state[name].to(merged.dtype).narrow(dim, 0, known).mean(dim, keepdim=True)
            merged.index_copy_(dim, new, mean.repeat_interleave(len(new), dim))
        if rows:
            there, here = torch.tensor(list(rows.values())), torch.tensor(list(rows))
            merged.index_copy_(dim, here, state[name].to(merged.dtype).index_select(dim, there))
        state[name] = merged
        counted[name] = (len(rows), merged.shape[dim])
    for name, dim in plan.slots.items():
        here, there = own[name].shape[dim], state[name].shape[dim]
        state[name] = state[name].index_select(dim, torch.arange(here) % there)
    for name in [name for name in state if name in plan.new or name in plan.unused]:
        del state[name]
    partly[model] = {name: pair for name, pair in counted.items() if pair[0] < pair[1]}


def fine_tune(cfg: Config, path: str, checkpoint: dict, old_rate: float = 1.0, freeze: Sequence[str] = ()) -> None:
    """Let a config start from a checkpoint with other classes.

    Args:
        path, checkpoint: the file, and what it holds.
        old_rate: learning rate of what is taken, as a share of that of what is new, which learns at the config's.
        freeze: parts that are not trained.
    """
    cfg.load_from = path
    hooks = cfg.setdefault('default_hooks', ConfigDict())
    hooks.transfer = dict(type='mmparts.TransferHook')
    if freeze:
        hooks.frozen_parts = dict(type='mmparts.Freeze', names=list(freeze))
    if old_rate != 1:
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        state = checkpoint.get('state_dict', checkpoint)
        new = classes_of(cfg.train_dataloader.dataset) or ()
        plan = plan_transfer(cfg.model, state, old_classes(checkpoint), new)
        wrapper = cfg.optim_wrapper
        wrapper.optimizer.lr *= old_rate
        wrapper.constructor = 'mmparts.ParamwiseConstructor'
        keys = wrapper.setdefault('paramwise_cfg', ConfigDict()).setdefault('custom_keys', ConfigDict())
        trained = dict(light(cfg.model).named_parameters())
        keys.update({name: dict(lr_mult=1 / old_rate) for name in plan.fresh() if name in trained})
