"""A residual branch: the one place that knows in which order norm, part and sum come.

* 'pre': ``x + part(norm(x))`` (ViT, Swin; "On layer normalization in the transformer architecture",
  https://arxiv.org/abs/2002.04745)
* 'post': ``norm(x + part(x))`` (the first transformer, DETR, BERT)
* 'res-post': ``x + norm(part(x))`` (Swin v2, https://arxiv.org/abs/2111.09883, section 3.2)
"""

from collections.abc import Callable

import torch
from mmcv.cnn.bricks import DropPath
from torch import Tensor, nn

ORDERS = ('pre', 'post', 'res-post')


def residual(
    x: Tensor,
    part: Callable[..., Tensor],
    norm: Callable[[Tensor], Tensor],
    order: str = 'pre',
    drop: Callable[[Tensor], Tensor] = lambda branch: branch,
) -> Tensor:
    """x of any shape with channels last, and what a part makes of it; ``drop`` (dropout, drop path, a scale) is applied
    to the branch before the sum."""
    if order == 'pre':
        return x + drop(part(norm(x)))
    if order == 'post':
        return norm(x + drop(part(x)))
    return x + drop(norm(part(x)))


class Residual(nn.Module):
    """:func:`residual` with its part.

    Args:
        part: the branch, called as ``part(x, *args, **kwargs)``.
        norm: of ``embed_dims`` channels, as a module.
        order: one of 'pre', 'post', 'res-post'.
        layer_scale: start of a learned factor of each channel of the branch (CaiT,
            https://arxiv.org/abs/2103.17239); None: no factor.
        drop_path: chance that a sample's branch is left out, in training (https://arxiv.org/abs/1603.09382).
        embed_dims: channels; only needed with ``layer_scale``.
        dropout: of the branch's output, in training (the first transformer, BERT).
    """

    def __init__(
        self,
        part: nn.Module,
        norm: nn.Module,
        order: str = 'pre',
        layer_scale: float | None = None,
        drop_path: float = 0.0,
        embed_dims: int | None = None,
        dropout: float = 0.0,
    ):
        super().__init__()
        if order not in ORDERS:
            raise ValueError(f'order={order!r} is unknown; choose from {", ".join(ORDERS)}')
        self.norm, self.part, self.order = norm, part, order
        self.scale = None if layer_scale is None else nn.Parameter(torch.full((embed_dims,), float(layer_scale)))
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.drop_path = DropPath(drop_path) if drop_path else nn.Identity()

    def forward(self, x: Tensor, *args, **kwargs) -> Tensor:
        return residual(x, lambda x: self.part(x, *args, **kwargs), self.norm, self.order, self._drop)

    def _drop(self, branch: Tensor) -> Tensor:
        branch = self.dropout(branch)
        return self.drop_path(branch if self.scale is None else branch * self.scale)

    def extra_repr(self) -> str:
        return f'order={self.order!r}'
