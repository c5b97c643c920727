"""Detection: boxes, and what set prediction adds to them: masks of instances, panoptic and semantic maps. Detectors of
mmdet are of this kind, too."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks, encode_mask_results
from mmengine.structures import InstanceData, PixelData
from PIL import Image
from pycocotools import mask as rle
from torch import Tensor, nn

from ..registry import TASKS
from ..visualization.maps import draw_map
from ..visualization.pictures import Objects, draw_objects
from . import inspection
from .base import Size, Task, num_classes
from .findings_detection import DetectionFindings
from .graphs import DetectionGraph, Graph, in_channels
from .regions import regions
from .views import fuse

LIMIT = 100  # detections of an image that COCO's definition counts
PATCH = 32  # pixels of the side of a patch that pre-training looks for


@TASKS.register_module('detection')
class Detection(Task):
    """Samples are mmdet's. A record has lists ``boxes`` (xyxy, pixels of the original image), ``labels``, ``names``,
    ``scores``, and ``masks`` where the model predicts them (COCO's RLE, of the size of the original image), best first;
    ``segments`` where it predicts a panoptic or semantic map, see `regions.py`."""

    libraries = ('mmdet.models.detectors.base.BaseDetector',)
    sample = DetDataSample
    truths = ('gt_instances', 'gt_panoptic_seg')
    predictions = ('pred_instances', 'pred_panoptic_seg', 'pred_sem_seg')
    metrics = ('box AP', 'mask AP', 'PQ', 'mIoU')
    objects = 7  # COCO's mean
    default_size = (800, 1333)  # as in mmdet's tables

    def item(
        self, model: nn.Module, size: Size, count: int | None, random: torch.Generator
    ) -> tuple[Tensor, DetDataSample]:
        image = torch.randint(256, (in_channels(model), *size), generator=random, dtype=torch.uint8)
        if count is None:
            return image, DetDataSample()
        sample = sample_of(size, count, num_classes(model), random)
        if getattr(model, 'with_semantic', False):  # mmdet's Hybrid Task Cascade
            sample.gt_sem_seg = semantic_map(sample.gt_instances, size)
        return image, sample

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        found = {}
        for field, written in FIELDS.items():
            if field in sample:
                found.update(written(sample.get(field), classes, score_thr))
        if not found:
            raise KeyError(f'no prediction in a data sample with {sorted(sample.keys())}; known are {sorted(FIELDS)}')
        return found

    def summary(self, record: dict) -> str:
        said = ', '.join(f'{len(record[key])} {name}' for key, name in SUMMARY.items() if key in record)
        return f'{said} (best score {record["best_score"]:.2f})' if 'best_score' in record else said

    annotation = 'objects'
    side = 'sqrt(width x height) of the boxes, in pixels of the files'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        boxes = [(item['bbox_label'], *item['bbox']) for item in info['instances'] if not item['ignore_flag']]
        return [(label, float(np.sqrt((x2 - x1) * (y2 - y1)))) for label, x1, y1, x2, y2 in boxes]

    def graph(self, model: nn.Module, post: bool = False) -> Graph:
        return DetectionGraph(model, post)

    def fuse(self, views: list) -> DetDataSample:
        return fuse(views)

    def resized_truth(self, sample: DetDataSample, size: Size) -> DetDataSample:
        truth, factor = sample.gt_instances, sample.get('scale_factor', (1.0, 1.0))
        boxes = getattr(truth.bboxes, 'tensor', truth.bboxes)
        truth.bboxes = boxes * boxes.new_tensor([*factor[:2], *factor[:2]])
        if 'masks' in truth:
            truth.masks = truth.masks.resize(tuple(size))
        return sample

    findings = DetectionFindings

    def evidence(self, sample: dict, info: dict) -> dict | None:
        """Boxes in pixels of the file, the best 100."""
        if 'pred_instances' not in sample or 'instances' not in info:
            return None
        found = sample.get('pred_instances')
        scores = found['scores'].detach().cpu().float()
        order = scores.argsort(descending=True, stable=True)[:LIMIT]
        height, width = sample.get('ori_shape')[:2]
        masks = mask_overlaps(found, order, info['instances'], (height, width))
        return dict(
            **({} if masks is None else dict(mask_overlaps=masks)),
            image=sample.get('img_path'),
            width=width,
            height=height,
            boxes=found['bboxes'].detach().cpu().float()[order].tolist(),
            labels=found['labels'].cpu()[order].tolist(),
            scores=scores[order].tolist(),
            true_boxes=[[float(side) for side in each['bbox']] for each in info['instances']],
            true_labels=[int(each['bbox_label']) for each in info['instances']],
            crowd=[int(each.get('ignore_flag', 0)) for each in info['instances']],
        )

    def inspect(self, model: nn.Module, batches: Sequence[dict], classes: Sequence[str] | None) -> dict:
        layers = inspection.by_layer(model, batches, self.evidence)
        looks = inspection.attention(model, batches, self.read, classes)
        return dict(images=len(batches), layers=layers, attention=looks)

    def restored(self, evidence: dict) -> DetDataSample:
        truth = InstanceData(
            bboxes=torch.tensor(evidence['true_boxes']).reshape(-1, 4), labels=torch.tensor(evidence['true_labels'])
        )
        found = InstanceData(
            bboxes=torch.tensor(evidence['boxes']).reshape(-1, 4),
            labels=torch.tensor(evidence['labels']),
            scores=torch.tensor(evidence['scores']),
        )
        return DetDataSample(gt_instances=truth, pred_instances=found)

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        heading = dict(gt='ground truth', pred='prediction')[prefix]
        views = []
        if f'{prefix}_instances' in sample:
            objects = Objects.of(sample.get(f'{prefix}_instances'), score_thr)
            said = len(objects.boxes) or best_of(sample.get(f'{prefix}_instances'))
            views.append((f'{heading} ({said})', draw_objects(image, objects, classes)))
        for field in MAPS:
            if f'{prefix}_{field}' in sample:
                labels = on_picture(sample.get(f'{prefix}_{field}').sem_seg[0], sample, image.shape[:2])
                views.append((heading, draw_map(image, labels % INSTANCE_OFFSET, classes, instances=labels)))
        return views


def on_picture(labels: Tensor, sample, size: Size) -> np.ndarray:
    """A map of labels in the picture's height and width; true ones come as the model saw them, resized and padded."""
    labels = labels.cpu().numpy()
    if labels.shape == tuple(size):
        return labels
    height, width = sample.get('img_shape', labels.shape)[:2]
    seen = labels[:height, :width].astype(np.int32)
    return np.asarray(Image.fromarray(seen).resize((size[1], size[0]), Image.Resampling.NEAREST))


def mask_overlaps(found: InstanceData, order: Tensor, true: list[dict], size: Size) -> list[list[float]] | None:
    """D G: overlaps of the masks of detections, in an order, with those of objects, in pixels of the file; of a crowd
    the share of the detection that lies in it. None where either has no masks."""
    if 'masks' not in found or not all('mask' in each for each in true):
        return None
    masks = found['masks'][order.to(found['masks'].device)].cpu().numpy()
    if not len(masks) or not true:
        return [[] for _ in masks]
    objects = [whole_mask(each['mask'], size) for each in true]
    table = rle.iou(encode_mask_results(masks), objects, [int(each.get('ignore_flag', 0)) for each in true])
    return np.round(table, 6).tolist()


def whole_mask(mask: list | dict, size: Size) -> dict:
    """COCO's compressed RLE of polygons or of an RLE."""
    if isinstance(mask, dict) and isinstance(mask['counts'], (str, bytes)):
        return mask
    made = rle.frPyObjects(mask, *size)
    return rle.merge(made) if isinstance(made, list) else made


def best_of(found: InstanceData) -> str:
    """What to say where nothing is drawn."""
    scores = found.get('scores')
    return '0' if scores is None or not len(scores) else f'none, best score {scores.max():.2f}'


def instances_record(found: InstanceData, classes: Sequence[str] | None, score_thr: float) -> dict:
    """Boxes and masks of objects."""
    scores = found['scores'].detach().cpu().float()
    order = scores.argsort(descending=True)
    order = order[scores[order] >= score_thr]
    labels = found['labels'].cpu()[order].tolist()
    boxes = found['bboxes'].detach().cpu().float()[order]
    record = dict(
        boxes=[[round(value, 2) for value in box] for box in boxes.tolist()],
        labels=labels,
        scores=[round(score, 5) for score in scores[order].tolist()],
    )
    if not labels and len(scores):
        record['best_score'] = round(scores.max().item(), 5)
    if classes is not None:
        record['names'] = [classes[label] for label in labels]
    if 'masks' in found:
        masks = encode_mask_results(found['masks'][order].cpu().numpy())
        record['masks'] = [dict(size=mask['size'], counts=mask['counts'].decode()) for mask in masks]
    return record


def panoptic_record(found: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
    """Segments of a map that holds ``label + INSTANCE_OFFSET * number``."""
    return dict(segments=regions(found.get('sem_seg')[0], classes, INSTANCE_OFFSET))


def semantic_record(found: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
    """Segments of a map that holds labels."""
    return dict(segments=regions(found.get('sem_seg')[0], classes))


FIELDS = dict(pred_instances=instances_record, pred_panoptic_seg=panoptic_record, pred_sem_seg=semantic_record)
SUMMARY = dict(boxes='objects', segments='segments')
MAPS = ('panoptic_seg', 'sem_seg')


def sample_of(size: Size, count: int, num_classes: int, random: torch.Generator) -> DetDataSample:
    """A data sample of an image of (height, width) that was twice as high and three times as wide, with ``count``
    objects: ellipses, each with a patch of noise as pre-training looks for."""
    height, width = size
    extent = torch.tensor([width, height], dtype=torch.float32)
    centre = torch.rand(count, 2, generator=random) * 0.6 + 0.2
    half = torch.rand(count, 2, generator=random) * 0.15 + 0.05
    boxes = torch.cat([(centre - half) * extent, (centre + half) * extent], dim=1)
    labels = torch.randint(num_classes, (count,), generator=random)
    patches = torch.randint(256, (count, 3, PATCH, PATCH), generator=random, dtype=torch.uint8)
    objects = InstanceData(bboxes=boxes, labels=labels, masks=ellipses(boxes, height, width), patches=patches)
    shapes = dict(img_shape=size, ori_shape=(2 * height, 3 * width), scale_factor=(1 / 3, 1 / 2))
    return DetDataSample(gt_instances=objects, metainfo=shapes)


def semantic_map(objects: InstanceData, size: Size) -> PixelData:
    """Labels where objects are, 255 between them: nothing is known of what is there."""
    labels = torch.full((1, *size), 255)
    for mask, label in zip(objects.masks, objects.labels):
        labels[0, torch.from_numpy(mask) > 0] = label
    return PixelData(sem_seg=labels)


def ellipses(boxes: Tensor, height: int, width: int) -> BitmapMasks:
    """The ellipse within each box (xyxy pixels)."""
    y, x = torch.meshgrid(torch.arange(height) + 0.5, torch.arange(width) + 0.5, indexing='ij')
    masks = [
        (2 * x - left - right).div(right - left) ** 2 + (2 * y - top - bottom).div(bottom - top) ** 2 <= 1
        for left, top, right, bottom in boxes
    ]
    return BitmapMasks([mask.numpy().astype('uint8') for mask in masks], height, width)
