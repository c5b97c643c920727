"""What an input adapter hands to a Perceiver: an array, and what else is known of it."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor


@dataclass
class InputArray:
    """
    Args:
        tokens: B M C, positions included.
        mask: B M bool, True where there is something; None: everywhere.
        size: places along the axes of the map that the tokens lie on (H W; T H W; the length); () of a set.
        parts: name -> array of each modality, before it was padded to the common width; empty of a single one.
    """

    tokens: Tensor
    mask: Tensor | None = None
    size: tuple[int, ...] = ()
    parts: Mapping[str, 'InputArray'] = field(default_factory=dict)
