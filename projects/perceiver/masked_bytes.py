"""Masked language modelling on bytes with Perceiver IO (section 4.1): no tokenizer, and the same embedding in and
out."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from ..structures import TextSample
from .inputs import BytesInput
from .model import PerceiverModel

PAD = 0


@MODELS.register_module()
class MaskedBytes(PerceiverModel):
    """
    Args:
        backbone: a `Perceiver` of `BytesInput` with an output for each place; its decoder has no linear layer, and is
            as wide as the embedding.

    Data samples have ``gt_ids`` and ``asked``, see :class:`..structures.TextSample`. ``mode='tensor'`` returns logits
    B T V.

    Raises:
        ValueError: inputs or outputs that are no texts.
    """

    task = 'masked_bytes'

    def __init__(self, backbone: dict, data_preprocessor: dict | None = None, init_cfg: dict | None = None):
        super().__init__(backbone, data_preprocessor, init_cfg)
        inputs, decoder = self.backbone.inputs, self.backbone.decoder
        if not isinstance(inputs, BytesInput):
            raise ValueError(f'inputs are {type(inputs).__name__}; texts are read by a BytesInput')
        if self.backbone.queries is None or self.backbone.queries.num is not None:
            raise ValueError('a text needs an output for each place; write VectorQueries(follow=True) or InputQueries')
        if decoder.channels != inputs.channels:
            raise ValueError(
                f'outputs of {decoder.channels} channels are compared with embeddings of {inputs.channels}; let both '
                'be equal, and the decoder have no out_dims'
            )
        self.bias = nn.Parameter(torch.zeros(inputs.vocab_size))

    def outputs(self, inputs: Tensor) -> Tensor:
        """B T ids -> B T V."""
        array, latents = self.backbone.encode(inputs, inputs != PAD)
        return self.backbone.decode(array, latents) @ self.backbone.inputs.embedding.weight.T + self.bias

    def loss(self, inputs: Tensor, samples: Sequence) -> dict[str, Tensor]:
        logits, asked, truth = self.outputs(inputs), torch.zeros_like(inputs, dtype=torch.bool), inputs.clone()
        for row, sample in enumerate(samples):
            length = len(sample.gt_ids)
            asked[row, :length], truth[row, :length] = sample.asked, sample.gt_ids
        losses = F.cross_entropy(logits.float().transpose(1, 2), truth, reduction='none') * asked
        count = asked.sum().clamp(min=1)
        right = ((logits.argmax(-1) == truth) & asked).sum() / count
        return dict(loss=losses.sum() / count, accuracy=right.detach())

    def predict(self, inputs: Tensor, samples: Sequence | None = None) -> list:
        best = self.outputs(inputs).argmax(-1)
        if samples is None:
            samples = [TextSample(asked=torch.ones_like(each, dtype=torch.bool)) for each in inputs]
        for sample, ids, given in zip(samples, best, inputs):
            length = len(sample.asked)
            asked = sample.asked.to(ids.device)
            sample.given_ids = given[:length]
            sample.pred_ids = torch.where(asked, ids[:length], given[:length])
        return list(samples)
