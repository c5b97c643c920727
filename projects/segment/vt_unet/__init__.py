"""VT-UNet: windows in three dimensions, and a decoder that also looks at the encoder's keys and values."""

from . import decoder, encoder, weights  # noqa: F401  importing registers the parts
