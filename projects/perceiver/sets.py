"""Classes of sets, and of their elements: point clouds (Perceiver, section 4.3), sets of entities as the units of
StarCraft II (Perceiver IO, section 4.4).

One class for the whole set (`VectorQueries`), or one for each element (`InputQueries`): the same model with other
queries. The order of the elements changes nothing, and absent ones are not seen. For StarCraft II the Perceiver stood
within AlphaStar's policy, which is not public; here it says the class of each entity.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from ..structures import SetSample
from .inputs import EntityInput, PointInput
from .model import PerceiverModel


@MODELS.register_module()
class SetClassifier(PerceiverModel):
    """
    Args:
        backbone: a `Perceiver` of `PointInput` or `EntityInput` with one output, or one for each element.
        num_classes: that are told apart.
        label_smoothing: see SoftmaxLoss.

    Data samples have ``gt_labels``: one, or one for each element. ``mode='tensor'`` returns logits B Q K.

    Raises:
        ValueError: inputs that are no sets; other numbers of outputs or labels.
    """

    task = 'sets'

    def __init__(
        self,
        backbone: dict,
        num_classes: int,
        label_smoothing: float = 0.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor, init_cfg)
        inputs, queries = self.backbone.inputs, self.backbone.queries
        if not isinstance(inputs, (PointInput, EntityInput)):
            raise ValueError(f'inputs are {type(inputs).__name__}; sets are read by PointInput or EntityInput')
        if queries is not None and queries.num not in (None, 1):
            raise ValueError(f'{queries.num} outputs; a set has one class, or one for each element (InputQueries)')
        self.each_element = queries is not None and queries.num is None
        self.point_dims = inputs.point_dims
        self.head = nn.Linear(self.backbone.decoder.channels, num_classes)
        self.num_classes, self.label_smoothing = num_classes, label_smoothing

    def outputs(self, inputs: Mapping[str, Tensor]) -> Tensor:
        """points B N C and mask B N -> B Q K."""
        array, latents = self.backbone.encode(inputs['points'], inputs['mask'])
        return self.head(self.backbone.decode(array, latents))

    def loss(self, inputs: Mapping[str, Tensor], samples: Sequence) -> dict[str, Tensor]:
        logits = self.outputs(inputs)
        labels = torch.full(logits.shape[:2], -100, device=logits.device)
        for row, sample in enumerate(samples):
            wanted = int(inputs['mask'][row].sum()) if self.each_element else 1
            if len(sample.gt_labels) != wanted:
                raise ValueError(
                    f'{sample.get("img_path", "a sample")} has {len(sample.gt_labels)} labels; this model says {wanted}'
                )
            labels[row, :wanted] = sample.gt_labels
        greatest = int(labels.max()) if labels.numel() else -1
        if greatest >= self.num_classes:
            raise ValueError(f'a label {greatest} is none of 0 to {self.num_classes - 1}; check num_classes')
        if (labels < 0).all():
            return dict(loss=logits.sum() * 0)
        loss = F.cross_entropy(logits.float().transpose(1, 2), labels, label_smoothing=self.label_smoothing)
        known = labels >= 0
        return dict(loss=loss, accuracy=(logits.argmax(-1) == labels)[known].float().mean())

    def predict(self, inputs: Mapping[str, Tensor], samples: Sequence | None = None) -> list:
        scores = self.outputs(inputs).float().softmax(-1)
        samples = [SetSample() for _ in scores] if samples is None else list(samples)
        for sample, each, mask in zip(samples, scores, inputs['mask']):
            each = each[mask] if self.each_element else each
            sample.pred_scores, sample.pred_labels = each, each.argmax(-1)
        return samples
