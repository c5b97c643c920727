"""TransBTS: a three-dimensional CNN with a transformer over its coarsest map."""

from . import encoder, levels, weights  # noqa: F401  importing registers the parts
