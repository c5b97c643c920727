"""Objectives: parts with a name, a weight and losses of their own."""

from .boxes import PhraseBox
from .captioning import Captioning
from .classes import AnswerClasses, JointClasses, JointHead, PairReasoning
from .contrastive import BatchKeys, Contrastive, EqualTextKeys, OwnPair
from .masked import ColourCodes, MaskedData, MaskedWords
from .masking import BlockMasking, WordMasking
from .matching import HardNegatives, Matching
from .queue import QueueKeys, SoftTargets, Temperature

__all__ = [
    'AnswerClasses',
    'BatchKeys',
    'BlockMasking',
    'Captioning',
    'ColourCodes',
    'Contrastive',
    'EqualTextKeys',
    'HardNegatives',
    'JointClasses',
    'JointHead',
    'MaskedData',
    'MaskedWords',
    'Matching',
    'OwnPair',
    'PairReasoning',
    'PhraseBox',
    'QueueKeys',
    'SoftTargets',
    'Temperature',
    'WordMasking',
]
