"""One stream: BERT over the words and the regions of an image, side by side (https://arxiv.org/abs/1908.03557)."""

from collections.abc import Sequence
from functools import partial

import torch
from torch import nn

from ...layers.mlp import Mlp
from ...layers.token_block import TokenBlock, TokenBlocks
from ...registry import MODELS
from ..bert import TINY, Pooler, bert_arch, init_bert
from ..roles import Fusion
from ..states import State, States


@MODELS.register_module()
class OneStream(Fusion):
    """Embedded tokens of several modalities, in the order they are asked for, through one norm and BERT's layers. The
    first token of all is the pooled one, after a dense layer and tanh.

    Args:
        arch: of the BERT.
        text: name of the text: where its items have several texts, the others are repeated for each.
        pooler: the dense layer; a model that reads no pooled vector has none.
    """

    gives = ('joint', 'alone')
    alone = True
    tiny = dict(arch=TINY)

    def __init__(
        self,
        arch: str | dict = 'base',
        text: str = 'text',
        pooler: bool = True,
        dropout: float = 0.1,
        norm_eps: float = 1e-12,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        arch = bert_arch(arch)
        dims = self.embed_dims = self.pooled_dims = arch['embed_dims']
        self.text = text
        self.norm, self.dropout = nn.LayerNorm(dims, eps=norm_eps), nn.Dropout(dropout)

        def block(drop_path: float) -> TokenBlock:
            return TokenBlock(
                dims,
                arch['num_heads'],
                order='post',
                norm=partial(nn.LayerNorm, eps=norm_eps),
                attn_dropout=dropout,
                branch_dropout=dropout,
                mlp=Mlp(dims, arch.get('mlp_dims', 4 * dims)),
            )

        self.layers = TokenBlocks(arch['num_layers'], make=block, with_cp=with_cp)
        self.pooler = Pooler(dims, arch) if pooler else None
        init_bert(self, arch)

    def forward(self, states: States, names: Sequence[str]) -> State:
        owner = getattr(states.inputs.get(self.text), 'owner', None) if self.text in names else None
        parts, masks, spans, start = [], [], {}, 0
        for name in names:
            state = states.tower(name)
            rows = slice(None) if owner is None or name == self.text else owner
            tokens = state.tokens[rows]
            parts.append(tokens)
            keep = tokens.new_ones(tokens.shape[:2], dtype=torch.bool) if state.keep is None else state.keep[rows]
            masks.append(keep)
            spans[name], start = slice(start, start + tokens.shape[1]), start + tokens.shape[1]

        x, keep = self.dropout(self.norm(torch.cat(parts, 1))), torch.cat(masks, 1).bool()
        x = self.layers(x, bias=None if bool(keep.all()) else keep[:, None, None])
        return State(x, keep, x[:, 0] if self.pooler is None else self.pooler(x), spans)
