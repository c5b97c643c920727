"""Tokenizers, built from TASK_UTILS: `dict(type='mmparts.ByteTokenizer')`."""

from .base import Pieces, Tokenizer
from .bytes import ByteTokenizer

__all__ = ['ByteTokenizer', 'Pieces', 'Tokenizer']
