"""One-to-many matching beside the one-to-one (H-DETR, https://arxiv.org/abs/2207.13080): the hybrid branch.

The official code runs both groups under one mask; here each attends on its own, which is the same and does less.
"""

from torch import nn

from ..registry import MODELS
from .roles import GroupSource, QuerySource
from .structures import Memory, QueryGroup, Targets


@MODELS.register_module()
class OneToMany(GroupSource):
    """The proposals that come after those of the matching queries, each object being matched ``repeat`` times.

    Args:
        queries: the source of the matching queries, which has to rank proposals; its content is learned or read from
            the boxes, and so is that of these queries.
        num: queries; fewer where the batch has fewer tokens.
        repeat: the paper's k.
        weight: of the losses, the paper's lambda.
        name: of the group; two groups of one detector need two.
    """

    coordinates = 4

    def __init__(
        self,
        queries: QuerySource,
        embed_dims: int = 256,
        num: int = 1500,
        repeat: int = 6,
        weight: float = 1.0,
        name: str = 'o2m',
    ):
        super().__init__()
        if not queries.ranks:
            raise ValueError(
                f'OneToMany takes the next-best proposals, and {type(queries).__name__} ranks none; '
                'take TopKQueries or MaskQueries'
            )
        self.num, self.repeat, self.weight, self.name = num, repeat, weight, name
        self.brings_positions = queries.brings_positions
        self.content = nn.Embedding(num, embed_dims) if queries.mixed_selection else None

    def forward(self, match: QueryGroup, memory: Memory, targets: Targets) -> QueryGroup:
        content, reference, pos = match.more(self.num)
        if self.content is not None:
            content = self.content.weight[: reference.shape[1]].expand(reference.shape[0], -1, -1)
        return QueryGroup(self.name, content, reference, pos, repeat=self.repeat, weight=self.weight)
