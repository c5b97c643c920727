"""ONE-PEACE's encoder: all tokens share an attention, and go through the FFN of their modality.

Paper: https://arxiv.org/abs/2305.11172, section 3.1. Code: OFA-Sys/ONE-PEACE.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...layers.multiway import Multiway, MultiwayBlock
from ...layers.token_block import TokenBlocks
from ...registry import MODELS
from ..beit3.encoder import kept, of_owners
from ..roles import Fusion
from ..states import State, States
from .adapters import TINY, checked_arch

ORDER = ('text', 'image', 'audio')


def shared_blocks(arch: Mapping, experts: Sequence[str], layer_scale: float | None, drop_path=0.0, with_cp=False):
    """Layers with one attention and an FFN (GEGLU) for each modality, with norms inside both (sub-LN)."""
    return TokenBlocks(
        arch['num_layers'],
        arch['embed_dims'],
        arch['num_heads'],
        arch['mlp_dims'],
        experts,
        make=MultiwayBlock,
        shared_attention=True,
        gated=True,
        biases=(True, False, True),
        layer_scale=layer_scale,
        drop_path=drop_path,
        with_cp=with_cp,
    )


@MODELS.register_module()
class SharedFusion(Fusion):
    """One or several modalities, text first.

    Args:
        arch: '4b', or a dict of `embed_dims, num_layers, num_heads, mlp_dims`.
        experts: modalities with an FFN and a last norm of their own.
        layer_scale: start of the learned factors.
        final_norm: the published vision branch has none.
        learns: the one modality that is trained (stage two: 'audio'): attention, norms and all that belongs to other
            modalities stay as they are. None: all.
    """

    gives = ('joint', 'alone', 'shared attention')
    alone = True
    tiny = dict(arch=TINY)

    def __init__(
        self,
        arch: str | dict = '4b',
        experts: Sequence[str] = ('image', 'text', 'audio'),
        layer_scale: float | None = 1e-6,
        drop_path: float = 0.4,
        final_norm: bool = True,
        learns: str | None = None,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        arch = checked_arch(arch)
        strange = sorted({*experts, *([learns] if learns else [])} - set(ORDER))
        if strange:
            raise ValueError(f'experts={tuple(experts)}, learns={learns!r}: {strange[0]!r} is none of {ORDER}')
        dims = self.embed_dims = self.pooled_dims = arch['embed_dims']
        self.experts, self.learns = tuple(experts), learns
        self.blocks = shared_blocks(arch, self.experts, layer_scale, drop_path, with_cp)
        self.norm = Multiway(lambda: nn.LayerNorm(dims), self.experts) if final_norm else None

    def bind(self, model):
        if self.learns is None:
            return
        for name, parameter in self.named_parameters():
            parameter.requires_grad_(f'.{self.learns}.' in name)
        for part in (model.towers, model.projections):
            for name, module in part.items():
                if name != self.learns:
                    module.requires_grad_(False)

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies: a block its number from 1, the last norms behind them."""
        first, _, rest = name.partition('.')
        return int(rest.split('.')[0]) + 1 if first == 'blocks' else len(self.blocks) + 1

    def forward(self, states: States, names: Sequence[str]) -> State:
        order = [name for name in ORDER if name in names]
        parts = [states.tower(name) for name in order]
        if len(order) > 1 and 'text' in order:
            parts = of_owners(order, parts, states.inputs['text'].owner)
        return self.run(dict(zip(order, parts)))

    def run(self, parts: Mapping[str, State]) -> State:
        """Placed tokens by modality through all blocks."""
        x = torch.cat([part.tokens for part in parts.values()], 1)
        keep, bias = kept(parts), joint_bias(parts)
        x = through(self.blocks, self.norm, x, parts, keep, bias)
        ends, start = {}, 0
        for name, part in parts.items():
            ends[name], start = slice(start, start + part.tokens.shape[1]), start + part.tokens.shape[1]
        return State(x, keep, x[:, 0], ends)


def through(blocks: TokenBlocks, norm: Multiway | None, x: Tensor, parts: Mapping[str, State], keep, bias) -> Tensor:
    """Tokens of modalities, one behind the other, through blocks and the last norms; padding is looked at by nobody."""
    spans = [(name, part.tokens.shape[1]) for name, part in parts.items()]
    own = isinstance(bias, tuple)  # of each layer
    if own and len(bias) != len(blocks):
        raise ValueError(f'{len(bias)} tables of distances for {len(blocks)} layers; each layer needs one')
    hidden = None
    if keep is not None:
        hidden = torch.zeros(keep.shape, dtype=x.dtype, device=x.device).masked_fill(~keep, -torch.inf)[:, None, None]
    bias = bias if own else summed(bias, hidden)
    for index, block in enumerate(blocks):
        x = blocks.run(block, x, spans, bias=summed(bias[index], hidden) if own else bias)
    return x if norm is None else norm(x, spans)


def summed(first: Tensor | None, second: Tensor | None) -> Tensor | None:
    """Of two biases, of which either may be none."""
    if first is None or second is None:
        return second if first is None else first
    return first + second


def joint_bias(parts: Mapping[str, State]) -> Tensor | tuple[Tensor, ...] | None:
    """(B) heads N N: the bias of each modality in its own block, 0 between them; None where none has one. A tuple of
    them where each layer has its own."""
    biases = [part.bias for part in parts.values()]
    if all(isinstance(bias, tuple) for bias in biases):
        return tuple(in_blocks(layer) for layer in zip(*biases, strict=True))
    return in_blocks(biases)


def in_blocks(biases: Sequence[Tensor | None]) -> Tensor | None:
    """Of one layer."""
    if all(bias is None for bias in biases):
        return None
    if len(biases) == 1:
        return biases[0]
    front = torch.broadcast_shapes(*(bias.shape[:-2] for bias in biases))
    count = sum(bias.shape[-1] for bias in biases)
    rows, start = [], 0
    for bias in biases:
        side = bias.shape[-1]
        around = (start, count - start - side)
        rows.append(nn.functional.pad(bias.expand(*front, side, side), around))
        start += side
    return torch.cat(rows, -2)


def seen(state: State, hidden: Tensor) -> tuple[State, Tensor]:
    """A state without some of its tokens, and which those are that are left.

    Args:
        hidden: B N, bool, True of tokens to leave out.

    Returns:
        The state of K tokens, the most of a sample, with `keep` and its rows and columns of the bias; and B K, their
        numbers, in their order.
    """
    left = ~hidden if state.keep is None else state.keep & ~hidden
    count = int(left.sum(1).max())
    index = (~left).to(torch.uint8).argsort(dim=1, stable=True)[:, :count]
    tokens = state.tokens.gather(1, index[..., None].expand(-1, -1, state.tokens.shape[-1]))
    bias = state.bias
    if isinstance(bias, tuple):
        bias = tuple(rows_and_columns(layer, index) for layer in bias)
    elif bias is not None:
        bias = rows_and_columns(bias, index)
    return State(tokens, left.gather(1, index), bias=bias), index


def rows_and_columns(bias: Tensor, index: Tensor) -> Tensor:
    """(B) heads N N at the numbers B K -> B heads K K."""
    bias = bias.expand(len(index), *bias.shape[-3:])
    rows = index[:, None, :, None].expand(-1, bias.shape[1], -1, bias.shape[-1])
    columns = index[:, None, None].expand(-1, bias.shape[1], index.shape[1], -1)
    return bias.gather(2, rows).gather(3, columns)
