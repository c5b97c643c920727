"""Stops training before a loss or a gradient that is not finite reaches the weights, says where it came from, and
leaves what `tools/replay.py` needs to do the step once more."""

import io
import math
import os.path as osp

import torch
from mmengine.dist import get_rank, get_world_size
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper

from ...registry import HOOKS
from ..checkpoints.checkpoint import write_atomically
from ..checkpoints.plain import plain
from .forensics import Diagnosis, diagnose, random_states

BUNDLE = 'not_finite_{}.pth'


class NonFiniteLoss(RuntimeError):
    """A loss term or a gradient is NaN or infinite."""


@HOOKS.register_module()
class NanGuardHook(Hook):
    """Looks at the gradients of every step before they change the weights, and at every loss.

    It costs no wait for the device of its own where gradients are clipped by their norm, which is brought to the host
    to be logged; elsewhere that norm is computed here. Under float16 the loss scaler skips steps with infinite
    gradients by design, so there the losses alone are looked at, which are logged, too. It runs before the checkpoint
    hook: what is on disk is of steps that were finite.

    In one process the step is done again to name the first module, loss and gradient that went bad. The bundle holds
    weights, batch and random states as plain data.

    Args:
        bundle: leave one in the work dir.
    """

    priority = 'ABOVE_NORMAL'

    def __init__(self, bundle: bool = True):
        self.bundle = bundle

    def before_train(self, runner) -> None:
        wrapper = runner.optim_wrapper
        self.batch, self.states, self.loss, self.batch_idx = None, None, None, 0
        self._guard_step(runner)
        if not isinstance(wrapper, OptimWrapper) or hasattr(wrapper, 'loss_scaler'):
            return
        self._remember_loss(wrapper)
        by_norm = bool(wrapper.clip_grad_kwargs) and 'max_norm' in wrapper.clip_grad_kwargs
        self._guard(runner, wrapper, '_clip_grad' if by_norm else 'step')

    def _guard_step(self, runner) -> None:
        """Report numbers that a part refuses before there is a loss, as the matching does."""
        step = runner.model.train_step

        def guarded(data, optim_wrapper):
            try:
                return step(data, optim_wrapper)
            except FloatingPointError as error:
                raise NonFiniteLoss(self._report(runner, 'what the model predicts')) from error

        runner.model.train_step = guarded

    def _remember_loss(self, wrapper: OptimWrapper) -> None:
        backward = wrapper.backward

        def remembering(loss, **kwargs):
            self.loss = loss.detach()
            backward(loss, **kwargs)

        wrapper.backward = remembering

    def _guard(self, runner, wrapper: OptimWrapper, name: str) -> None:
        """Put the look at the gradients into a method of the wrapper, after clipping or before the step."""
        inner = getattr(wrapper, name)

        def guarded(**kwargs):
            if name == '_clip_grad':
                inner()
                norm = wrapper.message_hub.get_scalar(f'train/{wrapper.grad_name}').current()
            else:
                norm = gradient_norm(wrapper)
            if not math.isfinite(norm):
                raise NonFiniteLoss(self._report(runner, f'gradient of norm {norm}'))
            if name != '_clip_grad':
                inner(**kwargs)

        setattr(wrapper, name, guarded)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        self.batch, self.batch_idx, self.states = data_batch, batch_idx, random_states()

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        names = [name for name in outputs or () if 'loss' in name]
        values = {name: runner.message_hub.get_scalar(f'train/{name}').current() for name in names}
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if bad:
            terms = {name: value for name, value in bad.items() if name != 'loss'} or bad
            raise NonFiniteLoss(self._report(runner, ', '.join(f'{name}={value}' for name, value in terms.items())))

    def _report(self, runner, what: str) -> str:
        others = get_world_size() > 1 and self.loss is not None and bool(torch.isfinite(self.loss).all())
        rates = {name: rate[0] for name, rate in runner.optim_wrapper.get_lr().items()}
        lines = [
            f'{what} is not finite at epoch {runner.epoch + 1}, step {self.batch_idx + 1} (iter {runner.iter + 1})'
            + (f'; the loss of this process ({get_rank()}) is, so look at the others:' if others else ':'),
            *self._diagnosis(runner).lines(),
            '  images: ' + ', '.join(image_paths(self.batch)),
            f'  learning rate: {rates}',
        ]
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is not None:
            lines.append(f'  loss scale: {scaler.get_scale()}')
        if self.bundle:
            lines.append(f'  to do this step again: python tools/replay.py {self._save(runner)}')
        lines.append(
            '  What helps, in this order: look at the annotations of these images, lower the learning rate '
            '(or lengthen the warm-up), --amp-dtype bfloat16 instead of float16. '
            f'Training can go on from the last checkpoint in {runner.work_dir}.'
        )
        return '\n'.join(lines)

    def _diagnosis(self, runner) -> Diagnosis:
        if get_world_size() > 1:  # its sums over processes would wait for those that have nothing to report
            return Diagnosis()
        model = bare(runner.model)
        try:
            return diagnose(model, self.batch, self.states, lambda: runner.optim_wrapper.optim_context(model))
        except Exception as error:  # the report must come whatever the second try says
            return Diagnosis(forward=[f'(the step could not be done again: {type(error).__name__}: {error})'])

    def _save(self, runner) -> str:
        content = dict(
            model=plain(runner.cfg.get('model', {})),
            default_scope=runner.cfg.get('default_scope', 'mmengine'),
            custom_imports=plain(runner.cfg.get('custom_imports')),
            optim_wrapper=plain(runner.cfg.get('optim_wrapper', {})),
            state_dict=plain(dict(bare(runner.model).state_dict())),
            batch=plain(self.batch),
            random_states=plain(self.states),
            place=dict(epoch=runner.epoch, iter=runner.iter, seed=runner.seed, rank=get_rank()),
        )
        rank = f'_rank{get_rank()}' if get_world_size() > 1 else ''
        path = osp.join(runner.work_dir, BUNDLE.format(f'iter_{runner.iter + 1}{rank}'))
        buffer = io.BytesIO()
        torch.save(content, buffer)
        write_atomically(buffer.getvalue(), path)
        return path


def bare(model):
    return model.module if is_model_wrapper(model) else model


def gradient_norm(wrapper: OptimWrapper) -> float:
    gradients = [
        parameter.grad
        for group in wrapper.optimizer.param_groups
        for parameter in group['params']
        if parameter.grad is not None
    ]
    return float(torch.nn.utils.get_total_norm(gradients)) if gradients else 0.0


def image_paths(data_batch: dict | None) -> list[str]:
    """Files of the images of a batch, by id where no path is known."""
    samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
    return [str(sample.get('img_path', sample.get('img_id', 'unknown'))) for sample in samples] or ['unknown']
