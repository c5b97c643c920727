"""SpecTr: the spectrum at every pixel as a sequence, with attention that is as sparse as it learns to be."""

from . import encoder, head, pyramid, weights  # noqa: F401  importing registers the parts
