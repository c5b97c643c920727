"""Backbones: one file per paper; each publishes the channels and strides of its outputs."""

from .checkpoint import SwinLayout, TimmSwinLayout, TorchvisionResNetLayout
from .swin import Swin

__all__ = ['Swin', 'SwinLayout', 'TimmSwinLayout', 'TorchvisionResNetLayout']
