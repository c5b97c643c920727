"""Backbones: one file per paper; each publishes the channels and strides of its outputs."""

from .checkpoint import SwinLayout, TimmSwinLayout, TorchvisionResNetLayout
from .hybrid_resnet import HybridResNet
from .simple_pyramid import SimplePyramid
from .swin import Swin
from .vit import ViT
from .vit_flax import FlaxViTLayout
from .vit_layouts import ViTLayout

__all__ = [
    'FlaxViTLayout',
    'HybridResNet',
    'SimplePyramid',
    'Swin',
    'SwinLayout',
    'TimmSwinLayout',
    'TorchvisionResNetLayout',
    'ViT',
    'ViTLayout',
]
