"""Whole words of a short list: no file, for small worlds that have few of them."""

import re
from collections.abc import Sequence

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer

SPECIAL = ('[PAD]', '[UNK]', '[CLS]', '[SEP]', '[MASK]')


@TASK_UTILS.register_module()
class WordTokenizer(Tokenizer):
    """Words and marks of punctuation, in small letters, after PAD 0, UNK 1, CLS 2, SEP 3 and MASK 4; what is not on the
    list is UNK. ``[MASK]`` and ``[SEP]`` in a text are those tokens.

    Args:
        words: the list.

    Raises:
        ValueError: a word twice, or one that a text is never cut into.

    >>> WordTokenizer(('a', 'red', 'ring', '.')).framed('A red cross.').ids
    [2, 5, 6, 1, 8, 3]
    """

    pad_id, unk_id, bos_id, eos_id, mask_id = range(5)

    def __init__(
        self, words: Sequence[str], context_length: int = 40, too_long: str = 'cut', extra: Sequence[str] = ()
    ):
        super().__init__(None, context_length, too_long, extra)
        self.words = tuple(words)
        wrong = [word for word in self.words if cut(word) != [word]]
        twice = sorted({word for word in self.words if self.words.count(word) > 1})
        if wrong or twice:
            raise ValueError(f'words: {(wrong or twice)[0]!r} ' + ('is no single word' if wrong else 'is there twice'))
        self.in_file = len(SPECIAL) + len(self.words)
        self.numbers = {token: number for number, token in enumerate((*SPECIAL, *self.words))}

    def pieces(self, text: str) -> Pieces:
        ids = [self.numbers.get(word, self.unk_id) for word in cut(text)]
        return Pieces(ids, list(range(len(ids))))

    def decode(self, ids: Sequence[int]) -> str:
        listed = [self.words[each - len(SPECIAL)] for each in map(int, ids) if len(SPECIAL) <= each < self.in_file]
        return re.sub(r' ([.,;:?!])', r'\1', ' '.join(listed))


def cut(text: str) -> list[str]:
    """Words, marks and tokens in brackets; letters are small."""
    return [part if part in SPECIAL else part.lower() for part in re.findall(r"\[MASK\]|\[SEP\]|[\w']+|[^\w\s]", text)]
