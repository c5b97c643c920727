"""CLIP's byte-pair encoding (https://arxiv.org/abs/2103.00020; code openai/CLIP), run by the library `tokenizers`.

A text is mended (ftfy), its HTML entities resolved twice, its spaces made one, and put in small letters. What differs:
`<|endoftext|>` inside a text is a word like any other; the official code makes the special token of it.
"""

import gzip
import html
import re
from collections.abc import Sequence
from functools import cached_property

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer

PATTERN = r"""'s|'t|'re|'ve|'m|'ll|'d|[\p{L}]+|[\p{N}]|[^\s\p{L}\p{N}]+"""
SPECIAL = ('<|startoftext|>', '<|endoftext|>')


@TASK_UTILS.register_module()
class ClipTokenizer(Tokenizer):
    """49,408 tokens. Padded with 0, as the official code.

    Args:
        vocab: path of `bpe_simple_vocab_16e6.txt.gz`.
    """

    in_file = 49408
    bos_id, eos_id, pad_id = 49406, 49407, 0
    source = 'from https://github.com/openai/CLIP, folder clip; also in the package open_clip_torch'
    package = 'open_clip'

    def __init__(
        self,
        vocab: str = 'bpe_simple_vocab_16e6.txt.gz',
        context_length: int = 77,
        too_long: str = 'cut',
        extra: Sequence[str] = (),
    ):
        super().__init__(vocab, context_length, too_long, extra)

    @cached_property
    def engine(self):
        """The tokenizer of the library `tokenizers`."""
        from tokenizers import Regex, decoders, models, pre_tokenizers
        from tokenizers import Tokenizer as Engine

        merges = self.merges()
        letters = byte_letters()
        tokens = [*letters, *(letter + '</w>' for letter in letters), *(''.join(pair) for pair in merges), *SPECIAL]
        self.check_size(len(tokens))
        numbers = {token: number for number, token in enumerate(tokens)}
        engine = Engine(models.BPE(vocab=numbers, merges=merges, end_of_word_suffix='</w>', fuse_unk=False))
        engine.pre_tokenizer = pre_tokenizers.Sequence(
            [
                pre_tokenizers.Split(Regex(PATTERN), behavior='removed', invert=True),
                pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=False),
            ]
        )
        engine.decoder = decoders.ByteLevel()
        return engine

    def merges(self) -> list[tuple[str, str]]:
        """Of the file, those that the official code uses."""
        try:
            with gzip.open(self.path) as file:
                lines = file.read().decode().split('\n')
        except (OSError, EOFError, UnicodeDecodeError) as error:
            raise ValueError(f'{self.path} is no gzipped list of merges: {error}; {self.source}') from error
        pairs = [tuple(line.split()) for line in lines[1 : self.in_file - 512 - 2 + 1]]
        wrong = next((number for number, pair in enumerate(pairs) if len(pair) != 2), None)
        if wrong is not None:
            raise ValueError(f'{self.path}:{wrong + 2} is {lines[wrong + 1]!r}, not two tokens that are merged')
        return pairs

    def pieces(self, text: str) -> Pieces:
        found = self.engine.encode(clean(text), add_special_tokens=False)
        return Pieces(found.ids, found.word_ids)

    def decode(self, ids: Sequence[int]) -> str:
        texts = [self.engine.id_to_token(int(each)) for each in ids if int(each) not in self.special_ids]
        return self.engine.decoder.decode(''.join(texts).replace('</w>', '\u0120').split('\n')).strip()


def clean(text: str) -> str:
    """As the official code: mended, without entities, single spaces, small letters."""
    import ftfy

    text = html.unescape(html.unescape(ftfy.fix_text(text))).strip()
    return re.sub(r'\s+', ' ', text).strip().lower()


def byte_letters() -> list[str]:
    """A printable character for each of 256 bytes, in the order of GPT-2: the printable bytes first."""
    printable = [*range(ord('!'), ord('~') + 1), *range(ord('¡'), ord('¬') + 1), *range(ord('®'), ord('ÿ') + 1)]
    others = [byte for byte in range(256) if byte not in printable]
    return [chr(byte) for byte in printable] + [chr(256 + number) for number in range(len(others))]
