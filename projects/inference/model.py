"""A trained model in a few lines of Python: ``mmparts.load(config, checkpoint).predict('photo.jpg')``."""

import os.path as osp
from collections.abc import Iterator, Sequence
from glob import escape, glob

import numpy as np
import torch
from mmengine.device import get_device
from PIL import Image
from pycocotools import mask as rle

from ..engine import cli
from ..engine.checkpoints.find import find_resumable
from ..shipped import config as shipped
from ..tasks import task_of
from ..visualization.pictures import save
from .arrays import from_memory
from .detector import Detector, Failure, find_images, in_batches

Input = str | np.ndarray | Image.Image


class Result:
    """What a model says of an image.

    Attributes:
        record: as in predictions.json: plain lists and numbers.
        sample: the data sample of mmengine that it was made of.
        error: why the image could not be predicted; None: it was. The rest is empty then.
    """

    def __init__(self, sample, record: dict, classes: Sequence[str] | None, image: np.ndarray | None, task):
        self.sample, self.record, self.error = sample, record, record.get('error')
        self.classes, self._image, self._task = classes, image, task

    def __len__(self) -> int:
        return len(self.scores)

    def __repr__(self) -> str:
        said = self.error or self._task.summary(self.record)
        return f'Result({self.record.get("image") or "an array"}: {said})'

    @property
    def boxes(self) -> np.ndarray:
        """N 4, (x1, y1, x2, y2) in pixels of the image, best first."""
        return np.array(self.record.get('boxes', ()), np.float32).reshape(-1, 4)

    @property
    def scores(self) -> np.ndarray:
        """N, from 1 to 0."""
        return np.array(self.record.get('scores', ()), np.float32)

    @property
    def labels(self) -> np.ndarray:
        """N, places in ``classes``."""
        return np.array(self.record.get('labels', ()), np.int64)

    @property
    def names(self) -> list[str]:
        """Class names of the objects."""
        return list(self.record.get('names', ()))

    @property
    def masks(self) -> np.ndarray | None:
        """N H W of booleans; None for a model without masks."""
        if 'masks' not in self.record:
            return None
        found = [rle.decode(dict(each, counts=each['counts'].encode())) for each in self.record['masks']]
        return np.array(found, bool) if found else np.zeros((0, *self.sample.ori_shape[:2]), bool)

    def plot(self, path: str | None = None) -> Image.Image:
        """The image with what was found; also written to ``path`` where there is one.

        Raises:
            ValueError: the image could not be predicted.
        """
        if self.error:
            raise ValueError(f'nothing to draw: {self.error}')
        image = self._image if self._image is not None else self._task.read(self.sample)
        views = self._task.views(image, self.sample, 'pred', self.classes, self.record.get('score_thr', 0.0))
        drawn = views[0][1]
        if path:
            save(drawn, path)
        return drawn

    def to_coco(self, image_id: int = 0, category_ids: Sequence[int] | None = None) -> list[dict]:
        """Objects as COCO's results: ``image_id, category_id, bbox (x, y, w, h), score``, and ``segmentation``.

        Args:
            category_ids: of the classes, in their order; None: from 1, as `mmparts data convert` numbers them.
        """
        made = []
        for number, ((x1, y1, x2, y2), label, score) in enumerate(zip(self.boxes, self.labels, self.scores)):
            category = int(label) + 1 if category_ids is None else category_ids[label]
            each = dict(image_id=image_id, category_id=category, bbox=[float(v) for v in (x1, y1, x2 - x1, y2 - y1)])
            each['score'] = float(score)
            if 'masks' in self.record:
                each['segmentation'] = self.record['masks'][number]
            made.append(each)
        return made


