"""Objectives: parts with a name, a weight and losses of their own."""

from .contrastive import BatchKeys, Contrastive, OwnPair

__all__ = ['BatchKeys', 'Contrastive', 'OwnPair']
