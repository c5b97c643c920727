"""DETReg: pre-training by finding proposals and telling how they look (https://arxiv.org/abs/2106.04550).

The detector, its head and the patches are those of `detector.py`, without a prompt: queries are not told what to find.
"""

from ...registry import MODELS
from ..roles import LossTerm
from .detector import wanted


@MODELS.register_module()
class EmbeddingTerm(LossTerm):
    """Mean absolute difference of embedding and descriptor, over matched queries and channels; in the last layer alone.
    Neither is brought to a length of one."""

    name = 'loss_embed'
    reads = ('embeddings',)

    def forward(self, predictions, matches, num_boxes):
        last = matches.of_layer(len(predictions.logits) - 1)
        told = predictions['embeddings'].at(last.where).float()
        distance = (told - wanted(predictions.targets, last.target)).abs()
        return self.weight * distance.sum()[None] / max(distance.numel(), 1)
