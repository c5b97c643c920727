"""Tokenizers, built from TASK_UTILS: `dict(type='mmparts.ClipTokenizer', vocab='...')`."""

from .base import Pieces, Tokenizer
from .bert import BertTokenizer
from .bytes import ByteTokenizer
from .clip import ClipTokenizer
from .gpt2 import Gpt2Tokenizer, RobertaTokenizer
from .sentence_piece import SentencePieceTokenizer
from .words import WordTokenizer

__all__ = [
    'BertTokenizer',
    'ByteTokenizer',
    'ClipTokenizer',
    'Gpt2Tokenizer',
    'Pieces',
    'RobertaTokenizer',
    'SentencePieceTokenizer',
    'Tokenizer',
    'WordTokenizer',
]
