"""BERT, and MED: BERT whose layers may also look at an image, in three modes with the same weights.

Papers: https://arxiv.org/abs/1810.04805 (BERT), https://arxiv.org/abs/2201.12086 (BLIP, section 3.1: MED). The mode is
a choice at the call, not a second model:

* text alone, both ways: no memory;
* text grounded in an image, both ways: ``memory``;
* writing a text: ``causal=True``, with or without memory.

What differs from the official codes: masks are bool, True where attention is allowed; projections of queries, keys and
values are one matrix where they read the same tokens; beams of one image share its keys and values.
"""

from collections.abc import Sequence
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..layers.attention import KeyValues, MultiheadAttention
from ..layers.mlp import Mlp
from ..layers.token_block import TokenBlock, TokenBlocks

ARCHS = {
    'tiny': dict(embed_dims=128, num_layers=2, num_heads=2),
    'small': dict(embed_dims=512, num_layers=4, num_heads=8),
    'base': dict(embed_dims=768, num_layers=12, num_heads=12),
    'large': dict(embed_dims=1024, num_layers=24, num_heads=16),
}
TINY = dict(embed_dims=32, num_layers=2, num_heads=2)
TWINS = (None, 'mean', 'merge')
INIT_STD = 0.02  # BERT's; at small widths attention stays blind for long with it, 1 / sqrt(embed_dims) learns sooner


def bert_arch(arch: str | dict) -> dict:
    """The entry of :data:`ARCHS`, or a checked dict; ``init_std`` is that of all matrices, see :data:`INIT_STD`."""
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch={arch!r} is unknown; choose from {list(ARCHS)} or give a dict like {ARCHS["base"]}')
        return dict(ARCHS[arch])
    if set(arch) - {'mlp_dims', 'init_std'} != set(ARCHS['base']):
        raise ValueError(f'arch={dict(arch)} must hold {", ".join(ARCHS["base"])}, and may hold mlp_dims, init_std')
    return dict(arch)


class BertEmbeddings(nn.Module):
    """Words, their places and, where there are several, the types of segments; norm and dropout of the sum.

    Args:
        num_types: of segments (BERT 2); 0: none (BLIP).
        max_length: places.
        pad: id whose word gets no gradient; None: every word does.
    """

    def __init__(
        self,
        vocab_size: int,
        embed_dims: int,
        max_length: int = 512,
        num_types: int = 2,
        dropout: float = 0.1,
        norm_eps: float = 1e-12,
        pad: int | None = 0,
    ):
        super().__init__()
        self.words = nn.Embedding(vocab_size, embed_dims, padding_idx=pad)
        self.positions = nn.Embedding(max_length, embed_dims)
        self.types = nn.Embedding(num_types, embed_dims) if num_types else None
        self.norm, self.dropout = nn.LayerNorm(embed_dims, eps=norm_eps), nn.Dropout(dropout)

    def forward(self, ids: Tensor, types: Tensor | None = None, start: int = 0) -> Tensor:
        """ids B T -> B T C; ``start``: place of the first."""
        return self.dropout(self.norm(self.sum(ids, types, start)))

    def sum(self, ids: Tensor, types: Tensor | None = None, start: int = 0) -> Tensor:
        """The same before the norm."""
        stop = start + ids.shape[1]
        if stop > self.positions.num_embeddings:
            raise ValueError(f'a text of {stop} tokens; this model knows {self.positions.num_embeddings} places')
        x = self.words(ids) + self.positions.weight[start:stop]
        if self.types is not None:
            x = x + (self.types.weight[0] if types is None else self.types(types))
        return x


class MemoryAttention(MultiheadAttention):
    """Cross-attention whose memory may have fewer rows than the texts: neighbouring texts, the beams of an image, then
    share a row."""

    def forward(self, query: Tensor, key: Tensor, bias: Tensor | None = None, past: KeyValues | None = None) -> Tensor:
        """query B*k N C, key B S C' -> B*k N C; bias B 1 1 S."""
        rows, length = query.shape[:2]
        if rows % len(key):
            raise ValueError(f'{rows} texts over {len(key)} memories; each memory must serve as many texts')
        joined = query.reshape(len(key), -1, query.shape[-1])
        return super().forward(joined, key, bias=bias, past=past).reshape(rows, length, -1)


