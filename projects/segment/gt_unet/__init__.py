"""GT U-Net: a U-Net of transformers within groups of pixels, and a loss that looks at the shape of the outline."""

from . import block, fourier, weights  # noqa: F401  importing registers the parts
