"""Backbones: one file per paper; each publishes the channels and strides of its outputs."""

from .checkpoint import SwinLayout, TimmSwinLayout, TorchvisionResNetLayout
from .clip_resnet import ClipResNet
from .hybrid_resnet import HybridResNet
from .intern_image import InternImage
from .intern_image_layout import InternImageLayout
from .last_map_attention import LastMapAttention
from .others import HFBackbone, TimmBackbone
from .remembered import RememberedMaps
from .simple_pyramid import PyramidBackbone, SimplePyramid
from .swin import Swin
from .swin_v2 import SwinV2
from .swin_v2_layouts import SwinV2Layout, TransformersSwinV2Layout
from .vit import ViT
from .vit_adapter import ViTAdapter
from .vit_adapter_layout import ViTAdapterLayout
from .vit_flax import FlaxViTLayout
from .vit_layouts import ViTLayout

__all__ = [
    'HFBackbone',
    'TimmBackbone',
    'ViTAdapter',
    'ViTAdapterLayout',
    'InternImage',
    'InternImageLayout',
    'SwinV2',
    'SwinV2Layout',
    'TransformersSwinV2Layout',
    'FlaxViTLayout',
    'ClipResNet',
    'HybridResNet',
    'PyramidBackbone',
    'RememberedMaps',
    'LastMapAttention',
    'SimplePyramid',
    'Swin',
    'SwinLayout',
    'TimmSwinLayout',
    'TorchvisionResNetLayout',
    'ViT',
    'ViTLayout',
]
