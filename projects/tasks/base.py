"""What every task is asked for, and how the task of a model is found."""

import copy
import inspect
import os.path as osp
from collections.abc import Callable, Sequence
from typing import ClassVar

import numpy as np
import torch
from mmengine.config import ConfigDict
from mmengine.registry import DefaultScope
from mmengine.structures import BaseDataElement
from PIL import Image
from torch import Tensor, nn

from ..datasets.members import members
from ..registry import TASKS, resolve
from ..visualization.pictures import enlarge, page, read_rgb
from .findings import Findings
from .graphs import CannotExport, Graph
from .shrink import shrink, without_pretrained

Size = tuple[int, ...]  # (height, width), or (depth, height, width)


class Task:
    """A kind of model, as tools see it.

    Attributes:
        libraries: full names of classes of libraries whose subclasses are of this kind.
        sample: class of the data samples.
        truths, predictions: fields of a data sample that hold what is right, and what a model says.
        input_is_truth: what is right is given with the input, also where a file is predicted alone.
        metrics: names as tables show them, in this order.
        sizes, counts: of the two images of a tiny batch: unequal, one with objects and one without.
        objects: how many an image has when a step is timed.
        default_size: of an image that is timed, where the test pipeline of a config tells none.
    """

    libraries: ClassVar[tuple[str, ...]] = ()
    sample: ClassVar[type] = BaseDataElement
    truths: ClassVar[tuple[str, ...]] = ()
    input_is_truth: ClassVar[bool] = False
    predictions: ClassVar[tuple[str, ...]] = ()
    metrics: ClassVar[tuple[str, ...]] = ()
    objects: ClassVar[int] = 1
    default_size: ClassVar[Size] = (224, 224)

    @property
    def name(self) -> str:
        """What model classes call it."""
        return next(name for name, kind in TASKS.module_dict.items() if kind is type(self))

    # A config, and what its model takes

    def tiny(self, cfg: dict) -> ConfigDict:
        """The model of a config (or such a model itself), few channels wide and few layers deep."""
        with scope_of(cfg):
            return shrink(copy.deepcopy(without_pretrained(ConfigDict(cfg.get('model', cfg)))))

    def size(self, cfg: dict) -> Size:
        """(height, width) that the test pipeline of a config resizes to, the long side lying."""
        dataset = (cfg.get('test_dataloader') or {}).get('dataset', {})
        for transform in next(members(dataset)).get('pipeline', ()):
            if isinstance(transform.get('scale'), (tuple, list)):
                return tuple(sorted(transform['scale']))
        return self.default_size

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        """Of the two images of a tiny batch: unequal, unless the model says `image_size`, the only one it takes."""
        fixed = image_size(model)
        return [fixed] * 2 if fixed else [(64, 96), (96, 64)]

    def counts(self, model: nn.Module, many: bool = False) -> Sequence[int]:
        """Of objects in the two images of a tiny batch: some and none, unless the model says its `tiny_counts`."""
        few, lots = getattr(model, 'tiny_counts', None) or ((3, 0), (300, 0))
        return lots if many else few

    # Batches

    def item(self, model: nn.Module, size: Size, count: int | None, random: torch.Generator) -> tuple[Tensor, object]:
        """An input with its data sample, as a data loader gives it.

        Args:
            count: of objects in it, where that means something; None: the sample says nothing of what is right.
        """
        raise NotImplementedError

    def items(self, model: nn.Module, sizes: Sequence[Size], counts: Sequence[int | None], seed: int = 0) -> dict:
        """``inputs`` and ``data_samples`` as a data loader gives them: lists."""
        random = torch.Generator().manual_seed(seed)
        pairs = [self.item(model, size, count, random) for size, count in zip(sizes, counts)]
        for index, (_, sample) in enumerate(pairs):
            sample.set_metainfo(dict(img_id=index, img_path=f'image_{index}.png'))
        return dict(inputs=[one for one, _ in pairs], data_samples=[sample for _, sample in pairs])

    def batch(self, model: nn.Module, sizes=None, counts=None, seed: int = 0, many: bool = False) -> dict:
        """What the model's forward takes, padded and normalised by its own preprocessor."""
        sizes, counts = sizes or self.sizes(model), counts or self.counts(model, many)
        return model.data_preprocessor(self.items(model, sizes, counts, seed), training=model.training)

    def random(self, model: nn.Module, size: Size, batch_size: int = 1, device='cpu', seed: int = 0) -> dict:
        """The same of equal sizes, noise instead of images, past the preprocessor: what is timed."""
        return self._unprocessed(model, [size] * batch_size, [self.objects] * batch_size, device, seed)

    def blank(self, model: nn.Module, size: Size, batch_size: int = 1, device='cpu') -> dict:
        """The same, and no sample says what is right: what a model is counted with, on the meta device, too."""
        return self._unprocessed(model, [size] * batch_size, [None] * batch_size, device, 0)

    def _unprocessed(self, model, sizes, counts, device, seed) -> dict:
        data = self.items(model, sizes, counts, seed)
        for sample, size in zip(data['data_samples'], sizes):
            sample.set_metainfo(dict.fromkeys(('img_shape', 'ori_shape', 'pad_shape', 'batch_input_shape'), size))
            sample.set_metainfo(dict(scale_factor=(1.0,) * len(size)))
        move = torch.device(device).type != 'meta'  # samples stay on the host, where their sizes can be read
        samples = [sample.to(device) if move else sample for sample in data['data_samples']]
        return dict(inputs=self.stack(data['inputs'], device), data_samples=samples)

    def stack(self, inputs: list, device) -> object:
        """Inputs of equal size as one, with mean 0 and deviation 1."""
        stacked = torch.stack(inputs).float()
        return ((stacked - stacked.mean()) / (stacked.std() + 1e-6)).to(device)

    # Predictions

    def record(self, sample: dict, classes: Sequence[str] | None = None, score_thr: float = 0.0) -> dict:
        """A prediction as plain data for JSON.

        Args:
            sample: a data sample, or its ``to_dict()``.
            classes: names; without them a record has label numbers alone.
            score_thr: lower scores are left out, where a prediction has scores.
        """
        size = tuple(sample.get('source_shape') or sample.get('ori_shape') or (None, None))
        sides = dict(zip(('width', 'height', 'depth'), reversed(size)))
        common = dict(image=sample.get('img_path'), image_id=sample.get('img_id'), **sides)
        return {**common, **self.fields(sample, classes, score_thr)}

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        """What a record holds beside the image's name and size."""
        raise NotImplementedError

    def summary(self, record: dict) -> str:
        """A record in a few words."""
        raise NotImplementedError

    def graph(self, model: nn.Module, post: bool = False) -> Graph:
        """The model as a plain function of images, for export.

        Raises:
            CannotExport: it is none.
        """
        raise CannotExport(f'models of {self.name} are not exported')

    def fuse(self, views: list):
        """One data sample of predictions of the same image, of other sizes or mirrored (``flip`` in its metainfo)."""
        raise TypeError(f'predictions of several views are not joined for {self.name}')

    def resized_truth(self, sample, size: Size):
        """A data sample whose truth lies on the grid of the file, with it on that of the input, for a loss."""
        return sample

    def without_truth(self, sample):
        """A data sample of an image that was predicted alone, without the empty truth that pipelines put there."""
        for field in () if self.input_is_truth else self.truths:
            if field in sample:
                delattr(sample, field)
        return sample

    # What a data set holds

    annotation: ClassVar[str] = 'objects'  # what is counted of a class
    side: ClassVar[str] = ''  # what the size of one is

    def annotations(self, info: dict, load: Callable[[dict], dict]) -> list[tuple[int, float | None]]:
        """The (label, side in pixels or None) of all that a data set says of an image.

        Args:
            info: its ``get_data_info``.
            load: the loading steps of its pipeline, for what stands in files.
        """
        raise NotImplementedError

    # Reports

    findings: ClassVar[type[Findings]] = Findings  # what a report says of predictions

    def evidence(self, sample: dict, info: dict) -> dict | None:
        """Truth and prediction of one image as plain data that :attr:`findings` is made of; None: there are none.

        Args:
            sample: a data sample with a prediction, as metrics get it.
            info: what the data set knows of the image, its ``get_data_info``.
        """
        return None

    def settled(self, evidence: Sequence[dict]) -> list[dict]:
        """What is kept of the evidence of a whole validation, as plain data: where an image is judged beside all
        others, no more than the judgement."""
        return list(evidence)

    def inspect(self, model: nn.Module, batches: Sequence[dict], classes: Sequence[str] | None) -> dict:
        """What a look inside a trained model shows, as plain data: ``images``, how many it looked at; ``layers``, a
        dict of numbers for each layer; ``attention``, pairs (base64 of a WebP image, caption).

        Args:
            batches: as a data loader of validation gives them, one image each, with ``info``, what the data set knows.
        """
        return {}

    def read_evidence(self, evidence: dict) -> np.ndarray:
        """The image of an evidence."""
        return self.read(self.sample(metainfo=dict(img_path=evidence['image'])))

    def draw_evidence(self, evidence: dict, classes: Sequence[str] | None, score_thr: float = 0.0) -> Image.Image:
        """The page of an image: truth beside prediction."""
        return self.draw(self.read_evidence(evidence), self.restored(evidence), classes, score_thr)

    def restored(self, evidence: dict):
        """An evidence as a data sample; without evidence there is nothing in it."""
        return self.sample()

    # Drawings

    def read(self, sample) -> np.ndarray:
        """The image of a data sample from its file: H W 3, RGB."""
        return read_rgb(sample.img_path)

    def image(self, inputs: Tensor) -> np.ndarray:
        """An input as it leaves a data pipeline (C H W, BGR) as the image that is drawn on: H W 3, RGB."""
        image = inputs[:3].expand(3, *inputs.shape[1:]).float()
        low, high = image.min(), image.max()
        if inputs.dtype != torch.uint8 and low >= -128 and 8 < high < 384:
            image = image.clamp(0, 255)  # pixels of an image, some of them past black or white by an augmentation
        elif inputs.dtype != torch.uint8:
            image = 255 * (image - low) / (high - low).clamp(min=1e-6)
        return image.permute(1, 2, 0).numpy().astype(np.uint8)[..., ::-1].copy()

    def plain(self, image: np.ndarray) -> Image.Image:
        """The image with nothing drawn on it."""
        return enlarge(image)

    def draw(self, image: np.ndarray, sample, classes=None, score_thr: float = 0.0, title: str = '') -> Image.Image:
        """A page: the truth, where the sample has it, beside the prediction."""
        views = [*self.views(image, sample, 'gt', classes, 0.0), *self.views(image, sample, 'pred', classes, score_thr)]
        return page(views, title)

    def draw_file(self, sample, classes=None, score_thr: float = 0.0) -> Image.Image:
        """The page of a sample over its image, read from the file that it names."""
        return self.draw(self.read(sample), sample, classes, score_thr, osp.basename(sample.img_path))

    def drawn(self, sample) -> bool:
        """Whether there is a prediction to draw, and an image to draw it on."""
        return 'img_path' in sample and any(field in sample for field in self.predictions)

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        """Drawings, each under a heading, of the fields that begin with ``gt`` or ``pred``."""
        raise NotImplementedError


