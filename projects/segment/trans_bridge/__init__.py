"""TransBridge: a transformer that bridges the levels of a U-Net; an interpretation, for no code is public."""

from . import bridge  # noqa: F401  importing registers the parts
