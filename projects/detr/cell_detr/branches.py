"""Cell-DETR's branches (https://arxiv.org/abs/2011.09763), which read the last decoder layer alone."""

from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..branches import Boxes, Classes, States
from ..detr_masks.attention_maps import AttentionMaps, SeparateMasks
from ..detr_masks.branch import AttentionMasks
from ..structures import Memory
from .mask_decoder import CellMaskDecoder


@MODELS.register_module()
class CellClassBranch(Classes):
    """Two linear layers; the last row is "no object".

    Args:
        act_cfg: activation between them.
    """

    def __init__(self, num_classes: int = 80, embed_dims: int = 128, act_cfg: dict = dict(type=nn.LeakyReLU)):
        super().__init__([net((embed_dims, embed_dims // 2, num_classes + 1), act_cfg)])


@MODELS.register_module()
class CellBoxBranch(Boxes):
    """Three linear layers.

    Args:
        act_cfg: activation between them.
        logit_eps: clamp of the inverse sigmoid.
    """

    def __init__(self, embed_dims: int = 128, act_cfg: dict = dict(type=nn.LeakyReLU), logit_eps: float = 1e-5):
        super().__init__([net((embed_dims, embed_dims // 2, embed_dims // 8, 4), act_cfg)])
        self.logit_eps = logit_eps


def net(widths: tuple[int, ...], act_cfg: dict) -> nn.Sequential:
    """Linear layers with an activation between each two."""
    layers = []
    for before, after in zip(widths, widths[1:]):
        layers += [MODELS.build(dict(act_cfg)), nn.Linear(before, after)]
    return nn.Sequential(*layers[1:])


@MODELS.register_module()
class CellMaskBranch(AttentionMasks):
    """Masks that compete with each other.

    Args:
        mask_decoder: config of the part that makes masks of attention maps.
        num_heads: attention maps of a query.
        as_published: see :class:`AttentionMaps` and :class:`CellMaskDecoder`.
    """

    takes_groups = False

    def __init__(
        self,
        mask_decoder: dict = dict(type=CellMaskDecoder),
        embed_dims: int = 128,
        num_heads: int = 8,
        num_queries: int = 12,
        as_published: bool = False,
    ):
        super().__init__()
        self.num_queries = num_queries
        self.attention = AttentionMaps(embed_dims, num_heads, relative=not as_published, multiply=as_published)
        self.mask_decoder = build_part(
            mask_decoder, embed_dims=embed_dims, num_heads=num_heads, num_queries=num_queries, as_published=as_published
        )

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, SeparateMasks]:
        found = states.hidden[-1].shape[1]
        if found != self.num_queries:
            raise ValueError(
                f'CellMaskBranch was built for {self.num_queries} queries and got {found}; its masks compete with each '
                'other, so query groups that train beside the matching one do not go with it'
            )
        return super().forward(states, references, memory)
