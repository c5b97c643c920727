"""A validation that also tells the losses, and what a model says beside them: `val_cfg = dict(loss=True)`."""

import copy
import re
from collections import defaultdict
from collections.abc import Mapping, Sequence

import torch
from mmengine.dist import all_reduce
from mmengine.model import is_model_wrapper
from mmengine.runner import ValLoop

from ..datasets.members import members
from ..evaluation.check_metrics import same_random_numbers
from ..registry import LOOPS
from ..tasks import task_of
from .resuming.samples import seed_all

NAME = 'val/loss'


@LOOPS.register_module()
class ValidationLoop(ValLoop):
    """mmengine's ``ValLoop``.

    Args:
        loss: tell the mean loss of the validation images, too, as ``val/loss``, and its terms as ``val/loss_cls`` ...,
            summed over layers, and accuracies that a model tells beside them, of each batch, as the mean over the
            images (`val/masked.text_accuracy`). No dropout, no random number is used up. ``save_best`` and early
            stopping may name it. With several processes the last batches may be left out, for losses need all
            processes.
    """

    def __init__(self, runner, dataloader, evaluator, fp16: bool = False, loss: bool = False):
        super().__init__(runner, dataloader, evaluator, fp16)
        self.loss = loss
        self.sums: dict[str, float] = defaultdict(float)
        self.images = self.batches = 0

    def names(self) -> list[str]:
        """Of the numbers beside those of the metrics."""
        return [NAME] if self.loss else []

    def run(self) -> dict:
        """Validate, with the losses among the metrics."""
        if not self.loss:
            return super().run()
        self.sums.clear()
        self.images, batches = 0, torch.tensor(len(self.dataloader))
        all_reduce(batches, 'min')
        self.batches = int(batches)
        evaluate = self.evaluator.evaluate
        self.evaluator.evaluate = lambda size: {**evaluate(size), **self.means()}
        try:
            return super().run()
        finally:
            del self.evaluator.evaluate

    def run_iter(self, idx: int, data_batch: dict) -> None:
        if self.loss and idx < self.batches:
            self.add_loss(data_batch, idx)
        super().run_iter(idx, data_batch)

    @torch.no_grad()
    def add_loss(self, data_batch: dict, idx: int) -> None:
        """Of a batch, its truth brought onto the grid of the inputs; what a loss draws by chance is the same in every
        validation."""
        model = self.runner.model.module if is_model_wrapper(self.runner.model) else self.runner.model
        samples = copy.deepcopy(list(data_batch['data_samples']))
        if truth_of_file(self.dataloader.dataset):
            task = task_of(model)
            samples = [task.resized_truth(one, image.shape[1:]) for one, image in zip(samples, data_batch['inputs'])]
        data = model.data_preprocessor(dict(inputs=copied(data_batch['inputs']), data_samples=samples), False)
        with same_random_numbers():
            seed_all(0, idx)
            total, terms = model.parse_losses(model(**data, mode='loss'))
        values: dict[str, float] = defaultdict(float)
        for name, value in terms.items():
            if name != 'loss' and ('loss' in name or 'accuracy' in name):
                values[re.sub(r'(^|[._])d?\d+[._]', r'\1', name)] += float(value)
        values['loss'] = float(total)
        for name, value in values.items():
            self.sums[name] += value * len(samples)
        self.images += len(samples)

    def means(self) -> dict[str, float]:
        """Over the images of all processes."""
        names = sorted(self.sums)
        if not names:
            return {}
        sums = torch.tensor([*(self.sums[name] for name in names), float(self.images)], dtype=torch.float64)
        all_reduce(sums)
        return {f'val/{name}': round(float(value / sums[-1]), 4) for name, value in zip(names, sums)}


def copied(inputs: Sequence | Mapping[str, Sequence]) -> list | dict[str, list]:
    """New lists of the inputs of a batch, which a preprocessor may write in; of several modalities one each."""
    if isinstance(inputs, Mapping):
        return {name: list(given) for name, given in inputs.items()}
    return list(inputs)


def truth_of_file(dataset) -> bool:
    """Whether annotations are loaded after the image was resized, as mmdet's and mmseg's test pipelines do, so that
    they lie on the grid of the file."""
    pipeline = getattr(next(members(dataset)), 'pipeline', None)
    names = [type(step).__name__ for step in getattr(pipeline, 'transforms', ())]
    loads = [place for place, name in enumerate(names) if name.startswith('Load') and 'Annotations' in name]
    resizes = [place for place, name in enumerate(names) if 'Resize' in name]
    return bool(loads and resizes) and loads[0] > resizes[0]
