"""Heads of mmdet as collaborators of a set-prediction detector, and the places that they take for objects (Co-DETR).

A collaborator is called as ``collaborator(maps, targets)`` with feature maps B C H W, finest first; it returns its
losses and what it took for what in each image. The heads are mmdet's own, with their own assigners, losses and
initialisation (hence `BaseModule`, which passes it on).
"""

import copy
from dataclasses import dataclass

import torch
from mmdet.models.task_modules.prior_generators import anchor_inside_flags
from mmdet.models.utils import unpack_gt_instances
from mmdet.structures import DetDataSample
from mmengine.config import ConfigDict
from mmengine.model import BaseModule
from mmengine.structures import InstanceData
from torch import Tensor, nn

from ...ops.kernels.precision import without_autocast
from ...registry import MODELS
from ..structures import Targets

BACKGROUND, IGNORED = -1, -2


@dataclass
class Places:
    """What a head compared with the objects of one image: anchors, points or proposals.

    Args:
        boxes: A 4, xyxy pixels.
        target: A, the number of the object in its image, or BACKGROUND, or IGNORED.
        features: F C; equally many places in turn share one.
    """

    boxes: Tensor
    target: Tensor
    features: Tensor

    def features_of(self, index: Tensor) -> Tensor:
        return self.features[torch.div(index * len(self.features), len(self.boxes), rounding_mode='floor')]


@MODELS.register_module()
class AnchorCollaborator(BaseModule):
    """A one-stage head on anchors: ATSS, RetinaNet.

    Args:
        head: config of the head with its ``train_cfg``; channels, classes and strides need not be written.
        embed_dims, num_classes, strides: of the feature maps and the data.
        name: of the query group that comes of it.
    """

    def __init__(self, head: dict, embed_dims: int, num_classes: int, strides: list[int], name: str = 'atss'):
        super().__init__()
        self.name = name
        self.head = build_head(head, embed_dims, num_classes=num_classes, anchor_generator=dict(strides=strides))
        self.head.sampler = Remembering(self.head.sampler)

    def forward(self, maps: list[Tensor], targets: Targets) -> tuple[dict, list[Places]]:
        self.head.sampler.results.clear()
        losses = dense_losses(self.head, self.head(maps), targets.samples)

        metas = [sample.metainfo for sample in targets.samples]
        anchors, flags = self.head.get_anchors([each.shape[-2:] for each in maps], metas, device=maps[0].device)
        return losses, [
            self._places(*image)
            for image in zip(
                map(torch.cat, anchors), map(torch.cat, flags), metas, self.head.sampler.results, by_image(maps)
            )
        ]

    def _places(self, boxes: Tensor, valid: Tensor, meta: dict, result, features: Tensor) -> Places:
        """The assigner sees the anchors inside the image alone."""
        border = self.head.train_cfg['allowed_border']
        inside = anchor_inside_flags(boxes, valid, meta['img_shape'], border).nonzero().squeeze(1)
        target = torch.full((len(boxes),), IGNORED, device=boxes.device)
        target[inside[result.neg_inds]] = BACKGROUND
        target[inside[result.pos_inds]] = result.pos_assigned_gt_inds
        return Places(boxes, target, features)


@MODELS.register_module()
class PointCollaborator(BaseModule):
    """A one-stage head on points: FCOS. The box of a place is a square around its point.

    Args:
        size: side of the square, in strides; 8, as the anchors of ATSS.
        others: as those of :class:`AnchorCollaborator`.
    """

    def __init__(
        self, head: dict, embed_dims: int, num_classes: int, strides: list[int], size: float = 8.0, name: str = 'fcos'
    ):
        super().__init__()
        self.name, self.size = name, size
        self.head = build_head(head, embed_dims, num_classes=num_classes, strides=strides)

    def forward(self, maps: list[Tensor], targets: Targets) -> tuple[dict, list[Places]]:
        losses = dense_losses(self.head, self.head(maps), targets.samples)
        points = self.head.prior_generator.grid_priors([each.shape[-2:] for each in maps], device=maps[0].device)
        return losses, [self._places(points, *image) for image in zip(targets.samples, by_image(maps))]

    def _places(self, points: list[Tensor], sample: DetDataSample, features: Tensor) -> Places:
        # Classes that are numbers of objects: the head has no other way to tell which object a point belongs to.
        gt = sample.gt_instances
        numbered = InstanceData(bboxes=gt.bboxes, labels=-1 - torch.arange(len(gt), device=gt.labels.device))
        labels = torch.cat(self.head.get_targets(points, [numbered])[0])

        height, width = sample.img_shape[:2]
        half = torch.cat(
            [each.new_full((len(each), 1), self.size * stride / 2) for each, stride in zip(points, self.head.strides)]
        )
        points = torch.cat(points)
        target = torch.where((points < points.new_tensor([width, height])).all(1), BACKGROUND, IGNORED)
        target = torch.where(labels < 0, -1 - labels, target)
        return Places(torch.cat([points - half, points + half], dim=1), target, features)


