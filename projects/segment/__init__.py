"""Semantic segmentation of images, volumes and spectral cubes: one `Segmentor`; the map of papers is in README.md."""

from . import fcn, heads, inference, preprocessor, restore, segmentor, supervision, terms  # noqa: F401  importing registers the parts