def task_of(model: dict | nn.Module | type) -> Task:
    """The task of a config with a model, of the config of a model, of a model, or of its class.

    Raises:
        KeyError: nobody says what kind it is.
    """
    kind = model if isinstance(model, type) else type(getattr(model, 'module', model))
    named = getattr(getattr(model, 'module', model), 'task', None)
    if isinstance(model, dict) or 'model' in getattr(model, '_cfg_dict', ()):
        with scope_of(model):
            cfg = model.get('model', model)
            kind = resolve(cfg)
            named = task_of_part(kind, cfg) if hasattr(kind, 'task_from') else getattr(kind, 'task', None)
    if isinstance(named, str) and TASKS.get(named):
        return TASKS.get(named)()
    bases = {f'{base.__module__}.{base.__name__}' for base in kind.__mro__}
    for task in tasks():
        if bases & set(task.libraries):
            return task()
    raise KeyError(
        f'{kind.__name__} says task={named!r}, which is no task; write `task = NAME` into its class, NAME one of '
        f'{", ".join(sorted(TASKS.module_dict))}, or add a task to mmparts/tasks'
    )


def task_of_part(kind: type, cfg: dict) -> str:
    """The task that a part says, the one which a class names as ``task_from``: of its config, or of its default."""
    word = kind.task_from
    return resolve(cfg.get(word) or inspect.signature(kind).parameters[word].default).task