@MODELS.register_module()
class RegionCollaborator(BaseModule):
    """Faster R-CNN: the places are the proposals that its second stage is trained on.

    Args:
        rpn_head, roi_head: configs with their ``train_cfg``; channels, classes and strides need not be written.
        proposals: mmdet's ``rpn_proposal``: which predictions of the first stage go into the second.
        others: as those of :class:`AnchorCollaborator`; the second stage has no map for the coarsest stride.
    """

    def __init__(
        self,
        rpn_head: dict,
        roi_head: dict,
        proposals: dict,
        embed_dims: int,
        num_classes: int,
        strides: list[int],
        name: str = 'rcnn',
    ):
        super().__init__()
        self.name = name
        self.proposals = ConfigDict(copy.deepcopy(proposals))
        self.rpn_head = build_head(rpn_head, embed_dims, anchor_generator=dict(strides=strides))
        self.roi_head = build_head(
            roi_head,
            bbox_roi_extractor=dict(
                out_channels=embed_dims, featmap_strides=strides[:-1], finest_scale=14 * strides[0]
            ),
            bbox_head=dict(in_channels=embed_dims, num_classes=num_classes),
        )

    def forward(self, maps: list[Tensor], targets: Targets) -> tuple[dict, list[Places]]:
        losses, proposals = self._propose(maps, targets.samples)
        results = [self._sample(*image) for image in zip(proposals, targets.samples)]

        found = self.roi_head.bbox_loss(maps, results)
        losses.update(found['loss_bbox'])
        features = found['bbox_feats'].mean((2, 3)).split([len(result.priors) for result in results])
        return losses, [self._places(*image) for image in zip(results, features)]

    def _propose(self, maps: list[Tensor], samples: list) -> tuple[dict, list[InstanceData]]:
        out = self.rpn_head(maps)
        losses = dense_losses(self.rpn_head, out, [without_classes(sample) for sample in samples])
        with torch.no_grad():
            proposals = self.rpn_head.predict_by_feat(
                *in_float(out), batch_img_metas=[sample.metainfo for sample in samples], cfg=self.proposals
            )
        return losses, proposals

    def _sample(self, proposals: InstanceData, sample: DetDataSample):
        proposals = InstanceData(priors=proposals.bboxes)
        assigned = self.roi_head.bbox_assigner.assign(proposals, sample.gt_instances, sample.get('ignored_instances'))
        return self.roi_head.bbox_sampler.sample(assigned, proposals, sample.gt_instances)

    def _places(self, result, features: Tensor) -> Places:
        background = result.pos_assigned_gt_inds.new_full((len(result.neg_priors),), BACKGROUND)
        return Places(result.priors, torch.cat([result.pos_assigned_gt_inds, background]), features)


class Remembering:
    """A sampler of mmdet that keeps what it returned, image by image."""

    def __init__(self, sampler):
        self.sampler = sampler
        self.results = []

    def sample(self, *args, **kwargs):
        self.results.append(self.sampler.sample(*args, **kwargs))
        return self.results[-1]


def build_head(cfg: dict, embed_dims: int | None = None, **shared) -> nn.Module:
    """A head of mmdet, with what it need not be told: values that its config does not set."""
    if embed_dims is not None:
        shared.update(in_channels=embed_dims, feat_channels=embed_dims)
    return MODELS.build(filled(ConfigDict(copy.deepcopy(cfg)), shared))


def filled(cfg: ConfigDict, shared: dict) -> ConfigDict:
    """The config with what is missing in it, at any depth."""
    for key, value in shared.items():
        if isinstance(value, dict):
            filled(cfg[key], value)
        else:
            cfg.setdefault(key, value)
    return cfg


def dense_losses(head: nn.Module, out: tuple, samples: list[DetDataSample]) -> dict:
    """The losses of a dense head's output, in float32 even under autocast."""
    instances, ignored, metas = unpack_gt_instances(samples)
    with without_autocast(out[0][0]):
        return head.loss_by_feat(*in_float(out), instances, metas, ignored)


def in_float(out: tuple) -> list[list[Tensor]]:
    return [[level.float() for level in part] for part in out]


def without_classes(sample: DetDataSample) -> DetDataSample:
    """The same objects, all of class 0: what a first stage is trained on."""
    objects = sample.gt_instances
    bare = DetDataSample(metainfo=sample.metainfo)
    bare.gt_instances = InstanceData(bboxes=objects.bboxes, labels=torch.zeros_like(objects.labels))
    if 'ignored_instances' in sample:
        bare.ignored_instances = sample.ignored_instances
    return bare


def by_image(maps: list[Tensor]) -> Tensor:
    """B S C: the features of all levels, in the order of anchors and points."""
    return torch.cat([each.flatten(2) for each in maps], dim=2).transpose(1, 2)
