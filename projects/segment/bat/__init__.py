"""BAT: a transformer whose layers are gated by where the outline turns."""

from . import aspp, bottleneck, key_points, weights  # noqa: F401  importing registers the parts
