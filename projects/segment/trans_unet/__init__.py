"""TransUNet: a ResNet with standardised weights, a ViT on its coarsest map, and U-Net's way up."""

from . import hybrid, weights  # noqa: F401  importing registers the parts
