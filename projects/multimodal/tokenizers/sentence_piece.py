"""Sentencepiece with fairseq's numbers (XLM-R, https://arxiv.org/abs/1911.02116; BEiT-3): BOS 0, PAD 1, EOS 2, UNK 3,
every other piece one more than in the file; the mask comes last."""

from collections.abc import Sequence
from functools import cached_property

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer

MARK = '\u2581'  # a piece that begins a word begins with it


@TASK_UTILS.register_module()
class SentencePieceTokenizer(Tokenizer):
    """
    Args:
        vocab: path of the model, `beit3.spm` or `sentencepiece.bpe.model`.
        vocab_size: rows of the embedding; BEiT-3 64,010, XLM-R 250,002. A file may have fewer, never more.
    """

    bos_id, pad_id, eos_id, unk_id = 0, 1, 2, 3
    offset = 1
    source = 'beit3.spm from https://github.com/microsoft/unilm/tree/master/beit3'

    def __init__(
        self,
        vocab: str = 'beit3.spm',
        context_length: int = 64,
        too_long: str = 'cut',
        extra: Sequence[str] = (),
        vocab_size: int = 64010,
    ):
        super().__init__(vocab, context_length, too_long, extra)
        self.in_file = vocab_size

    @cached_property
    def engine(self):
        """The processor of the library `sentencepiece`."""
        path = self.path  # a missing file is told before a missing package
        import sentencepiece

        try:
            engine = sentencepiece.SentencePieceProcessor(model_file=str(path))
        except (RuntimeError, OSError) as error:
            raise ValueError(f'{path} is no sentencepiece model: {error}') from error
        if len(engine) + self.offset + 1 > self.in_file:
            self.check_size(len(engine) + self.offset + 1)
        return engine

    @property
    def mask_id(self) -> int:
        """One more than the last piece."""
        return len(self.engine) + self.offset

    @property
    def special_ids(self) -> frozenset[int]:
        return frozenset((self.bos_id, self.pad_id, self.eos_id, self.mask_id, *map(self.id_of, self.extra)))

    def pieces(self, text: str) -> Pieces:
        pieces = self.engine.encode(text, out_type=str)
        numbers = [self.engine.piece_to_id(piece) for piece in pieces]
        words = []
        for piece in pieces:
            words.append((words[-1] if words else -1) + (piece.startswith(MARK) or not words))
        return Pieces([number + self.offset if number else self.unk_id for number in numbers], words)

    def decode(self, ids: Sequence[int]) -> str:
        kept = [int(each) for each in ids if int(each) not in self.special_ids]
        return self.engine.decode([0 if each == self.unk_id else each - self.offset for each in kept])
