"""Detections of several views of an image made one set.

A set-prediction model says each object once in every view, so views are matched one to one, and no NMS may take away
what a view tells apart. mmdet's DetTTAModel does NMS over all views together: neighbours that overlap are lost, and the
score of an object is that of its luckiest view.
"""

from collections.abc import Sequence

import torch
from mmdet.structures import DetDataSample
from mmdet.structures.bbox import bbox_flip, bbox_overlaps
from mmengine.structures import InstanceData
from scipy.optimize import linear_sum_assignment
from torch import Tensor

OVERLAP = 0.5  # from which on two boxes of two views may be one object


def fuse(views: Sequence[DetDataSample]) -> DetDataSample:
    """The first view with the objects of all: boxes are means weighted by scores, a score is the sum over the views in
    which the object was found by the number of all views, a mask is what most of them, weighted, say."""
    joined = as_seen(views[0])
    weights = joined.scores.clone()
    masks = joined.get('masks')
    masks = None if masks is None else masks.float() * weights[:, None, None]
    boxes, labels = joined.bboxes * weights[:, None], joined.labels
    for view in map(as_seen, views[1:]):
        rows, columns = pairs(boxes / weights[:, None].clamp(min=1e-12), labels, view)
        scores = view.scores
        boxes[rows] += view.bboxes[columns] * scores[columns, None]
        weights[rows] += scores[columns]
        rest = torch.ones(len(scores), dtype=torch.bool, device=scores.device)
        rest[columns] = False
        boxes = torch.cat([boxes, view.bboxes[rest] * scores[rest, None]])
        labels, weights = torch.cat([labels, view.labels[rest]]), torch.cat([weights, scores[rest]])
        if masks is not None:
            weighted = view.masks.float() * scores[:, None, None]
            masks[rows] += weighted[columns]
            masks = torch.cat([masks, weighted[rest]])
    order = weights.argsort(descending=True)[: len(joined)]
    found = InstanceData(
        bboxes=(boxes / weights[:, None].clamp(min=1e-12))[order],
        scores=(weights / len(views))[order],
        labels=labels[order],
    )
    if masks is not None:
        found.masks = masks[order] > weights[order][:, None, None] / 2
    views[0].pred_instances = found
    return views[0]


def as_seen(view: DetDataSample) -> InstanceData:
    """The objects of a view in the image as it is, not mirrored."""
    found = view.pred_instances
    if not view.get('flip'):
        return found
    found = found.clone()
    found.bboxes = bbox_flip(found.bboxes, view.ori_shape[:2], view.flip_direction)
    if 'masks' in found:
        axes = dict(horizontal=[-1], vertical=[-2], diagonal=[-2, -1])
        found.masks = found.masks.flip(axes[view.flip_direction])
    return found


def pairs(boxes: Tensor, labels: Tensor, view: InstanceData) -> tuple[Tensor, Tensor]:
    """(rows, columns) of the objects of one class that lie on each other, each at most once, with the largest sum of
    overlaps."""
    overlaps = bbox_overlaps(boxes, view.bboxes)
    overlaps = overlaps * (labels[:, None] == view.labels[None]) * (overlaps >= OVERLAP)
    rows, columns = (torch.from_numpy(each) for each in linear_sum_assignment(overlaps.cpu().numpy(), maximize=True))
    good = overlaps[rows, columns].cpu() > 0
    return rows[good].to(boxes.device), columns[good].to(boxes.device)
