"""Before anything runs: do the model, the data sets and the checkpoint speak of the same classes?"""

import logging
import os
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import BaseLoop, Runner
from torch.utils.data import Dataset

from ..registry import HOOKS
from .members import classes_of, members
from .survey import has_boxes, queries_of, scale_of, survey


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
            name: classes_of(loop.dataloader.dataset) for name, loop in loops.items() if isinstance(loop, BaseLoop)
        }
        self.training = 'train' in found
        self.classes = {name: tuple(classes) for name, classes in found.items() if classes}
        for name, classes in self.classes.items():
            first = next(iter(self.classes))
            if not open_vocabulary(runner):
                compare(f'the {first} set', self.classes[first], f'the {name} set', classes)
            if not open_vocabulary(runner):
                check_model(whole(runner), name, classes, self.training)
        if 'train' in found and 'val' in found:
            warn_of_overlap(loops['train'].dataloader.dataset, loops['val'].dataloader.dataset)
        if 'train' in found:
            warn_of_limits(runner.cfg, loops['train'].dataloader.dataset)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict):
        """A checkpoint to be tested or resumed must know the same classes; one to be fine-tuned need not."""
        trained = checkpoint.get('meta', {}).get('dataset_meta', {}) or {}
        if not trained.get('classes') or (self.training and not runner._resume) or open_vocabulary(runner):
            return
        for name, classes in self.classes.items():
            compare('the checkpoint', tuple(trained['classes']), f'the {name} set', classes)


def warn_of_overlap(train: Dataset, val: Dataset, most: int = 200_000) -> None:
    """Say so where images are trained on and validate, too: their numbers tell how well the model remembers.

    Args:
        most: larger sets are not looked through.
    """
    if len(train) + len(val) > most:
        return
    seen, again = image_paths(train), image_paths(val)
    both = len(seen & again)
    if both:
        what = (
            'the validation set is the training set' if seen == again else f'{both} of {len(again)} validation images'
        )
        print_log(
            f'{what}{"" if seen == again else " are trained on, too"} (as {min(seen & again)}): the numbers of '
            'validation tell how well it is known by heart, not how well other images will be',
            'current',
            logging.WARNING,
        )


def warn_of_limits(cfg: dict, dataset: Dataset, most: int = 20_000) -> None:
    """Say so where objects are too small or too many for the model: what `mmparts data check --fast` finds.

    Args:
        most: larger sets are not looked through.
    """
    loader = cfg.get('train_dataloader')
    if not isinstance(loader, dict) or len(dataset) > most or not hasattr(dataset, 'get_data_info'):
        return
    if not has_boxes(dataset):
        return
    found = survey(dataset, 'train', scale_of(loader['dataset']))
    found.dropped = {}  # the data set has said so
    for line in found.findings(queries_of(cfg)):
        print_log(line, 'current', logging.WARNING)


def image_paths(dataset: Dataset) -> set[str]:
    """Files of a data set's images, or rows of them, see `CubeDataset`; empty where it does not tell."""
    found = set()
    for each in members(dataset):
        for index in range(len(each)) if hasattr(each, 'get_data_info') else ():
            info = each.get_data_info(index)
            path, rows = info.get('img_path'), info.get('rows')
            found |= {path} if rows is None else {f'{path}, row {row}' for row in range(*rows)}
    return {os.path.abspath(path) for path in found if path and '://' not in path}


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
    """Every module with a ``num_classes``, but for backbones (their pre-training) and RPN heads (objectness). A model
    that makes regions of class numbers, and paints them again, says which numbers it reads: ``class_numbers``."""
    numbers = getattr(model, 'class_numbers', None)
    if numbers and model.num_classes != len(classes):
        if max(numbers) >= len(classes):
            raise ValueError(
                f'the regions of the model are of the class numbers {tuple(numbers)}, but the {name} set has '
                f'{len(classes)} classes: {tuple(classes)}; name other numbers in the regions of the head'
            )
        return
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


@HOOKS.register_module()
class ClassNamesHook(Hook):
    """Hands the names of the classes of a data set to a model that goes by names (``set_classes``).

    Such are zero-shot classifiers and open vocabularies. Before a validation or test they get the names of its set,
    before training goes on those of the training set.
    """

    def before_train(self, runner: Runner):
        self._hand(runner, runner.train_dataloader.dataset)

    def before_val_epoch(self, runner: Runner):
        self._hand(runner, runner.val_dataloader.dataset)

    def after_val_epoch(self, runner: Runner, metrics: dict | None = None):
        if isinstance(runner._train_loop, BaseLoop):
            self._hand(runner, runner.train_dataloader.dataset)

    def before_test_epoch(self, runner: Runner):
        self._hand(runner, runner.test_dataloader.dataset)

    def _hand(self, runner: Runner, dataset: Dataset):
        model, classes = whole(runner), classes_of(dataset)
        if classes and hasattr(model, 'set_classes'):
            model.set_classes(classes)


def whole(runner: Runner):
    """The model of a run, out of what wraps it."""
    return runner.model.module if is_model_wrapper(runner.model) else runner.model


def open_vocabulary(runner: Runner) -> bool:
    """Whether the model reads classes from their names, so that sets need not agree."""
    return getattr(whole(runner), 'open_vocabulary', False)
