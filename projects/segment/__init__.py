"""Semantic segmentation of images, volumes and spectral cubes: one `Segmentor`; the map of papers is in README.md."""

from . import fcn, file_grid, heads, inference, preprocessor, restore, segmentor, sliding, supervision, terms  # noqa: F401  importing registers the parts
