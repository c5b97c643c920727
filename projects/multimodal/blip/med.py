"""MED, the mixture of encoder and decoder: one BERT in three modes.

Paper: https://arxiv.org/abs/2201.12086, section 3.1. Code: salesforce/BLIP. The text tower reads a text alone ([CLS]
first); the fusion runs the very same layers with cross-attention to the image ([ENC] first); the decoder writes ([DEC]
first) and shares all of them but self-attention.
"""

from collections.abc import Mapping, Sequence
from dataclasses import replace

import torch
from torch import Tensor

from ...registry import MODELS
from ..bert import TINY, Bert, BertWriter, WordHead
from ..roles import Decoder, Fusion, Tower
from ..states import State, States, Texts


@MODELS.register_module()
class MedTower(Tower):
    """Texts through BERT, without the image.

    Args:
        arch: of the text model, see :data:`..bert.ARCHS`.
        memory_dims: channels of the image's tokens, for the cross-attention that :class:`MedFusion` uses; None: none.
        twins: 'merge' for the two images of NLVR2, see :class:`Bert`.
        max_length: places of the position table.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """Two layers."""
        return dict(arch=dict(TINY))

    def __init__(
        self,
        vocab_size: int = 30524,
        arch: str | dict = 'base',
        memory_dims: int | None = None,
        twins: str | None = None,
        max_length: int = 512,
        dropout: float = 0.1,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.bert = Bert(
            arch, vocab_size, max_length, 0, memory_dims=memory_dims, twins=twins, dropout=dropout, with_cp=with_cp
        )
        self.embed_dims = self.pooled_dims = self.bert.embed_dims

    def forward(self, batch: Texts) -> State:
        tokens = self.bert(batch.ids, batch.keep)
        return State(tokens, batch.keep, tokens[:, 0])


class FirstToken:
    """What replaces the first token of a text: a name among the tokenizer's, a number, or None: nothing does."""

    first: str | int | None = None

    def bind_first(self, model) -> None:
        """Look the name up."""
        if isinstance(self.first, str):
            if model.tokenizer is None:
                raise ValueError(f'{type(self).__name__}: first={self.first!r} needs a tokenizer that knows it')
            self.first = model.tokenizer.id_of(self.first)

    def framed(self, ids: Tensor) -> Tensor:
        """Ids T S with the first one replaced."""
        if self.first is None:
            return ids
        return torch.cat([torch.full_like(ids[:, :1], self.first), ids[:, 1:]], 1)


