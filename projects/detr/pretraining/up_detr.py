"""UP-DETR: pre-training by finding random patches of an image (https://arxiv.org/abs/2011.09094).

Differences from the official code: the blocks of queries are as many as there are patches (the official loop counts the
queries of a patch, which is right only where both are ten); descriptors are cut from the graph.
"""

from dataclasses import replace

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ..roles import LossTerm
from ..structures import QueryGroup
from ..terms import per_layer
from .detector import wanted


@MODELS.register_module()
class PatchPrompt(nn.Module):
    """Tells the matching queries which patch to look for: its descriptor is added to their positions (to their content
    where these follow from references). Queries of one patch do not see those of another.

    With P patches of an image the first P times ``num_queries / num_patches`` queries are used.

    Args:
        num_patches: most patches of an image.
        mask_ratio: share of queries that are not told, in training.
        shuffle: assign queries to patches anew in every training step.
        descriptor_dims, embed_dims, num_queries: the detector knows them.

    Raises:
        ValueError: the queries cannot be dealt to the patches; images of a batch have more patches than these, or one
            has more than another.
    """

    def __init__(
        self,
        num_patches: int = 10,
        mask_ratio: float = 0.1,
        shuffle: bool = False,
        descriptor_dims: int = 2048,
        embed_dims: int = 256,
        num_queries: int = 100,
    ):
        super().__init__()
        if num_queries % num_patches:
            raise ValueError(
                f'{num_queries} queries cannot be dealt to {num_patches} patches; num_queries should be a '
                f'multiple, as {max(num_queries // num_patches, 1) * num_patches}'
            )
        self.num_patches, self.mask_ratio, self.shuffle = num_patches, mask_ratio, shuffle
        self.num_queries = num_queries
        self.project = nn.Linear(descriptor_dims, embed_dims)

    def forward(self, match: QueryGroup, described: list[Tensor]) -> QueryGroup:
        """described: P D of each image."""
        counts = [len(each) for each in described]
        patches = counts[0]
        if len(set(counts)) > 1 or not 0 < patches <= self.num_patches:
            raise ValueError(
                f'images of the batch bring {counts} patches; all should bring the same number, 1 to {self.num_patches}'
            )
        share = self.num_queries // self.num_patches
        match = self._dealt(match, patches * share)

        told = self.project(torch.stack(described)).repeat_interleave(share, dim=1)
        if self.training:
            told = told * (torch.rand_like(told[..., :1]) > self.mask_ratio)
        if match.pos is None:
            return replace(match, content=match.content + told, blocks=patches)
        return replace(match, pos=match.pos + told, blocks=patches)

    def _dealt(self, match: QueryGroup, size: int) -> QueryGroup:
        """The queries in use, in the order in which they are dealt to patches."""
        if match.size != self.num_queries:
            raise ValueError(
                f'there are {match.size} matching queries, num_queries is {self.num_queries}; a source '
                'with patterns or of few tokens does not go with PatchPrompt'
            )
        order = torch.arange(size, device=match.content.device)
        if self.shuffle and self.training:
            order = torch.randperm(self.num_queries, device=match.content.device)[:size]
        parts = {name: getattr(match, name) for name in ('content', 'pos', 'reference')}
        return replace(match, **{name: part[:, order] for name, part in parts.items() if part is not None})


@MODELS.register_module()
class ReconstructionTerm(LossTerm):
    """Squared distance of embedding and descriptor, both of length one, divided by the number of boxes; in all
    layers."""

    name = 'loss_recon'
    reads = ('embeddings',)

    def forward(self, predictions, matches, num_boxes):
        told = F.normalize(predictions['embeddings'].at(matches.where).float(), dim=-1)
        truth = F.normalize(wanted(predictions.targets, matches.target), dim=-1)
        distance = (told - truth).square().sum(-1)
        return self.weight * per_layer(distance, matches.layer, len(predictions.logits)) / num_boxes