def scope_of(cfg: dict):
    """Where the bare names of a config are looked for: in its scope, else in the one in force, else in mmdet's."""
    current = DefaultScope.get_current_instance()
    return DefaultScope.overwrite_default_scope(
        cfg.get('default_scope') or (current.scope_name if current else 'mmdet')
    )


def task_of_sample(sample) -> Task:
    """The task whose fields a data sample has: for data sets, which belong to no model.

    Raises:
        KeyError: it has fields of none.
    """
    for task in tasks():
        if any(field in sample for field in (*task.truths, *task.predictions)):
            return task()
    known = {name: (*task.truths, *task.predictions) for name, task in TASKS.module_dict.items()}
    raise KeyError(f'a data sample with {sorted(sample.keys())} belongs to no task; their fields are {known}')


def tasks() -> list[type[Task]]:
    """All that are registered."""
    TASKS.import_from_location()
    return list(TASKS.module_dict.values())


def image_size(model: nn.Module) -> Size | None:
    """The only size that a model, or its backbone, takes; None: any."""
    said = (getattr(part, 'image_size', None) for part in (model, getattr(model, 'backbone', None)))
    return next((tuple(size) for size in said if size), None)


def num_classes(model: nn.Module) -> int:
    """That a model, or the first of its parts that says it, tells apart.

    Raises:
        AttributeError: no part says it.
    """
    for module in model.modules():
        number = getattr(module, 'num_classes', None)
        if isinstance(number, int) and number > 0:  # a backbone that could be a classifier says 0
            return number
    raise AttributeError(f'no part of {type(model).__name__} publishes `num_classes`, the number of its classes')
