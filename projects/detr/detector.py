"""The set-prediction detector: one class for the whole family; a paper is a choice of parts."""

from collections.abc import Sequence

from mmdet.models.detectors import BaseDetector
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from mmengine.model import ModuleList
from torch import Tensor

from ..layers.feature_spec import build_neck
from ..registry import MODELS, build_part
from .compatibility import check_parts
from .groups import isolated
from .queries import Proposals
from .structures import ImageSizes, Memory, QueryGroup, Targets


@MODELS.register_module()
class QueryDetector(BaseDetector):
    """
    ::

        image -> backbone -> neck -> encoder -> memory -> queries -> [match, *groups] -> decoder -> head
                                                 (extra groups only in training)

    Args:
        backbone, neck: any of mmdet's registry; ``neck.in_channels='auto'`` reads the backbone.
        encoder, queries, decoder, head: configs of the parts, see README.md.
        groups: configs of the query groups that train beside the matching queries.
        embed_dims, num_queries, num_classes, num_levels, logit_eps: written once here and handed to every part that
            takes them and does not set them itself.
        as_published: compute as the authors' code does where it differs from the paper, for their weights; parts that
            have such a switch take it, too.
        train_cfg, test_cfg: stand here because tools of mmdet name them; empty, for parts hold their own settings.

    Raises:
        ValueError: two parts do not go together, see compatibility.py; settings that no part would read; numbers that
            mean nothing.
    """

    task = 'detection'

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """Changes that make a config small, see tasks/shrink.py."""
        groups = [dict(group, num=10) for group in cfg.get('groups', ())]
        return dict(embed_dims=32, num_queries=20, encoder=dict(num_layers=1), groups=groups)

    def __init__(
        self,
        backbone: dict,
        neck: dict,
        encoder: dict,
        queries: dict,
        decoder: dict,
        head: dict,
        groups: list[dict] = (),
        embed_dims: int = 256,
        num_queries: int = 300,
        num_classes: int = 80,
        num_levels: int = 4,
        logit_eps: float = 1e-5,
        as_published: bool = False,
        data_preprocessor: dict | None = None,
        train_cfg: dict | None = None,
        test_cfg: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor=data_preprocessor, init_cfg=init_cfg)
        refuse_settings(type(self).__name__, train_cfg=train_cfg, test_cfg=test_cfg)
        refuse_numbers(embed_dims=embed_dims, num_queries=num_queries, num_classes=num_classes, num_levels=num_levels)
        shared = dict(
            embed_dims=embed_dims,
            num_queries=num_queries,
            num_classes=num_classes,
            num_levels=num_levels,
            logit_eps=logit_eps,
            as_published=as_published,
        )
        self.as_published = as_published
        self.backbone = MODELS.build(backbone)
        self.neck = build_neck(neck, self.backbone, embed_dims, num_levels)
        self.encoder = build_part(encoder, **shared)
        self.queries = build_part(queries, **shared)
        self.groups = ModuleList(build_part(group, **shared, queries=self.queries) for group in groups)
        self.decoder = build_part(decoder, **shared)
        self.head = build_part(head, **shared, num_layers=self.decoder.num_layers)
        check_parts(self)

    @property
    def open_vocabulary(self) -> bool:
        """Whether classes are read from their names, so that others may come at test time."""
        return any(hasattr(branch, 'set_classes') for branch in self.head.branches)

    def set_classes(self, classes: Sequence[str]) -> None:
        """Names of what is detected from now on, where a branch goes by names."""
        for branch in self.head.branches:
            if hasattr(branch, 'set_classes'):
                branch.set_classes(classes)

    def extract_feat(self, batch_inputs: Tensor) -> tuple[Tensor, ...]:
        return self.neck(self.backbone(batch_inputs))

    def encode(self, batch_inputs: Tensor, samples: list | None) -> Memory:
        images, feats = ImageSizes.of(batch_inputs, samples), self.extract_feat(batch_inputs)
        memory = self.encoder(feats, images.keeps(feats))
        memory.images = images
        return memory

    def ask(self, memory: Memory, samples: list | None) -> tuple[QueryGroup, Proposals | None]:
        """The matching queries, and what the encoder proposes."""
        return self.queries(memory, self.head)

    def extra(self, match: QueryGroup, memory: Memory, targets: Targets) -> list[QueryGroup]:
        """The query groups that train beside the matching queries."""
        groups = []
        for part in self.groups:
            made = part(match, memory, targets)
            groups += made if isinstance(made, list) else [made]
        return groups

    def best_queries(self, batch_inputs: Tensor, samples: list, most: int) -> list[dict[str, Tensor]]:
        """The queries of each image that detect best, each once and best first, at most so many: ``features`` R C,
        their last states; ``boxes`` R 4, xyxy in shares of the image's sides; ``scores`` R.

        Raises:
            ValueError: detections are chosen by their masks, too, whose scores belong to no single query.
        """
        select = self.head.select
        if 'masks' in (select.reads or ()):
            raise ValueError(f'{type(select).__name__} reads masks; regions are of a detector of boxes')
        memory = self.encode(batch_inputs, samples)
        match, _ = self.ask(memory, samples)
        hidden, references = self.decoder([match], memory, isolated([match]), self.head)
        found, regions = self.head(hidden, references, memory), []
        for image in range(len(samples)):
            scores, _, query = select(found['logits'][-1, image], found['boxes'][-1, image])
            order = scores.argsort(descending=True)
            kept = list(dict.fromkeys(query[order].tolist()))[:most]
            best = scores.new_full((found['logits'].shape[2],), -1.0).scatter_reduce(0, query, scores, 'amax')
            boxes = bbox_cxcywh_to_xyxy(found['boxes'][-1, image, kept]).clamp(0, 1)
            regions.append(dict(features=hidden[-1][image, kept], boxes=boxes, scores=best[kept]))
        return regions

    def decode(self, groups: list[QueryGroup], memory: Memory) -> dict[str, Tensor]:
        """logits L B N K and boxes L B N 4 of all groups side by side."""
        return self.head(*self.decoder(groups, memory, isolated(groups), self.head), memory)

    def _forward(self, batch_inputs: Tensor, batch_data_samples: list | None = None) -> dict[str, Tensor]:
        """``mode='tensor'``: logits (L B N K) and boxes (L B N 4, normalised cxcywh) of every decoder layer."""
        memory = self.encode(batch_inputs, batch_data_samples)
        match, _ = self.ask(memory, batch_data_samples)
        return self.decode([match], memory)

    def loss(self, batch_inputs: Tensor, batch_data_samples: list) -> dict[str, Tensor]:
        targets = Targets.from_samples(batch_data_samples)
        memory = self.encode(batch_inputs, batch_data_samples)
        match, proposals = self.ask(memory, batch_data_samples)
        groups = [match, *self.extra(match, memory, targets)]
        losses = self.head.loss(self.decode(groups, memory), groups, proposals, targets)
        for group in groups:
            losses.update(group.losses)
        return losses

    def predict(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list:
        predictions = self._forward(batch_inputs, batch_data_samples)
        results = self.head.predict(predictions, batch_data_samples, rescale)
        return self.add_pred_to_datasample(batch_data_samples, results)

    def predict_layers(self, batch_inputs: Tensor, batch_data_samples: list, rescale: bool = True) -> list[list]:
        """Detections of each decoder layer, if it were the last: of each a list of ``InstanceData``, one an image."""
        predictions = self._forward(batch_inputs, batch_data_samples)
        layers = range(1, len(predictions['logits']) + 1)
        cut = ({word: found[:end] for word, found in predictions.items()} for end in layers)
        return [self.head.predict(each, batch_data_samples, rescale) for each in cut]


def refuse_settings(owner: str, **given: dict | None):
    """Refuse mmdet's settings for training and testing, which no part reads."""
    for name, settings in given.items():
        if settings:
            raise ValueError(
                f'{owner} reads no {name}, got {settings}: matching and its costs stand in '
                'model.head.matcher, losses in model.head.terms, number of detections and NMS in '
                'model.head.select, settings of auxiliary heads in their own configs in model.groups; '
                f'leave model.{name} out'
            )


def refuse_numbers(**given: int):
    """Numbers of which a detector needs one at least."""
    for name, number in given.items():
        if not isinstance(number, int) or number < 1:
            raise ValueError(f'{name}={number!r} of the detector; a whole number from 1 is needed')
