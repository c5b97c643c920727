"""COTR-Net: convolutions with a light transformer after each stage; an interpretation, for no code is public."""

from . import encoder  # noqa: F401  importing registers the parts
