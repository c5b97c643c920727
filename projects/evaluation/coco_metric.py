"""COCO metric that finds the annotation file through the data set and matches labels by name."""

from collections.abc import Sequence
from functools import partial
from unittest import mock

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmdet.evaluation.metrics import coco_metric as mmdet_metric
from mmengine.fileio import get_local_path

from ..registry import METRICS
from . import coco_backends


@METRICS.register_module()
class CheckedCocoMetric(CocoMetric):
    """mmdet's `CocoMetric`, with four differences.

    * Without ``ann_file`` it reads the one of the data set (`CheckedCocoDataset` in test mode publishes it), so that
      the path is written once. (mmdet would rebuild the ground truth from the samples and lose the masks' areas.)
    * Label i is the category named ``classes[i]``; mmdet takes the order of the json.
    * It evaluates the images it has seen, so a data set cut by ``indices`` is not punished for the rest.
    * hotcoco or faster-coco-eval compute the precisions where they are installed: the same numbers, many times faster.

    Args:
        backend: 'hotcoco', 'faster_coco_eval' or 'pycocotools'; 'auto' takes the first of them that is installed.
    """

    def __init__(self, *args, backend: str = 'auto', **kwargs):
        super().__init__(*args, **kwargs)
        self.backend = coco_backends.choose(backend)

    @property
    def dataset_meta(self) -> dict | None:
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None):
        self._dataset_meta = meta
        if meta is None:
            return
        if self._coco_api is None:
            if 'ann_file' not in meta:
                raise ValueError(
                    'CheckedCocoMetric: no ann_file is given and the data set names none; use '
                    'mmparts.CheckedCocoDataset with test_mode=True, or write ann_file here'
                )
            with get_local_path(meta['ann_file'], backend_args=self.backend_args) as path:
                self._coco_api = COCO(path)
        ids = category_ids(self._coco_api, meta['classes'])
        # pycocotools sorts the ids it is given, and mmdet's tables go by position: predictions are renumbered instead.
        self.cat_ids = sorted(ids)
        self._position = np.array([self.cat_ids.index(category_id) for category_id in ids], np.int64)

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect a batch of predictions."""
        start = len(self.results)
        super().process(data_batch, data_samples)
        for _, result in self.results[start:]:
            highest = result['labels'].max(initial=-1)
            if highest >= len(self._position):
                raise ValueError(
                    f'image {result["img_id"]}: label {highest} was predicted, but the data set has '
                    f'{len(self._position)} classes; num_classes of the model does not fit'
                )
            result['labels'] = self._position[result['labels']]

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Average precisions over the images of ``results``."""
        self.img_ids = sorted({truth['img_id'] for truth, _ in results})
        # mmdet names its evaluator in a global of the module, and uses it in the midst of a long method.
        with mock.patch.object(mmdet_metric, 'COCOeval', partial(coco_backends.evaluator, self.backend)):
            return super().compute_metrics(results)


def category_ids(coco: COCO, classes: Sequence[str]) -> list[int]:
    """The id of each class. One that the file lacks gets a new category: COCO leaves those without objects out."""
    by_name = {category['name']: category['id'] for category in coco.cats.values()}
    for name in classes:
        if name not in by_name:
            by_name[name] = max(coco.cats, default=0) + 1
            coco.cats[by_name[name]] = dict(id=by_name[name], name=name)
    return [by_name[name] for name in classes]
