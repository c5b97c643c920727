"""IBIMHAV-Net: windows over single voxels for thin vessels; an interpretation, for no code is public."""

from . import attention, decoder, encoder  # noqa: F401  importing registers the parts
