"""Before anything runs: do the model, the data sets and the checkpoint speak of the same classes?"""

from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner

from ..registry import HOOKS


@HOOKS.register_module()
class CheckClassesHook(Hook):
    """Compares classes by name between the data sets and with the checkpoint, by number with the model.

    mmdet's `NumClassCheckHook` compares numbers only, and those of the validation set after an epoch of training.

    Raises:
        ValueError: naming both sides.
    """

    def before_run(self, runner: Runner):
        """The loops that will run have been built, and their data sets with them."""
        loops = dict(train=runner._train_loop, val=runner._val_loop, test=runner._test_loop)
        found = {
            name: loop.dataloader.dataset.metainfo.get('classes')
            for name, loop in loops.items()
            if isinstance(loop, BaseLoop)
        }
        self.training = 'train' in found
        self.classes = {name: tuple(classes) for name, classes in found.items() if classes}
        for name, classes in self.classes.items():
            first = next(iter(self.classes))
            compare(f'the {first} set', self.classes[first], f'the {name} set', classes)
            model = runner.model.module if is_model_wrapper(runner.model) else runner.model
            check_model(model, name, classes, self.training)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict):
        """A checkpoint to be tested or resumed must know the same classes; one to be fine-tuned need not."""
        trained = checkpoint.get('meta', {}).get('dataset_meta', {}) or {}
        if not trained.get('classes') or (self.training and not runner._resume):
            return
        for name, classes in self.classes.items():
            compare('the checkpoint', tuple(trained['classes']), f'the {name} set', classes)


def compare(first: str, expected: Sequence[str], second: str, got: Sequence[str]):
    if expected == got:
        return
    differing = [f'label {i}: {a!r} / {b!r}' for i, (a, b) in enumerate(zip(expected, got)) if a != b]
    raise ValueError(
        f'{first} has {len(expected)} classes and {second} {len(got)}, or they differ: '
        f'{"; ".join(differing[:5]) or "the first ones agree"}. Give both the same '
        'metainfo=dict(classes=(...)); a file that lacks some of them takes allow_missing=(...)'
    )


def check_model(model, name: str, classes: Sequence[str], training: bool = True):
    """Every module with a ``num_classes``, but for backbones (their pre-training) and RPN heads (objectness)."""
    for path, module in model.named_modules():
        number = getattr(module, 'num_classes', None)
        if not isinstance(number, int) or path.split('.')[0] == 'backbone' or path.endswith('rpn_head'):
            continue
        if number != len(classes):
            raise ValueError(
                f'num_classes={number} in {path or "the model"} ({type(module).__name__}), but the {name} '
                f'set has {len(classes)} classes: {tuple(classes)}. ' + advice(number, classes, training)
            )


def advice(number: int, classes: Sequence[str], training: bool) -> str:
    """What to change: the model before it is trained; afterwards the data set, for a trained model is what it is."""
    if training:
        return f'Set num_classes={len(classes)}'
    return (
        f'To evaluate some of the {number} classes that the model was trained with, give the data set all of them '
        "(metainfo=dict(classes=...) in the model's order, with allow_missing='*' and ignore_categories='*'), and the "
        'metric those that count, as in mmparts.CheckedCocoMetric(classes=...)'
    )
