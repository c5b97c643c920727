"""BERT's WordPiece (https://arxiv.org/abs/1810.04805), run by the library `tokenizers`."""

from collections.abc import Sequence
from functools import cached_property

from ...registry import TASK_UTILS
from .base import Pieces, Tokenizer


@TASK_UTILS.register_module()
class BertTokenizer(Tokenizer):
    """30,522 tokens of `bert-base-uncased`.

    Args:
        vocab: path of `vocab.txt`.
        lowercase: small letters without accents, as the uncased vocabularies want it.
        vocab_size: tokens in the file.
    """

    bos_id, eos_id, pad_id, mask_id, unk_id = 101, 102, 0, 103, 100
    source = 'from https://huggingface.co/google-bert/bert-base-uncased, file vocab.txt'

    def __init__(
        self,
        vocab: str = 'bert-base-uncased-vocab.txt',
        context_length: int = 512,
        too_long: str = 'cut',
        extra: Sequence[str] = (),
        lowercase: bool = True,
        vocab_size: int = 30522,
    ):
        super().__init__(vocab, context_length, too_long, extra)
        self.lowercase, self.in_file = lowercase, vocab_size

    @cached_property
    def engine(self):
        """The tokenizer of the library `tokenizers`."""
        from tokenizers import Tokenizer as Engine
        from tokenizers import decoders, models, normalizers, pre_tokenizers

        tokens = self.path.read_text(encoding='utf-8').splitlines()
        self.check_size(len(tokens))
        special = {'[PAD]': self.pad_id, '[UNK]': self.unk_id, '[CLS]': self.bos_id, '[SEP]': self.eos_id}
        for token, number in (special | {'[MASK]': self.mask_id}).items():
            if tokens[number] != token:
                raise ValueError(f'{self.path}:{number + 1} is {tokens[number]!r}, BERT has {token!r} there')
        numbers = {token: number for number, token in enumerate((*tokens, *self.extra))}
        engine = Engine(models.WordPiece(numbers, unk_token='[UNK]', max_input_chars_per_word=100))
        engine.normalizer = normalizers.BertNormalizer(lowercase=self.lowercase)
        engine.pre_tokenizer = pre_tokenizers.BertPreTokenizer()
        engine.decoder = decoders.WordPiece()
        engine.add_special_tokens([*special, '[MASK]', *self.extra])
        return engine

    def pieces(self, text: str) -> Pieces:
        found = self.engine.encode(text, add_special_tokens=False)
        return Pieces(found.ids, found.word_ids)

    def decode(self, ids: Sequence[int]) -> str:
        return self.engine.decode([int(each) for each in ids], skip_special_tokens=True)
