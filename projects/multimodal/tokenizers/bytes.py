"""Bytes: no vocabulary and no file (Perceiver IO, https://arxiv.org/abs/2107.14795)."""

from collections.abc import Sequence

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer


@TASK_UTILS.register_module()
class ByteTokenizer(Tokenizer):
    """Each byte of UTF-8 plus 6; before them stand PAD 0, BOS 1, EOS 2, MASK 3, CLS 4, SEP 5.

    Args:
        frame: CLS before and SEP after a text, as transformers' PerceiverTokenizer does.

    >>> ByteTokenizer(context_length=8).framed('Hi').ids
    [4, 78, 111, 5]
    """

    in_file = 262
    offset = 6
    mask_id = 3

    def __init__(
        self, context_length: int = 2048, too_long: str = 'cut', extra: Sequence[str] = (), frame: bool = True
    ):
        super().__init__(None, context_length, too_long, extra)
        self.bos_id, self.eos_id = (4, 5) if frame else (None, None)

    def pieces(self, text: str) -> Pieces:
        ids, words = [], []
        for number, word in enumerate(text.split(' ')):
            raw = word.encode() if not number else b' ' + word.encode()
            ids += [byte + self.offset for byte in raw]
            words += [number] * len(raw)
        return Pieces(ids, words)

    def decode(self, ids: Sequence[int]) -> str:
        return bytes(each - self.offset for each in map(int, ids) if self.offset <= each < self.in_file).decode(
            errors='replace'
        )
