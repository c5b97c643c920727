"""Stops training at the first loss that is not finite, and says which term and which images."""

import math

from mmengine.hooks import Hook

from ..registry import HOOKS


class NonFiniteLoss(RuntimeError):
    """A loss term is NaN or infinite."""


@HOOKS.register_module()
class NanGuardHook(Hook):
    """Looks at every loss of every step.

    It costs no device synchronisation of its own: ``RuntimeInfoHook``, which runs before, already brings each loss to
    the host to log it, and this reads that number. It runs before the checkpoint hook, so the last checkpoint holds
    the state of a step whose losses were finite. An infinite ``grad_norm`` is left alone: under fp16 the loss scaler
    skips such steps by design.
    """

    priority = 'ABOVE_NORMAL'

    def after_train_iter(
        self, runner, batch_idx: int, data_batch: dict | None = None, outputs: dict | None = None
    ) -> None:
        names = [name for name in outputs or () if 'loss' in name]
        values = {name: runner.message_hub.get_scalar(f'train/{name}').current() for name in names}
        bad = {name: value for name, value in values.items() if not math.isfinite(value)}
        if bad:
            raise NonFiniteLoss(self._report(runner, batch_idx, bad, data_batch))

    def _report(self, runner, batch_idx: int, bad: dict, data_batch: dict | None) -> str:
        terms = {name: value for name, value in bad.items() if name != 'loss'} or bad
        rates = {name: rate[0] for name, rate in runner.optim_wrapper.get_lr().items()}
        lines = [
            f'loss is not finite at epoch {runner.epoch + 1}, step {batch_idx + 1} (iter {runner.iter + 1}):',
            '  terms: ' + ', '.join(f'{name}={value}' for name, value in terms.items()),
            '  images: ' + ', '.join(image_paths(data_batch)),
            f'  learning rate: {rates}',
        ]
        scaler = getattr(runner.optim_wrapper, 'loss_scaler', None)
        if scaler is not None:
            lines.append(f'  loss scale: {scaler.get_scale()}')
        lines.append(
            '  What helps, in this order: look at the annotations of these images, lower the learning rate '
            '(or lengthen the warm-up), --amp-dtype bfloat16 instead of float16. '
            f'Training can go on from the last checkpoint in {runner.work_dir}.'
        )
        return '\n'.join(lines)


def image_paths(data_batch: dict | None) -> list[str]:
    """Files of the images of a batch, by id where no path is known."""
    samples = data_batch.get('data_samples', ()) if isinstance(data_batch, dict) else ()
    return [str(sample.get('img_path', sample.get('img_id', 'unknown'))) for sample in samples] or ['unknown']
