"""A vector of the tokens of a modality, for ONE-PEACE's tasks: a learned query looks at them.

Paper: https://arxiv.org/abs/2305.11172. Code: OFA-Sys/ONE-PEACE.
"""

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.attention import split_heads
from ...registry import MODELS
from ..states import State


@MODELS.register_module()
class QueryPooling(BaseModule):
    """A joint state -> B C: attention of one learned query, whose logits are not scaled, to the tokens of a modality
    without the first. Keys have no bias.

    Args:
        of: the modality.
        norm: of the vector, where several are put side by side before a head reads them (NLVR2).
    """

    tiny = dict(num_heads=2)

    def __init__(
        self, embed_dims: int, num_heads: int = 24, of: str = 'text', norm: bool = False, init_cfg: dict | None = None
    ):
        super().__init__(init_cfg)
        self.num_heads, self.of = num_heads, of
        self.query = nn.Parameter(torch.empty(embed_dims))
        self.key = nn.Linear(embed_dims, embed_dims, bias=False)
        self.value, self.out = nn.Linear(embed_dims, embed_dims), nn.Linear(embed_dims, embed_dims)
        self.norm = nn.LayerNorm(embed_dims) if norm else nn.Identity()
        nn.init.trunc_normal_(self.query, std=0.02)
        for layer in (self.key, self.value, self.out):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            if layer.bias is not None:
                nn.init.zeros_(layer.bias)

    def forward(self, joint: State) -> Tensor:
        own = slice(None) if joint.parts is None else joint.parts[self.of]
        tokens = joint.tokens[:, own][:, 1:]
        keep = None if joint.keep is None else joint.keep[:, own][:, None, None, 1:]

        query = self.query.to(tokens.dtype).expand(len(tokens), 1, -1)
        heads = [split_heads(x, self.num_heads) for x in (query, self.key(tokens), self.value(tokens))]
        found = F.scaled_dot_product_attention(*heads, attn_mask=keep, scale=1.0)
        return self.norm(self.out(found.transpose(1, 2).flatten(1)))
