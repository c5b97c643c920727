"""COCO metric that finds the annotation file through the data set, matches labels by name, and counts by COCO's
definition whatever is installed."""

import logging
from collections.abc import Sequence

import numpy as np
from mmdet.datasets.api_wrappers import COCO
from mmdet.evaluation import CocoMetric
from mmengine.fileio import get_local_path
from mmengine.logging import print_log
from rich.console import Console
from rich.table import Table

from ..datasets.annotations import BadAnnotations, indexed, read_coco
from ..datasets.masks import mask_fault
from ..registry import METRICS
from . import coco_backends
from .coco_scores import PRECISIONS, Scores, Truth, has, score
from .names import nearest

KINDS = ('bbox', 'segm', 'proposal', 'proposal_fast')
TABLE = 100  # classes that the log shows one by one unless it is asked to
LIMIT = 100  # detections of a class in an image that COCO's server looks at


@METRICS.register_module()
class CheckedCocoMetric(CocoMetric):
    """mmdet's `CocoMetric`, with these differences.

    * Without ``ann_file`` it reads the one of the data set (`CheckedCocoDataset` in test mode publishes it), so that
      the path is written once. (mmdet would rebuild the ground truth from the samples and lose the masks' areas.)
    * Label i is the category named ``classes[i]``; mmdet takes the order of the json.
    * It evaluates the images it has seen, so a data set cut by ``indices`` is not punished for the rest.
    * All precisions are of the best 100 detections of a class in an image, which is COCO's definition; mmdet's
      AP50 and its like are of 1,000. The log names the limit, and warns where the truth has more objects than that.
    * 'proposal_fast' is COCO's count, too; mmdet's own does not run on numpy 2.
    * hotcoco or faster-coco-eval compute the precisions where they are installed: the same numbers, many times faster.
    * A file without annotations (as COCO's of test-dev) is not evaluated; ``outfile_prefix`` writes what its server
      takes.

    Args:
        backend: 'hotcoco', 'faster_coco_eval' or 'pycocotools'; 'auto' takes the first of them that is installed.
        classes: evaluate these of the data set's classes only, by name. The model keeps all of its classes.
        max_dets: another limit than COCO's, for images with more objects.

    Raises:
        ValueError: a name that there is not (metric, item, class, back end), overlaps outside (0, 1].
    """

    def __init__(
        self,
        ann_file: str | None = None,
        *,
        backend: str = 'auto',
        classes: Sequence[str] | None = None,
        max_dets: int = LIMIT,
        metric: str | Sequence[str] = 'bbox',
        iou_thrs: float | Sequence[float] | None = None,
        metric_items: Sequence[str] | None = None,
        **kwargs,
    ):
        kinds = [metric] if isinstance(metric, str) else list(metric)
        for kind in kinds:
            if kind not in KINDS:
                raise ValueError(f'metric={kind!r} of the COCO metric is unknown{nearest(kind, KINDS)}')
        super().__init__(metric=kinds, iou_thrs=overlaps(iou_thrs), metric_items=metric_items, **kwargs)
        self._coco_api = None if ann_file is None else self._read(ann_file)
        if isinstance(classes, str):
            raise TypeError(f'classes={classes!r} of the COCO metric is one string; write ({classes!r}, ) with a comma')
        if max_dets < 1:
            raise ValueError(f'max_dets={max_dets} of the COCO metric; at least 1 detection is needed (COCO: {LIMIT})')
        self.backend = coco_backends.choose(backend)
        self.wanted = None if classes is None else tuple(classes)
        self.max_dets = max_dets
        known = {*PRECISIONS, *self._recalls()}
        for item in metric_items or ():
            if item not in known:
                raise ValueError(f'metric_items has {item!r}{nearest(item, known)}')

    def names(self) -> list[str]:
        """What :meth:`evaluate` will return; nothing for a file without annotations. Known with the data set."""
        if self.format_only or not self._coco_api.anns:
            return []
        names = [name for kind in self.metrics for name in self._items(kind).values()]
        if self.classwise:
            kinds = [kind for kind in self.metrics if not kind.startswith('proposal')]
            names += [self._of_class(kind, name) for kind in kinds for name in self.shown]
        return [f'{self.prefix}/{name}' if self.prefix else name for name in dict.fromkeys(names)]

    @property
    def dataset_meta(self) -> dict | None:
        return self._dataset_meta

    @dataset_meta.setter
    def dataset_meta(self, meta: dict | None):
        self._dataset_meta = meta
        if meta is None:
            return
        if not isinstance(meta, dict):
            raise ValueError(
                f'CheckedCocoMetric: the data set is {len(meta)} annotation files put together, in which one id may '
                'name several images; evaluate them one by one, or write one file'
            )
        if self._coco_api is None:
            if 'ann_file' not in meta:
                raise ValueError(
                    'CheckedCocoMetric: no ann_file is given and the data set names none; use '
                    'mmparts.CheckedCocoDataset with test_mode=True, or write ann_file here'
                )
            self._coco_api = self._read(meta['ann_file'])
        self.cat_ids = category_ids(self._coco_api, meta['classes'])
        unknown = [name for name in self.wanted or () if name not in meta['classes']]
        if unknown:
            raise ValueError(
                f'the COCO metric is to evaluate {unknown[0]!r}, which is no class of the data set'
                f'{nearest(unknown[0], meta["classes"])}'
            )
        self.shown = tuple(meta['classes']) if self.wanted is None else self.wanted
        by_name = dict(zip(meta['classes'], self.cat_ids))
        self.shown_ids = [by_name[name] for name in self.shown]
        if not self._coco_api.anns:
            print_log(
                f'{meta.get("ann_file", "the annotation file")} has no annotations, so nothing is evaluated; '
                "outfile_prefix=... of the metric writes the detections in the form of COCO's server",
                'current',
                logging.WARNING,
            )

    def _read(self, ann_file: str) -> COCO:
        with get_local_path(ann_file, backend_args=self.backend_args) as path:
            coco = indexed(read_coco(path, ann_file, masks='segm' in self.metrics, optional=True))
        for annotation in coco.anns.values() if 'segm' in self.metrics else ():
            image = coco.imgs[annotation['image_id']]
            fault = mask_fault(annotation.get('segmentation'), image['height'], image['width'])
            if fault:
                raise BadAnnotations(
                    f'{ann_file}: annotation {annotation["id"]} of image {image["id"]!r} has {fault}; masks can be '
                    "evaluated against whole ones only. Correct or remove it, or write metric='bbox'"
                )
        return coco

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        """Collect a batch of predictions."""
        for sample in data_samples:
            if 'segm' in self.metrics and 'masks' not in sample['pred_instances']:
                raise ValueError(
                    f"metric={self.metrics} asks for masks, but the model predicts boxes only; write metric='bbox'"
                )
        start = len(self.results)
        super().process(data_batch, data_samples)
        for _, result in self.results[start:]:
            highest = result['labels'].max(initial=-1)
            if highest >= len(self.cat_ids):
                raise ValueError(
                    f'image {result["img_id"]}: label {highest} was predicted, but the data set has '
                    f'{len(self.cat_ids)} classes; num_classes of the model does not fit'
                )

    def compute_metrics(self, results: list) -> dict[str, float]:
        """Precisions and recalls over the images of ``results``."""
        found = [prediction for _, prediction in results]
        self.img_ids = [prediction['img_id'] for prediction in found]
        if self.outfile_prefix is not None and found:
            files = self.results2json(found, self.outfile_prefix)
            print_log(f'wrote {", ".join(sorted(set(files.values())))}', 'current')
        if not self.names():
            return {}
        values: dict[str, float] = {}
        for kind in self.metrics:
            values.update(self._evaluate(kind, found))
        return values

    def _evaluate(self, kind: str, found: list[dict]) -> dict[str, float]:
        proposals = kind.startswith('proposal')
        truth = Truth(self._coco_api, self.img_ids, self.shown_ids, 'segm' if kind == 'segm' else 'bbox')
        items, recalls = self._items(kind), self._recalls()
        asked = {recalls[item][0] for item in items if item in recalls}
        detections = (each for prediction in found for each in self._detections(prediction, kind))
        counted = score(self.backend, truth, detections, self.iou_thrs, self.max_dets, asked, not proposals)
        values = {
            name: counted.ar(*recalls[item]) if item in recalls else counted.ap(*PRECISIONS[item])
            for item, name in items.items()
        }
        if not proposals:
            self._report(kind, truth)
        if not proposals and (self.classwise or 1 < len(self.shown) <= TABLE):
            print_log(self._table(counted), 'current')
        if self.classwise and not proposals:
            values.update({self._of_class(kind, name): counted.ap(label=i) for i, name in enumerate(self.shown)})
        return {name: round(value, 3) for name, value in values.items()}

    def _detections(self, prediction: dict, kind: str):
        """Those of an image, as `score` takes them."""
        scores = prediction['scores']
        if kind == 'segm':
            scores = prediction.get('mask_scores', scores)
        for index, label in enumerate(prediction['labels']):
            one = dict(image_id=prediction['img_id'], category_id=self.cat_ids[label], score=float(scores[index]))
            if kind == 'segm':
                one['segmentation'] = prediction['masks'][index]
            else:
                one['bbox'] = self.xyxy2xywh(prediction['bboxes'][index])
            yield one

    def _recalls(self) -> dict[str, tuple[int, str]]:
        """Names of recalls: number of detections and size of the objects."""
        most = max(self.proposal_nums)
        sizes = {f'AR_{area[0]}@{most}': (most, area) for area in ('small', 'medium', 'large')}
        return {**{f'AR@{num}': (num, 'all') for num in self.proposal_nums}, **sizes}

    def _items(self, kind: str) -> dict[str, str]:
        """Item -> name in the result."""
        if kind == 'proposal_fast':
            return {f'AR@{num}': f'AR@{num}' for num in self.proposal_nums}
        if kind == 'proposal':
            items = self.metric_items or self._recalls()
            return {item: item for item in items}
        measured = [
            item for item, (overlap, _) in PRECISIONS.items() if overlap is None or has(self.iou_thrs, overlap).any()
        ]
        return {item: f'{kind}_{item}' for item in self.metric_items or measured}

    def _of_class(self, kind: str, name: str) -> str:
        return f'{name}_precision' if len(self.metrics) == 1 else f'{kind}_{name}_precision'

    def _report(self, kind: str, truth: Truth) -> None:
        """The limit, and whether the truth keeps to it."""
        subset = '' if self.wanted is None else f', of {len(self.shown)} of {len(self.cat_ids)} classes'
        print_log(f'{kind}: at most {self.max_dets} detections of a class in an image{subset}', 'current')
        images, most = truth.crowded(self.max_dets)
        if images:
            print_log(
                f'{images} images have more than {self.max_dets} objects of a class, up to {most}, so no detector can '
                f"reach an AP of 1; max_dets={most} of the metric counts them all, which is no longer COCO's number",
                'current',
                logging.WARNING,
            )

    def _table(self, counted: Scores) -> str:
        items = {item: PRECISIONS[item] for item in PRECISIONS}
        table = Table('class', *items)
        for label, name in enumerate(self.shown):
            table.add_row(name, *(f'{counted.ap(*item, label):.3f}' for item in items.values()))
        console = Console(width=120, color_system=None)
        with console.capture() as capture:
            console.print(table)
        return '\n' + capture.get()


def overlaps(given: float | Sequence[float] | None) -> np.ndarray:
    """Overlaps as an array; None: COCO's ten."""
    if given is None:
        return np.linspace(0.5, 0.95, 10)
    values = np.atleast_1d(np.asarray(given, float))
    if not values.size or not ((values > 0) & (values <= 1)).all():
        raise ValueError(f'iou_thrs={given!r} of the COCO metric; overlaps lie in (0, 1], as in [0.5, 0.75]')
    return values


def category_ids(coco: COCO, classes: Sequence[str]) -> list:
    """The id of each class. One that the file lacks gets a new one: COCO leaves classes without objects out."""
    by_name = {category['name']: category['id'] for category in coco.cats.values()}
    taken = [category for category in coco.cats if isinstance(category, int)]
    fresh = iter(range(max(taken, default=0) + 1, max(taken, default=0) + 1 + len(classes)))
    return [by_name[name] if name in by_name else next(fresh) for name in classes]