class TwinAttention(nn.Module):
    """Cross-attention to two memories with the same queries, for reasoning over two images (BLIP's NLVR2 model).

    Args:
        merge: outputs are joined by a linear map of both; else they are averaged.
    """

    def __init__(self, embed_dims: int, num_heads: int, dropout: float, kv_dims: int, merge: bool):
        super().__init__()
        self.twins = nn.ModuleList(MemoryAttention(embed_dims, num_heads, dropout, kv_dims=kv_dims) for _ in range(2))
        self.merge = nn.Linear(2 * embed_dims, embed_dims) if merge else None

    def forward(self, query: Tensor, memories: Sequence[Tensor], bias=None, past=None) -> Tensor:
        """query B N C, two memories B S C'."""
        first, second = (attention(query, memory, bias=bias) for attention, memory in zip(self.twins, memories))
        return (first + second) / 2 if self.merge is None else self.merge(torch.cat([first, second], -1))


class Bert(nn.Module):
    """Embeddings and post-norm layers.

    Args:
        arch: one of :data:`ARCHS`, or such a dict.
        memory_dims: channels of what cross-attention looks at; None: no cross-attention.
        twins: 'merge' or 'mean' for two memories at once: averaged in the first half of the layers, and then merged by
            a linear map or averaged as well; None: one memory.
        dropout: of the embeddings, of the branches, and of attention weights.

    Raises:
        ValueError: an unknown word; a text longer than ``max_length``; a memory for a model without cross-attention.
    """

    def __init__(
        self,
        arch: str | dict = 'base',
        vocab_size: int = 30522,
        max_length: int = 512,
        num_types: int = 2,
        memory_dims: int | None = None,
        twins: str | None = None,
        dropout: float = 0.1,
        norm_eps: float = 1e-12,
        pad: int | None = 0,
        with_cp: bool = False,
    ):
        super().__init__()
        if twins not in TWINS:
            raise ValueError(f'twins={twins!r} is unknown; choose from {TWINS}')
        arch = bert_arch(arch)
        dims, heads, depth = arch['embed_dims'], arch['num_heads'], arch['num_layers']
        self.embed_dims, self.num_heads, self.vocab_size, self.memory_dims = dims, heads, vocab_size, memory_dims
        self.embeddings = BertEmbeddings(vocab_size, dims, max_length, num_types, dropout, norm_eps, pad)
        numbers = iter(range(depth))

        def cross() -> nn.Module | None:
            index = next(numbers)
            if memory_dims is None:
                return None
            if twins:
                return TwinAttention(dims, heads, dropout, memory_dims, merge=twins == 'merge' and index >= depth // 2)
            return MemoryAttention(dims, heads, dropout, kv_dims=memory_dims)

        def block(drop_path: float) -> TokenBlock:
            return TokenBlock(
                dims,
                heads,
                order='post',
                norm=partial(nn.LayerNorm, eps=norm_eps),
                attn_dropout=dropout,
                branch_dropout=dropout,
                cross_attn=cross(),
                mlp=Mlp(dims, arch.get('mlp_dims', 4 * dims)),
            )

        self.layers = TokenBlocks(depth, make=block, with_cp=with_cp)
        init_bert(self, arch)

    def forward(
        self,
        ids: Tensor,
        valid: Tensor | None = None,
        memory: Tensor | Sequence[Tensor] | None = None,
        memory_valid: Tensor | None = None,
        causal: bool = False,
        types: Tensor | None = None,
        past: 'BertPast | None' = None,
    ) -> Tensor:
        """ids B T -> B T C.

        Args:
            valid: B T bool, False at padding; None: all is text. With ``past``, over all tokens so far.
            memory: B S C', or as many for a group of neighbouring texts; two of them for ``twins``.
            memory_valid: B S bool.
            causal: tokens see those before them and themselves alone.
            types: B T, of segments.
            past: what earlier calls left; the ids are those that follow.
        """
        start = 0 if past is None else past.length
        x = self.embeddings(ids, types, start)
        return self.encode(x, valid, memory, memory_valid, causal, past)

    def encode(self, x: Tensor, valid=None, memory=None, memory_valid=None, causal=False, past=None) -> Tensor:
        """The same of embedded tokens, B T C."""
        if memory is not None and self.layers[0].cross_attn is None:
            raise ValueError('a memory for a text model without cross-attention; give it memory_dims')
        start = 0 if past is None else past.length
        bias = attention_mask(x.shape[1], start, valid, causal, x.device)
        memory_bias = None if memory_valid is None else memory_valid.bool()[:, None, None]
        for index, layer in enumerate(self.layers):
            kept = {} if past is None else past.of_layer(index)
            x = self.layers.run(layer, x, bias=bias, memory=memory, memory_bias=memory_bias, **kept)
        return x


class BertPast:
    """Keys and values of all layers of a :class:`Bert` while it writes.

    Args:
        num_layers: of the model.
    """

    def __init__(self, num_layers: int):
        self.own = [KeyValues() for _ in range(num_layers)]
        self.memory = [KeyValues(grows=False) for _ in range(num_layers)]

    @property
    def length(self) -> int:
        return self.own[0].length

    def of_layer(self, index: int) -> dict:
        return dict(past=self.own[index], memory_past=self.memory[index])

    def select(self, rows: Tensor):
        """Go on with these rows."""
        for each in self.own:
            each.select(rows)


def attention_mask(length: int, start: int, valid: Tensor | None, causal: bool, device) -> Tensor | None:
    """Who sees whom, True where it is allowed: broadcast to B heads length start+length; None where all do.

    Args:
        start: tokens of earlier calls.
        valid: B start+length, False at padding.
    """
    mask = None
    if causal and length > 1:
        places = torch.arange(start + length, device=device)
        mask = places <= places[start:, None]
    if valid is not None:
        seen = valid.bool()[:, None, None]
        mask = seen if mask is None else mask & seen
    return mask


class WordHead(nn.Module):
    """States -> scores of words: dense, GELU, norm, and the words' own embeddings as the last matrix.

    Args:
        words: table of the embeddings, which is shared; None: a matrix of its own.
        arch: of its BERT, for ``init_std``.
    """

    def __init__(
        self,
        embed_dims: int,
        vocab_size: int,
        words: nn.Embedding | None = None,
        norm_eps: float = 1e-12,
        arch: str | dict = 'base',
    ):
        super().__init__()
        self.dense, self.norm = nn.Linear(embed_dims, embed_dims), nn.LayerNorm(embed_dims, eps=norm_eps)
        self.decoder = nn.Linear(embed_dims, vocab_size)
        init_bert(self, arch)
        if words is not None:
            self.decoder.weight = words.weight

    def forward(self, states: Tensor) -> Tensor:
        """... C -> ... V."""
        return self.decoder(self.norm(F.gelu(self.dense(states))))


class BertWriter:
    """Writes texts with a :class:`Bert` and its head, see `generation.py`.

    Args:
        memory, memory_valid: see :class:`Bert`; one row an item, whatever the number of beams.
    """

    def __init__(self, bert: Bert, head: WordHead, memory: Tensor | None = None, memory_valid: Tensor | None = None):
        self.bert, self.head, self.memory, self.memory_valid = bert, head, memory, memory_valid

    def start(self, prompt: Tensor) -> Tensor:
        """Prompts B T -> B V, scores of the next word."""
        self.past = BertPast(len(self.bert.layers))
        return self._next(prompt)

    def go_on(self, words: Tensor, rows: Tensor) -> Tensor:
        """R words, each after the text of the row (of the last call) that ``rows`` names -> R V."""
        self.past.select(rows)
        return self._next(words[:, None])

    def _next(self, ids: Tensor) -> Tensor:
        states = self.bert(ids, memory=self.memory, memory_valid=self.memory_valid, causal=True, past=self.past)
        return self.head(states[:, -1])


class Pooler(nn.Module):
    """Dense and tanh of the first token."""

    def __init__(self, embed_dims: int, arch: str | dict = 'base'):
        super().__init__()
        self.dense = nn.Linear(embed_dims, embed_dims)
        init_bert(self, arch)

    def forward(self, states: Tensor) -> Tensor:
        """B T C -> B C."""
        return self.dense(states[:, 0]).tanh()


def init_bert(module: nn.Module, arch: str | dict = 'base'):
    """All below a module as the official code: normal of deviation 0.02, or the arch's ``init_std``, no biases."""
    std = bert_arch(arch).get('init_std', INIT_STD)
    for part in module.modules():
        if isinstance(part, (nn.Linear, nn.Embedding)):
            nn.init.normal_(part.weight, std=std)
            if isinstance(part, nn.Linear) and part.bias is not None:
                nn.init.zeros_(part.bias)
        elif isinstance(part, MultiheadAttention) and part.fused:
            nn.init.normal_(part.in_proj_weight, std=std)