class Model(Detector):
    """A trained model; :func:`load` makes it.

    Attributes:
        classes: names of its labels.
        model: the network.
        cfg: its config.
    """

    def __init__(self, cfg, checkpoint: str, device: str):
        super().__init__(cfg, checkpoint, device)
        self.cfg, self.task = cfg, task_of(self.model)
        names = [type(step).__name__ for step in self.pipeline.transforms]
        self.loader = next(place for place, name in enumerate(names) if name.startswith('Load'))

    def predict(
        self, images: Input | Sequence[Input], threshold: float = 0.3, batch_size: int = 1, channel_order: str = 'bgr'
    ) -> Result | list[Result]:
        """Predict an image, or several.

        Args:
            images: a path, a folder, an array (H W 3), an image of PIL; or a list of them. One that cannot be used
                becomes a result with an ``error``; alone it raises.
            threshold: lowest score that is kept.
            batch_size: images of one size that are predicted together.
            channel_order: of colours in arrays, 'bgr' (as OpenCV reads) or 'rgb'.

        Returns:
            A result, or a list of them for a list or a folder.
        """
        many = isinstance(images, (list, tuple)) or (isinstance(images, str) and osp.isdir(images))
        given = list(images) if isinstance(images, (list, tuple)) else find_images(images) if many else [images]
        found = list(self._results(given, threshold, batch_size, channel_order))
        if many:
            return found
        if found[0].error:
            raise ValueError(found[0].error)
        return found[0]

    @torch.no_grad()
    def _results(self, given: list[Input], threshold: float, batch_size: int, order: str) -> Iterator[Result]:
        prepared = (self.prepare(each) if isinstance(each, str) else self._from_memory(each, order) for each in given)
        for each, sample in zip(given, in_batches(prepared, self.predict_batch, batch_size)):
            name = each if isinstance(each, str) else None
            if isinstance(sample, Failure):
                yield Result(None, dict(image=name, error=sample.reason), self.classes, None, self.task)
                continue
            record = dict(self.task.fields(sample, self.classes, threshold), image=name, score_thr=threshold)
            image = None if name else from_memory(each, order, name='the image')[..., ::-1]
            yield Result(sample, record, self.classes, image, self.task)

    def _from_memory(self, image: np.ndarray | Image.Image, order: str) -> dict | Failure:
        """An image in memory, through what the pipeline does after loading."""
        try:
            step = self.pipeline.transforms[self.loader]
            array = from_memory(image, order, getattr(step, 'value_range', None), getattr(step, 'color_type', 'color'))
            data = dict(img=array, img_path=None, img_id=0, img_shape=array.shape[:2], ori_shape=array.shape[:2])
            for step in self.pipeline.transforms[self.loader + 1 :]:
                data = step(data)
        except Exception as error:
            return Failure('an array', f'{type(error).__name__}: {error}')
        return data


def load(config: str, checkpoint: str | None = None, device: str | None = None) -> Model:
    """A trained model.

    Args:
        config: path of a config, ``mmparts::folder/name.py``, the name of a shipped config, or a work dir.
        checkpoint: its weights; None: for a work dir the best checkpoint there, or the newest.
        device: where it runs; None: the best of this machine.

    Raises:
        FileNotFoundError: no config or checkpoint.
    """
    if osp.isdir(config):
        config, found = in_work_dir(config)
        checkpoint = checkpoint or found
    elif not osp.isfile(config) and '::' not in config and not config.endswith('.py'):
        config = shipped(config)
    if checkpoint is None:
        raise FileNotFoundError(f'no checkpoint for {config}; mmparts.load(config, checkpoint) takes a path (.pth)')
    cfg = cli.load_config(config)
    return Model(cfg, cli.require_file(checkpoint, 'checkpoint'), device or get_device())


def in_work_dir(folder: str) -> tuple[str, str | None]:
    """The config and the best, or newest, checkpoint that a training left."""
    configs = glob(osp.join(escape(folder), '*.py'))
    if len(configs) != 1:
        raise FileNotFoundError(f'{folder} holds {len(configs)} configs; name one, and a checkpoint')
    best = sorted(glob(osp.join(escape(folder), 'best_*.pth')), key=osp.getmtime)
    return configs[0], best[-1] if best else find_resumable(folder)
