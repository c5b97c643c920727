"""Byte-pair encoding of bytes (GPT-2) and the same with RoBERTa's special tokens (ONE-PEACE), run by the library
`tokenizers`."""

import json
from collections.abc import Sequence
from functools import cached_property
from pathlib import Path

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer


@TASK_UTILS.register_module()
class Gpt2Tokenizer(Tokenizer):
    """50,257 tokens; one of them, `<|endoftext|>`, both ends a text and fills up.

    Args:
        vocab: path of `vocab.json`.
        merges: path of `merges.txt`; default: beside `vocab`.
        add_prefix_space: a space before the text, so that its first word is as the others.
        vocab_size: tokens in the file.
    """

    bos_id: int | None = None
    eos_id, pad_id = 50256, 50256
    source = 'vocab.json and merges.txt from https://huggingface.co/openai-community/gpt2'

    def __init__(
        self,
        vocab: str = 'gpt2/vocab.json',
        merges: str | None = None,
        context_length: int = 1024,
        too_long: str = 'cut',
        extra: Sequence[str] = (),
        add_prefix_space: bool = False,
        vocab_size: int = 50257,
    ):
        super().__init__(vocab, context_length, too_long, extra)
        self.merges, self.add_prefix_space, self.in_file = merges, add_prefix_space, vocab_size

    @cached_property
    def engine(self):
        """The tokenizer of the library `tokenizers`."""
        from tokenizers import Tokenizer as Engine
        from tokenizers import decoders, models, pre_tokenizers

        merges = Path(self.merges) if self.merges else self.path.with_name('merges.txt')
        if not merges.is_file():
            raise FileNotFoundError(f'{type(self).__name__} needs {merges} beside {self.path} ({self.source})')
        numbers = json.loads(self.path.read_text(encoding='utf-8'))
        self.check_size(len(numbers))
        engine = Engine(models.BPE.from_file(str(self.path), str(merges)))
        engine.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=self.add_prefix_space)
        engine.decoder = decoders.ByteLevel()
        return engine

    def pieces(self, text: str) -> Pieces:
        found = self.engine.encode(text, add_special_tokens=False)
        return Pieces(found.ids, found.word_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return self.engine.decode([int(each) for each in ids if int(each) not in self.special_ids])


@TASK_UTILS.register_module()
class RobertaTokenizer(Gpt2Tokenizer):
    """GPT-2's encoding with RoBERTa's numbers: BOS 0, PAD 1, EOS 2, UNK 3; the mask is the last of 50,265.

    Args:
        frame: BOS before a text; ONE-PEACE has none.
    """

    pad_id, eos_id = 1, 2
    source = 'vocab.json and merges.txt from https://huggingface.co/FacebookAI/roberta-base'

    def __init__(
        self,
        vocab: str = 'roberta-base/vocab.json',
        merges: str | None = None,
        context_length: int = 512,
        too_long: str = 'cut',
        extra: Sequence[str] = (),
        add_prefix_space: bool = False,
        frame: bool = True,
        vocab_size: int = 50265,
    ):
        super().__init__(vocab, merges, context_length, too_long, extra, add_prefix_space, vocab_size)
        self.bos_id, self.mask_id = 0 if frame else None, vocab_size - 1
