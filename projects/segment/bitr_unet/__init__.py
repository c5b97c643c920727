"""BiTr-Unet: a CNN with attention gates, and transformers over its two coarsest maps."""

from . import bottleneck, decoder, gates, weights  # noqa: F401  importing registers the parts
