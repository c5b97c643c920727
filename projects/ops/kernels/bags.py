"""The transpose of an embedding bag, faster than torch's own backward on the CPU (2 to 40 times where we use it)."""

import torch
import torch.nn.functional as F
from torch import Tensor


def spread_bags(rows: Tensor, bags: Tensor, weights: list[Tensor], grad: Tensor, length: int) -> list[Tensor]:
    """Add ``weights[i] * grad[bags]`` into ``rows`` of a table of zeros, for each of several weightings.

    Sorted by row, the entries of one row follow each other, and summing them is an embedding bag over ``grad``.

    Args:
        rows: M, int32: the table row of each entry.
        bags: M, int32: the row of ``grad`` that each entry takes.
        weights: of M each.
        grad: N D.
        length: T, rows of the table.

    Returns:
        T D for each of ``weights``.
    """
    rows, order = rows.sort()
    starts = torch.searchsorted(rows, torch.arange(length, dtype=rows.dtype, device=rows.device), out_int32=True)
    bags = bags.take(order)
    return [
        F.embedding_bag(bags, grad, starts, mode='sum', per_sample_weights=weight.take(order)) for weight in weights
    ]
