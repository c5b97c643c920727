"""The classifier: a backbone, a head, a loss; batches may be mixed."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from ..layers.feature_spec import backbone_spec
from ..registry import MODELS, build_part
from ..structures import ImageSample
from .heads import LinearClassHead
from .losses import SoftmaxLoss


@MODELS.register_module()
class Classifier(BaseModel):
    """
    ::

        image -> backbone -> maps, or one vector (ViT's `out`) -> head -> logits -> loss

    Data samples have ``gt_label``, the number of the class.

    Args:
        backbone: any of the registries.
        head: see heads.py; the channels of the backbone are read.
        loss: see losses.py.
        mixing: what mixes images and labels of a batch in training, see mixing.py.
        num_classes: handed to the head.

    Raises:
        ValueError: the backbone gives more outputs than the head reads; a label beyond the classes.

    ``mode='tensor'`` returns logits B K; ``'loss'`` a dict of the loss; ``'predict'`` the samples with ``pred_scores``
    (K, softmax) and ``pred_label``.
    """

    task = 'classification'

    def __init__(
        self,
        backbone: dict,
        head: dict = dict(type=LinearClassHead),
        loss: dict = dict(type=SoftmaxLoss),
        mixing: dict | None = None,
        num_classes: int = 1000,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        spec = backbone_spec(self.backbone)
        self.head = build_part(head, in_channels=spec.channels, num_classes=num_classes)
        if len(spec.channels) != self.head.num_maps:
            raise ValueError(
                f'{type(self.backbone).__name__} gives {len(spec.channels)} outputs, {type(self.head).__name__} reads '
                f'{self.head.num_maps}, the last; let `out_indices` of the backbone name no others'
            )
        self.classification_loss = build_part(loss)
        self.mixing = build_part(mixing) if mixing else None
        self.num_classes = num_classes

    def forward(self, inputs: Tensor, data_samples: Sequence | None = None, mode: str = 'tensor'):
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.logits(inputs)
        raise ValueError(f"mode={mode!r} is unknown; choose from 'tensor', 'loss', 'predict'")

    def logits(self, images: Tensor) -> Tensor:
        """B C H W -> B K."""
        return self.head(self.backbone(images))

    def loss(self, images: Tensor, samples: Sequence) -> dict[str, Tensor]:
        targets = self.targets(samples, images)
        if self.mixing is not None:
            images, targets = self.mixing(images, targets)
        return dict(loss=self.classification_loss(self.logits(images), targets))

    def targets(self, samples: Sequence, images: Tensor) -> Tensor:
        """B K, one where the class is."""
        labels = images.new_tensor([int(sample.gt_label) for sample in samples]).long()
        if len(labels) and not 0 <= int(labels.min()) <= int(labels.max()) < self.num_classes:
            wrong = sorted({int(label) for label in labels if not 0 <= label < self.num_classes})
            raise ValueError(f'labels {wrong} of a batch are none of 0 to {self.num_classes - 1}; check num_classes')
        return F.one_hot(labels, self.num_classes).to(images.dtype)

    def predict(self, images: Tensor, samples: Sequence | None = None) -> list:
        scores = self.logits(images).float().softmax(-1)
        samples = [ImageSample() for _ in scores] if samples is None else list(samples)
        for sample, each in zip(samples, scores):
            sample.pred_scores, sample.pred_label = each, each.argmax()
        return samples
