"""Before volumes are trained on or predicted: is it the data that the checkpoint was made for, on a common scale?"""

from collections.abc import Mapping

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from ...registry import HOOKS
from ..members import members
from .dataset import VolumeDataset

COMPARED = ('modalities', 'labels', 'regions')
LARGEST_MEAN, LARGEST_DEVIATION = 5.0, 10.0  # of inputs that a network trains on without trouble


@HOOKS.register_module()
class CheckVolumesHook(Hook):
    """Compares modalities, labels and regions, in their order, between the data sets and with the checkpoint; keeps
    averaging over mirrors to the axes that were mirrored in training; warns of inputs without normalisation.

    Raises:
        ValueError: naming both sides.
    """

    def before_run(self, runner: Runner):
        """The loops that will run have been built, and their data sets with them."""
        loops = dict(train=runner._train_loop, val=runner._val_loop, test=runner._test_loop)
        self.sets: dict[str, VolumeDataset] = {}
        for name, loop in loops.items():
            for each in members(loop.dataloader.dataset) if isinstance(loop, BaseLoop) else ():
                if isinstance(each, VolumeDataset):
                    first = next(iter(self.sets), name)
                    self.sets.setdefault(name, each)
                    compare(f'the {first} set', self.sets[first].metainfo, f'the {name} set', each.metainfo)
        if 'train' in self.sets:
            self._restrict(runner, self.sets['train'].metainfo['mirror_axes'])
            fault = scale_fault(self.sets['train'])
            if fault:
                runner.logger.warning(fault)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict):
        """A checkpoint to be tested or resumed was made for the same data; one to be fine-tuned need not."""
        trained = checkpoint.get('meta', {}).get('dataset_meta') or {}
        if not trained.get('modalities') or ('train' in self.sets and not runner._resume):
            return
        for name, each in self.sets.items():
            compare('the checkpoint', trained, f'the {name} set', each.metainfo)
        if 'train' not in self.sets:
            self._restrict(runner, trained.get('mirror_axes', ()))

    @staticmethod
    def _restrict(runner: Runner, axes: tuple[int, ...]):
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        dropped = getattr(getattr(model, 'inference', None), 'restrict_mirror', lambda _: ())(axes)
        if dropped:
            runner.logger.warning(
                f'inference was to average over mirrors of the axes {dropped}, but the model is trained with mirrors '
                f'of {tuple(axes) or "none"}; those axes are left out'
            )


def compare(first: str, expected: Mapping, second: str, got: Mapping):
    """Raise ValueError if what both say of the data differs."""
    for key in COMPARED:
        a, b = expected.get(key), got.get(key)
        if a is None or b is None or listed(a) == listed(b):
            continue
        raise ValueError(
            f'{key} of {first} are {listed(a)}, of {second} {listed(b)}; the order counts, too: give both the same '
            f'metainfo=dict({key}=...)'
        )


def listed(value) -> list:
    """Names, or (name, what it is), in order."""
    if isinstance(value, Mapping):
        return [(name, each if isinstance(each, int) else list(each)) for name, each in value.items()]
    return list(value)


def scale_fault(dataset: VolumeDataset) -> str | None:
    """What is wrong with the scale of the first input."""
    inputs = dataset[0]['inputs']
    mean, deviation = inputs.mean().item(), inputs.std().item()
    if abs(mean) <= LARGEST_MEAN and deviation <= LARGEST_DEVIATION:
        return None
    return (
        f'the first input has a mean of {mean:.4g} and a deviation of {deviation:.4g}: its pipeline has no '
        'normalisation; put ZScore, PercentileIntensity or WindowIntensity into it'
    )