@MODELS.register_module()
class MedFusion(Fusion, FirstToken):
    """The text tower once more, grounded in the image.

    Args:
        first: token that replaces the first.
        memory, text: names of the two modalities; the tower of ``text`` is a :class:`MedTower` with `memory_dims`.
    """

    def __init__(
        self,
        widths: Mapping[str, int],
        first: str | int | None = '[ENC]',
        memory: str = 'image',
        text: str = 'text',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.first, self.memory, self.text = first, memory, text
        self.needs = (memory, text)
        self.embed_dims = self.pooled_dims = widths.get(text, 0)
        self.memory_dims = widths.get(memory)

    def bind(self, model):
        self.bind_first(model)
        if not model.towers[self.memory].has_tokens:
            raise ValueError(f"fusion ({type(self).__name__}) looks at tokens of {self.memory!r}: write out='tokens'")
        bert = getattr(model.towers[self.text], 'bert', None)
        if bert is None or bert.layers[0].cross_attn is None:
            raise ValueError(
                f'fusion ({type(self).__name__}) runs the tower of {self.text!r} over {self.memory!r}: make it a '
                "MedTower with memory_dims, the width of that modality's tokens"
            )
        if bert.memory_dims != self.memory_dims:
            raise ValueError(
                f'the tower of {self.text!r} has memory_dims={bert.memory_dims}, tokens of {self.memory!r} have '
                f'{self.memory_dims} channels; write memory_dims={self.memory_dims}'
            )

    def forward(self, states: States, names: Sequence[str]) -> State:
        texts, memory = states.inputs[self.text], states.tower(self.memory)
        if set(names) != {self.memory, self.text}:
            raise ValueError(f'{type(self).__name__} joins {self.memory} and {self.text}, asked for {names}')
        tokens = self.run(states.encoder.towers[self.text].bert, texts, memory)
        return State(tokens, texts.keep, tokens[:, 0])

    def run(self, bert: Bert, texts: Texts, memory: State) -> Tensor:
        return bert(self.framed(texts.ids), texts.keep, memory_of(memory, texts.owner), memory.keep)


@MODELS.register_module()
class TwinFusion(MedFusion):
    """The same over two images, whose states come as all first ones, then all second ones (NLVR2)."""

    def run(self, bert: Bert, texts: Texts, memory: State) -> Tensor:
        return bert(self.framed(texts.ids), texts.keep, memory_of(memory).chunk(2))


def memory_of(state: State, owner: Tensor | None = None) -> Tensor:
    """The tokens of a state, for each text those of its item.

    Raises:
        ValueError: the tower gives one vector and no tokens.
    """
    if state.tokens is None:
        raise ValueError(
            "cross-attention looks at tokens, and the image tower gives one vector; write out='tokens' for a ViT, or "
            'take a backbone that gives maps'
        )
    return state.tokens if owner is None else state.tokens[owner]


@MODELS.register_module()
class MedDecoder(Decoder, FirstToken):
    """Writes a text word by word: BERT with a causal mask and cross-attention, and a head over the vocabulary.

    The last matrix of the head is the table of words.

    Args:
        first: token that replaces the first.
        reads: modalities whose state it looks at; several: their joint state (VQA: image and question).
        tie: name of the text tower whose weights it shares, all but self-attention; None: it has its own.
        memory_dims: channels of what it looks at; default: those of the tower or of the fusion.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """Two layers."""
        return dict(arch=dict(TINY))

    def __init__(
        self,
        vocab_size: int = 30524,
        arch: str | dict = 'base',
        first: str | int | None = '[DEC]',
        reads: Sequence[str] = ('image',),
        tie: str | None = None,
        memory_dims: int | None = None,
        max_length: int = 512,
        dropout: float = 0.1,
        with_cp: bool = False,
        widths: Mapping[str, int] | None = None,
        joint_dims: int | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.first, self.reads, self.tie = first, tuple(reads), tie
        self.needs = self.reads
        self.uses = ('joint',) if len(self.reads) > 1 else ()
        known = joint_dims if len(self.reads) > 1 else (widths or {}).get(self.reads[0])
        memory_dims = memory_dims or known or 768
        self.bert = Bert(arch, vocab_size, max_length, 0, memory_dims, dropout=dropout, with_cp=with_cp)
        self.head = WordHead(self.bert.embed_dims, vocab_size, self.bert.embeddings.words, arch=arch)

    def bind(self, model):
        self.bind_first(model)
        if self.tie is not None:
            tower = dict(model.towers.items()).get(self.tie)
            self.share(getattr(tower, 'bert', None))

    def share(self, bert: Bert | None):
        """Take the modules of a text tower, but keep self-attention."""
        mine = [tuple(p.shape) for p in self.bert.parameters()]
        if bert is None or [tuple(p.shape) for p in bert.parameters()] != mine:
            raise ValueError(
                f'MedDecoder: tie={self.tie!r} needs a MedTower of the same arch, vocabulary and memory_dims there'
            )
        self.bert.embeddings = bert.embeddings
        self.head.decoder.weight = bert.embeddings.words.weight
        for own, other in zip(self.bert.layers, bert.layers):
            own.cross_attn, own.mlp = other.cross_attn, other.mlp

    def forward(self, texts: Texts, memory: State) -> Tensor:
        tokens, keep = memory_of(memory, texts.owner), memory.keep
        keep = keep if keep is None or texts.owner is None else keep[texts.owner]
        return self.head(self.bert(self.framed(texts.ids), texts.keep, tokens, keep, causal=True))

    def writer(self, memory: State) -> BertWriter:
        return BertWriter(self.bert, self.head, memory_of(memory), memory.keep)

    def prompt(self, ids: Tensor) -> Tensor:
        return self.framed(ids)


def joined(texts: Sequence[Texts]) -> Texts:
    """Several batches of texts of one length as one."""
    first = texts[0]
    return replace(
        first,
        ids=torch.cat([one.ids for one in texts]),
        keep=torch.cat([one.keep for one in texts]),
        words=None,
        strings=(),
    )
