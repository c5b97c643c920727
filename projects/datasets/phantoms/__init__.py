"""Generated volumes and cubes, for tests and trials without data: nested ellipsoids, vessel trees, spectral scenes."""

from .write import KINDS, make_phantoms

__all__ = ['KINDS', 'make_phantoms']
