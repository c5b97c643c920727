"""Captioning: each word of a text is told from the ones before it and from what the decoder looks at."""

import torch
import torch.nn.functional as F
from torch import Tensor

from ...registry import MODELS
from ..roles import Objective
from ..states import States, Texts

REDUCTIONS = ('token', 'text')


@MODELS.register_module()
class Captioning(Objective):
    """
    Args:
        texts: name of the input that is written.
        label_smoothing: share of each target that is spread over the whole vocabulary, as `F.cross_entropy` does.
        reduction: 'token', the mean over all words; 'text', the sum of each text times the sample's
            `gt_answer_weights`, all of them over the number of items (BLIP's answers).
    """

    uses = ('decoder',)

    def __init__(
        self,
        texts: str = 'text',
        label_smoothing: float = 0.1,
        reduction: str = 'token',
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        if reduction not in REDUCTIONS:
            raise ValueError(f'reduction={reduction!r} is unknown; choose from {REDUCTIONS}')
        self.texts, self.label_smoothing, self.reduction = texts, label_smoothing, reduction

    def bind(self, model):
        inputs = dict(getattr(model.data_preprocessor, 'inputs', {}).items())
        prefix, self.tokenizer = getattr(inputs.get(self.texts), 'prefix', ''), model.tokenizer
        self.prompt = prefix if prefix and self.tokenizer is not None else ''
        tower = model.towers[model.decoder.reads[0]] if len(model.decoder.reads) == 1 else None
        if tower is not None and not tower.has_tokens:
            raise ValueError(
                f'objectives: {type(self).__name__} writes from the tokens of {model.decoder.reads[0]!r}, whose tower '
                "gives one vector; let its backbone give maps or out='tokens'"
            )

    def forward(self, states: States) -> dict[str, Tensor]:
        texts, decoder = states.inputs[self.texts], states.encoder.decoder
        logits = decoder(texts, decoder.memory(states))[:, :-1]
        targets = self.targets(texts)
        each = F.cross_entropy(
            logits.flatten(0, 1).float(), targets.flatten(), reduction='none', label_smoothing=self.label_smoothing
        ).view_as(targets)
        told = targets >= 0
        accuracy = (logits.detach().argmax(-1) == targets)[told].float().mean()
        return dict(loss=self.reduced(each, told, states), accuracy=accuracy)

    def targets(self, texts: Texts) -> Tensor:
        """T S-1: the word after each; -100 at padding and within the prompt."""
        targets = texts.ids.masked_fill(~texts.keep, -100)[:, 1:]
        if self.prompt:
            length = len(self.tokenizer.pieces(self.prompt).ids)
            targets = torch.cat([torch.full_like(targets[:, :length], -100), targets[:, length:]], 1)
        return targets

    def reduced(self, each: Tensor, told: Tensor, states: States) -> Tensor:
        if self.reduction == 'token':
            return each.sum() / told.sum().clamp(min=1)
        weights = [weight for sample in states.samples for weight in sample.gt_answer_weights]
        if len(weights) != len(each):
            raise ValueError(f'{len(each)} answers and {len(weights)} weights in a batch')
        return (each.sum(1) * each.new_tensor(weights)).sum() / len(states.samples)
