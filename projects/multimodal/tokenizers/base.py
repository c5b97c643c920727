"""Texts to numbers and back: what all tokenizers have in common.

A tokenizer knows its size and its special tokens without a file; the file is read when the first text comes, so models
are built, counted and filled with weights where it is not at hand.
"""

import importlib.util
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import torch

from ..states import Texts

FOLDER = 'MMPARTS_VOCABS'  # environment variable: a folder in which vocabularies are looked for
RULES = ('cut', 'refuse')


@dataclass
class Pieces:
    """A text as numbers, without special tokens.

    Args:
        ids: of the pieces.
        words: number of the word that each piece belongs to, from 0.
    """

    ids: list[int] = field(default_factory=list)
    words: list[int] = field(default_factory=list)


class Tokenizer:
    """Base of all tokenizers.

    Args:
        vocab: path of the vocabulary; looked for as it is, then in the folder that the environment variable
            MMPARTS_VOCABS names, in data/vocabs, and in a package that carries it.
        context_length: most tokens of a text, special ones included.
        too_long: 'cut' leaves pieces out at the end and keeps the last special token; 'refuse' raises.
        extra: special tokens that get the numbers after those of the file: BLIP adds ``('[DEC]', '[ENC]')``.

    Attributes:
        in_file: tokens of the vocabulary.
        vocab_size: the same with the extra ones: rows of an embedding.
        bos_id, eos_id, pad_id, mask_id: special tokens; None: it has none such.
        source: where the file is published, for messages.
    """

    in_file: int
    bos_id: int | None = None
    eos_id: int | None = None
    pad_id: int = 0
    mask_id: int | None = None
    source: str = ''
    package: str = ''  # that carries the file, beside its modules

    def __init__(
        self, vocab: str | None = None, context_length: int = 77, too_long: str = 'cut', extra: Sequence[str] = ()
    ):
        if too_long not in RULES:
            raise ValueError(f'too_long={too_long!r} is unknown; choose from {", ".join(map(repr, RULES))}')
        if context_length < 3:
            raise ValueError(f'context_length={context_length} leaves no place between the special tokens; at least 3')
        self.vocab, self.context_length, self.too_long, self.extra = vocab, context_length, too_long, tuple(extra)

    @property
    def vocab_size(self) -> int:
        """Rows of an embedding of its ids."""
        return self.in_file + len(self.extra)

    def id_of(self, token: str) -> int:
        """The number of an extra token; known without the file."""
        if token not in self.extra:
            raise KeyError(f'{token!r} is no extra token; extra={self.extra}')
        return self.in_file + self.extra.index(token)

    def pieces(self, text: str) -> Pieces:
        """A text as numbers, without special tokens."""
        raise NotImplementedError

    def decode(self, ids: Sequence[int]) -> str:
        """Numbers as a text; special tokens are left out."""
        raise NotImplementedError

    @property
    def special_ids(self) -> frozenset[int]:
        """Of all special tokens."""
        named = (self.bos_id, self.eos_id, self.pad_id, self.mask_id)
        return frozenset((*(each for each in named if each is not None), *map(self.id_of, self.extra)))

    def framed(self, text: str) -> Pieces:
        """The pieces between the special tokens, no more than `context_length`; words are -1 of special tokens.

        Raises:
            ValueError: the text is too long, and the rule is to refuse it.
        """
        pieces = self.pieces(text)
        before, after = ([] if each is None else [each] for each in (self.bos_id, self.eos_id))
        room = self.context_length - len(before) - len(after)
        if len(pieces.ids) > room and self.too_long == 'refuse':
            raise ValueError(
                f'{shortened(text)} has {len(pieces.ids)} tokens, at most {room} fit into context_length='
                f"{self.context_length}; shorten it, or write too_long='cut'"
            )
        ids, words = pieces.ids[:room], pieces.words[:room]
        return Pieces([*before, *ids, *after], [-1] * len(before) + words + [-1] * len(after))

    def __call__(self, texts: Sequence[str]) -> Texts:
        """T texts -> ids T S, S the longest of them."""
        return self.padded([self.framed(text) for text in texts], texts)

    def padded(self, framed: Sequence[Pieces], strings: Sequence[str] = ()) -> Texts:
        """Texts of unequal lengths as one batch."""
        length = max([1, *(len(one.ids) for one in framed)])
        ids = torch.full((len(framed), length), self.pad_id)
        words = torch.full((len(framed), length), -1)
        keep = torch.zeros(len(framed), length, dtype=torch.bool)
        for row, one in enumerate(framed):
            count = len(one.ids)
            ids[row, :count], words[row, :count] = torch.tensor(one.ids), torch.tensor(one.words)
            keep[row, :count] = True
        return Texts(ids, keep, words, strings=list(strings))

    @cached_property
    def path(self) -> Path:
        """Where the vocabulary is.

        Raises:
            FileNotFoundError: it is in none of the places.
        """
        name = Path(self.vocab).expanduser()
        package = importlib.util.find_spec(self.package) if self.package else None
        folders = [os.environ.get(FOLDER), 'data/vocabs', *(package and package.submodule_search_locations or ())]
        places = [name, *(Path(folder) / name.name for folder in folders if folder)]
        for place in places:
            if place.is_file():
                return place
        raise FileNotFoundError(
            f'{type(self).__name__} needs the vocabulary {name.name}'
            + (f' ({self.source})' if self.source else '')
            + f'; looked for {", ".join(str(place.absolute()) for place in places)}. Put it there, give its path as '
            f'`vocab`, or its folder in the environment variable {FOLDER}'
        )

    def check_size(self, found: int):
        """Refuse a vocabulary of another size than that of the embeddings."""
        if found != self.in_file:
            raise ValueError(
                f'{self.path} holds {found} tokens, {type(self).__name__} is for {self.in_file}: another vocabulary '
                'than that of the weights'
            )


def shortened(text: str, length: int = 60) -> str:
    """A text in quotes, no longer than a message bears."""
    return repr(text if len(text) <= length else text[: length - 3] + '...')
