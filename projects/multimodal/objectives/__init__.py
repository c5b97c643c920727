"""Objectives: parts with a name, a weight and losses of their own."""

from .captioning import Captioning
from .classes import AnswerClasses, JointClasses, JointHead
from .contrastive import BatchKeys, Contrastive, OwnPair
from .matching import HardNegatives, Matching
from .queue import QueueKeys, SoftTargets, Temperature

__all__ = [
    'AnswerClasses',
    'BatchKeys',
    'Captioning',
    'Contrastive',
    'HardNegatives',
    'JointClasses',
    'JointHead',
    'Matching',
    'OwnPair',
    'QueueKeys',
    'SoftTargets',
    'Temperature',
]
