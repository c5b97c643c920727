"""U-Net: the border weights of its loss. Its encoder and decoder are `conv_encoder.py` and `up_decoder.py`."""

from . import border_weights  # noqa: F401  importing registers the parts
