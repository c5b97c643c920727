"""VisualBERT's tasks that are no classes of one sentence: the best of several answers (VCR), and which region a phrase
means (Flickr30K Entities)."""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ..inference import samples_of
from ..labels import class_labels
from ..predictions import JointPrediction
from ..roles import Inference, Objective
from ..states import States


@MODELS.register_module()
class MultipleChoice(Objective):
    """The best of several texts of an item, ``gt_label`` its number; each text is one row with a score of its own.

    All items have as many texts.
    """

    uses = ('joint',)

    def __init__(
        self,
        between: Sequence[str] = ('text', 'regions'),
        text: str = 'text',
        dropout: float = 0.1,
        joint_dims: int | None = None,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.between = self.needs = tuple(between)
        self.text, self.dropout, self.head = text, nn.Dropout(dropout), nn.Linear(joint_dims or 1, 1)

    def logits(self, states: States) -> Tensor:
        """B choices."""
        scores = self.head(self.dropout(states.joint(*self.between).pooled))[:, 0]
        owner = states.inputs[self.text].owner
        if owner is None:
            raise ValueError(f'{type(self).__name__} chooses among several texts of an item; these have one each')
        counts = owner.bincount()
        if len(counts.unique()) != 1:
            raise ValueError(f'items of a batch have {sorted(set(counts.tolist()))} texts; all need as many')
        return scores.view(len(counts), -1)

    def forward(self, states: States) -> dict[str, Tensor]:
        logits = self.logits(states).float()
        labels = class_labels(states.samples, logits.shape[1], logits.device)
        return dict(loss=F.cross_entropy(logits, labels), accuracy=(logits.argmax(1) == labels).float().mean())


@MODELS.register_module()
class ChosenText(JointPrediction):
    """Which of several texts: ``pred_label``, ``pred_scores``."""

    task = 'choice'

    def __init__(self, objective: str = 'choice', init_cfg: dict | None = None):
        super().__init__(objective, init_cfg)


@MODELS.register_module()
class PhraseRegions(Objective):
    """Which regions a phrase means: one head of attention from the phrase's last token to the regions, held against
    soft targets.

    Samples have ``gt_phrases``, P places of tokens, and ``gt_phrase_regions``, P R shares that sum up to 1.

    Args:
        dims: channels of the head's queries and keys; BERT's width over 12.
    """

    uses = ('joint',)

    def __init__(
        self,
        between: Sequence[str] = ('text', 'regions'),
        dims: int | None = None,
        joint_dims: int | None = None,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.between = self.needs = tuple(between)
        dims = dims or max(1, (joint_dims or 12) // 12)
        self.query, self.key = nn.Linear(joint_dims or 1, dims), nn.Linear(joint_dims or 1, dims)

    def logits(self, states: States, phrases: Tensor) -> Tensor:
        """Places of phrases B P -> B P R, minus infinity at padding."""
        text, regions = self.between
        joint = states.joint(*self.between)
        words, found = joint.tokens[:, joint.parts[text]], joint.tokens[:, joint.parts[regions]]
        words = words.gather(1, phrases.clamp(min=0)[..., None].expand(-1, -1, words.shape[-1]))
        scores = self.query(words) @ self.key(found).transpose(1, 2) / math.sqrt(self.query.out_features)
        return scores.masked_fill(~joint.keep[:, joint.parts[regions]][:, None], -torch.inf)

    def forward(self, states: States) -> dict[str, Tensor]:
        phrases = nn.utils.rnn.pad_sequence([one.gt_phrases for one in states.samples], True, -1)
        count = states.inputs[self.between[1]].features.shape[1]
        targets = torch.zeros(*phrases.shape, count)
        for row, sample in enumerate(states.samples):
            wanted = sample.gt_phrase_regions
            targets[row, : wanted.shape[0], : wanted.shape[1]] = wanted
        device = states.inputs[self.between[1]].features.device
        logits = self.logits(states, phrases.to(device))[(phrases >= 0).to(device)].float()
        targets = targets[phrases >= 0].to(device)
        said = logits.log_softmax(-1).masked_fill(targets == 0, 0.0)
        best = targets.gather(1, logits.argmax(1, keepdim=True)) > 0
        return dict(loss=F.kl_div(said, targets, reduction='batchmean'), accuracy=best.float().mean())


@MODELS.register_module()
class FoundRegions(Inference):
    """``pred_phrase_regions``: P R, how much each phrase of ``gt_phrases`` looks at each region."""

    task = 'grounding'

    def __init__(self, objective: str = 'phrases', init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.objective = objective

    def forward(self, states: States) -> Sequence:
        objective = states.encoder.objectives[self.objective]
        samples = samples_of(states, states.inputs[objective.between[1]].features)
        for row, sample in enumerate(samples):
            phrases = sample.get('gt_phrases')
            phrases = torch.zeros(1, dtype=torch.long) if phrases is None else phrases
            every = phrases[None].expand(len(samples), -1).to(states.inputs[objective.between[1]].features.device)
            sample.pred_phrase_regions = objective.logits(states, every)[row].softmax(-1)
        return samples
