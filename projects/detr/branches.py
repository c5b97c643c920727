"""The two small nets that read a class and a box from a query or token."""

import math

from mmdet.models.layers import MLP
from torch import nn

PRIOR = 0.01  # probability of an object that sigmoid class branches start with, as in RetinaNet


def class_branch(embed_dims: int, num_classes: int, no_object: bool = False) -> nn.Linear:
    """C -> logits; with ``no_object`` one more, last row for softmax over "nothing", and no prior."""
    branch = nn.Linear(embed_dims, num_classes + no_object)
    if not no_object:
        nn.init.constant_(branch.bias, -math.log((1 - PRIOR) / PRIOR))
    return branch


def box_branch(embed_dims: int, size_bias: float | None = 0.0) -> MLP:
    """C -> 4 deltas.

    Args:
        size_bias: start of the width and height logits: the last layer starts at zero but for it (0 where references
            are boxes, -2 where they are points). None: torch's own start, for absolute boxes.
    """
    branch = MLP(embed_dims, embed_dims, 4, num_layers=3)
    if size_bias is not None:
        last = branch.layers[-1]
        nn.init.zeros_(last.weight)
        nn.init.zeros_(last.bias)
        nn.init.constant_(last.bias[2:], size_bias)
    return branch
