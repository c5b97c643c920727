"""Towers: from one modality to its state."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers.feature_spec import backbone_spec
from ..layers.mlp import Mlp, QuickGELU
from ..layers.token_block import TokenBlock, TokenBlocks
from ..registry import MODELS
from .roles import Tower
from .states import State, Texts

ACTS = {'quick_gelu': QuickGELU, 'gelu': nn.GELU}


@MODELS.register_module()
class ImageTower(Tower):
    """Any backbone: a map becomes tokens and their mean, tokens (ViT's ``out='tokens'``) come with the first as the
    pooled one, a vector stays one.

    Args:
        backbone: of the registries; its last output is read.
    """

    def __init__(self, backbone: dict, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone)
        self.embed_dims = self.pooled_dims = backbone_spec(self.backbone).channels[-1]
        self.has_tokens = getattr(self.backbone, 'out', 'map') in ('map', 'maps', 'tokens')

    def forward(self, batch: Tensor) -> State:
        """B C H W -> the state of the image."""
        out = self.backbone(batch)[-1]
        if out.ndim == 2:
            return State(pooled=out)
        if out.ndim == 4:
            return State(out.flatten(2).transpose(1, 2), pooled=out.mean((2, 3)))
        return State(out, pooled=out[:, 0])


@MODELS.register_module()
class CausalTextTower(Tower):
    """CLIP's text tower: each token sees the ones before it, and the last one stands for the text.

    Args:
        vocab_size, context_length: those of the tokenizer, which the model hands on.
        act: 'quick_gelu' (OpenAI's weights) or 'gelu' (most of open_clip's).
    """

    def __init__(
        self,
        vocab_size: int = 49408,
        context_length: int = 77,
        embed_dims: int = 512,
        num_layers: int = 12,
        num_heads: int | None = None,
        act: str = 'quick_gelu',
        norm_eps: float = 1e-5,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        num_heads = num_heads or max(1, embed_dims // 64)
        self.embed_dims = self.pooled_dims = embed_dims
        self.token_embedding = nn.Embedding(vocab_size, embed_dims)
        self.position = nn.Parameter(torch.empty(context_length, embed_dims))

        def norm(dims: int) -> nn.Module:
            return nn.LayerNorm(dims, eps=norm_eps)

        self.blocks = TokenBlocks(
            num_layers,
            with_cp=with_cp,
            make=lambda drop_path: TokenBlock(
                embed_dims, num_heads, norm=norm, mlp=Mlp(embed_dims, act=ACTS[act]), drop_path=drop_path
            ),
        )
        self.norm = norm(embed_dims)
        self.reset()

    @torch.no_grad()
    def reset(self):
        """The start of the official code: narrower with depth and width."""
        width, depth = self.embed_dims, len(self.blocks)
        nn.init.normal_(self.token_embedding.weight, std=0.02)
        nn.init.normal_(self.position, std=0.01)
        for block in self.blocks:
            nn.init.normal_(block.attn.part.in_proj_weight, std=width**-0.5)
            nn.init.normal_(block.attn.part.out_proj.weight, std=width**-0.5 * (2 * depth) ** -0.5)
            nn.init.normal_(block.mlp.part.fc1.weight, std=(2 * width) ** -0.5)
            nn.init.normal_(block.mlp.part.fc2.weight, std=width**-0.5 * (2 * depth) ** -0.5)

    def forward(self, batch: Texts) -> State:
        """Texts, each with its last token kept -> the state of the text; pooled is the last token of each."""
        length = batch.ids.shape[1]
        if length > len(self.position):
            raise ValueError(f'texts of {length} tokens; this tower was built with context_length={len(self.position)}')
        x = self.token_embedding(batch.ids) + self.position[:length]
        x = self.norm(self.blocks(x, bias=causal(length, x)))
        last = batch.keep.sum(1) - 1
        return State(x, batch.keep, x[torch.arange(len(x), device=x.device), last])


def causal(length: int, like: Tensor) -> Tensor:
    """N N, bool: True where a token may look, at itself and what stands before it."""
    return torch.ones(length, length, dtype=torch.bool, device=like.device).tril()


def padding(keep: Tensor) -> Tensor:
    """B S, True where there is a token -> B 1 1 S, the bias of attention that hides the others."""
    return keep[:, None, None]


__all__: Sequence[str] = ('CausalTextTower', 'ImageTower', 'causal', 'padding')
