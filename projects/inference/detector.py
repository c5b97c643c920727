"""A trained detector applied to image files."""

import os
import os.path as osp
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import torch
from mmcv.transforms import Compose
from mmdet.registry import MODELS
from mmdet.structures import DetDataSample
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope

from ..datasets.members import classes_of, members, pipeline_of
from ..datasets.unlabelled import SUFFIXES
from ..engine.checkpoints.checkpoint import load_checkpoint_file
from ..engine.initialisation.fit import load_and_account
from ..registry import DATASETS, resolve
from ..tasks import task_of
from ..weights.torch_file import trusted


@dataclass
class Failure:
    """An image that could not be predicted, and why."""

    path: str
    reason: str


class Detector:
    """A model with the test pipeline of its config.

    Args:
        cfg: The config that the model was trained with.
        checkpoint: Its weights.
        device: Where it runs.
        texts: What images are compared with: names for a model that goes by names (zero-shot, open vocabulary), texts
            for one that embeds both; a question.

    Attributes:
        classes: Names of the labels: from the checkpoint, else from the config; None where neither has them.
    """

    def __init__(self, cfg: Config, checkpoint: str, device: str = 'cpu', texts: Sequence[str] = ()):
        init_default_scope(cfg.get('default_scope', 'mmdet'))
        loaded = load_checkpoint_file(checkpoint, 'cpu', trusted())
        self.model: BaseModel = MODELS.build(cfg.model)
        load_and_account(self.model, loaded.get('state_dict', loaded))
        self.model.to(device).eval()
        self.task = task_of(self.model)
        self.classes = class_names(cfg, loaded)
        self.texts = tuple(texts)
        self.suffix = next(members(cfg.test_dataloader.dataset)).get('suffix', '')  # of questions
        if self.texts and named(self.model):
            self.classes = list(self.texts)
        if self.classes and named(self.model):
            self.model.set_classes(self.classes)
        self.pipeline = Compose(
            [step for step in pipeline_of(cfg.test_dataloader.dataset) if 'LoadAnnotations' not in str(step['type'])]
        )

    @torch.no_grad()
    def __call__(self, paths: Sequence[str], batch_size: int = 1) -> Iterator[DetDataSample | Failure]:
        """One result for each path, in their order; a file that cannot be read becomes a :class:`Failure`.

        Images that are of one size after the pipeline share a batch: padding would reach the features beside it, in
        these models as in the papers' codes, and change scores with the neighbours of an image.
        """
        yield from in_batches((self.prepare(path) for path in paths), self.predict_batch, batch_size)

    def prepare(self, path: str) -> dict | Failure:
        """What the pipeline makes of an image, and of the texts."""
        try:
            data = self.pipeline(dict(img_path=path, img_id=0, **self._said()))
        except Exception as error:
            return Failure(path, f'{type(error).__name__}: {error}')
        return Failure(path, 'the pipeline skipped it') if data is None else data

    def _said(self) -> dict:
        """The texts as entries of an item, under the names that data sets have for them."""
        if not self.texts:
            return {}
        return dict(texts=self.texts, question=self.texts[0] + self.suffix, phrases=[])

    @torch.no_grad()
    def predict_batch(self, batch: list[dict]) -> list[DetDataSample]:
        """Results of what the pipeline made of images of one size; they hold no truth, for nobody knows it."""
        found = self.model.test_step(
            dict(inputs=[item['inputs'] for item in batch], data_samples=[item['data_samples'] for item in batch])
        )
        return [self.task.without_truth(sample) for sample in found]


def named(model: BaseModel) -> bool:
    """Whether a model tells classes apart by names that may be others than those it was trained with."""
    return getattr(model, 'open_vocabulary', False)


def shape_of(inputs) -> tuple:
    """What inputs must have in common to share a batch: a shape; of several modalities that of each tensor."""
    if isinstance(inputs, Mapping):
        return tuple((name, shape_of(each)) for name, each in inputs.items())
    return tuple(getattr(inputs, 'shape', ()))


def in_batches(items: Iterable, predict: Callable, batch_size: int, ahead: int = 4) -> Iterator:
    """Results of items in their order; those whose ``inputs`` are of one shape are predicted together.

    Args:
        items: what a pipeline made of images, or `Failure`s, which pass.
        predict: list of items -> list of results.
        ahead: at most so many times ``batch_size`` items wait for others of their shape.
    """
    waiting: dict[tuple, list[int]] = {}
    read, results, place = {}, {}, 0

    def run(shape: tuple) -> None:
        numbers = waiting.pop(shape)
        results.update(zip(numbers, predict([read.pop(number) for number in numbers])))

    for number, item in enumerate(items):
        if isinstance(item, Failure):
            results[number] = item
        else:
            read[number] = item
            shape = shape_of(item['inputs'])
            waiting.setdefault(shape, []).append(number)
            if len(waiting[shape]) == batch_size:
                run(shape)
        while len(read) > ahead * batch_size or (place not in results and len(results) > ahead * batch_size):
            run(next(iter(waiting)))  # that of the first item that waits
        while place in results:
            yield results.pop(place)
            place += 1
    while waiting:
        run(next(iter(waiting)))
    yield from (results[number] for number in sorted(results))


def class_names(cfg: Config, checkpoint: dict) -> list[str] | None:
    """Class names of a checkpoint's ``dataset_meta``, else of the config's test data set."""
    meta = checkpoint.get('meta') or {}
    saved = {str(key).lower(): value for key, value in (meta.get('dataset_meta') or {}).items()}
    if saved.get('classes'):
        return list(saved['classes'])
    classes = classes_of(cfg.test_dataloader.dataset)
    return list(classes) if classes else None


def find_images(path: str, cfg: Config | None = None) -> list[str]:
    """``path`` itself, or the images of that folder in the order of their names.

    Args:
        cfg: its test set may take files of other endings (`suffixes`), such as cubes, and say which of them
            (`predictable`), such as frames that have one after them.

    Raises:
        FileNotFoundError: Nothing is there, or a folder without images.
    """
    if osp.isfile(path):
        return [path]
    if not osp.isdir(path):
        raise FileNotFoundError(f'no image or folder at {path}')
    kind = None if cfg is None else resolve(next(members(cfg.test_dataloader.dataset)), DATASETS)
    endings = getattr(kind, 'suffixes', SUFFIXES)
    images = sorted(osp.join(path, name) for name in os.listdir(path) if name.lower().endswith(endings))
    if not images:
        raise FileNotFoundError(f'no images in {path}; known endings: {", ".join(endings)}')
    return kind.predictable(images) if hasattr(kind, 'predictable') else images
