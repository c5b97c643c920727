"""Query groups that train beside the matching queries, and who may see whom.

A group part is called as ``group(match, memory, targets)`` and returns one group or several, in training only: at
inference the matching queries run alone, which is all the difference there is between the two.
"""

import torch
from torch import Tensor

from .structures import QueryGroup, Run


def isolated(groups: list[QueryGroup]) -> list[Run]:
    """Split the groups into runs of neighbours; no query looks into another run.

    Runs attend on their own, most of them without a mask; and the matching queries compute the very same numbers
    whether there are others or not.
    """
    _check_names(groups)
    runs = [[groups[0]]]
    for index, group in enumerate(groups[1:], start=1):
        if any(_acquainted(one, other) for one in groups[:index] for other in groups[index:]):
            runs[-1].append(group)
        else:
            runs.append([group])
    return [Run(sum(group.size for group in run), visibility(run)) for run in runs]


def _acquainted(one: QueryGroup, other: QueryGroup) -> bool:
    return one.name in other.see or other.name in one.see


def visibility(groups: list[QueryGroup]) -> Tensor | None:
    """N N bool, True where a query (row) may look at another; B 1 N N where slots are not filled; None: all see all.

    Of a matching group of three and a denoising group of two blocks of two, which sees the matching one::

                match   dn
                0 1 2   3 4   5 6
        match   x x x   . .   . .    the matching queries see themselves alone, as at inference
        dn 1    x x x   x x   . .    a block sees itself, and the groups named in `see`
        dn 2    x x x   . .   x x
    """
    _check_names(groups)
    if len(groups) == 1 and groups[0].blocks == 1 and groups[0].filled is None:
        return None
    owner = torch.cat([torch.full((group.size,), index) for index, group in enumerate(groups)])
    block = torch.cat([torch.arange(group.size) // max(group.size // group.blocks, 1) for group in groups])
    sees = torch.tensor([[other.name in group.see for other in groups] for group in groups])
    device = groups[0].content.device
    owner, block, sees = (part.to(device, non_blocking=True) for part in (owner, block, sees))
    own = (owner[:, None] == owner) & (block[:, None] == block)
    keep = own | sees[owner][:, owner]
    if all(group.filled is None for group in groups):
        return keep
    filled = [
        group.content.new_ones(group.content.shape[:2], dtype=torch.bool) if group.filled is None else group.filled
        for group in groups
    ]
    # An empty slot looks at itself: attention to nothing at all would be NaN.
    return keep & torch.cat(filled, dim=1)[:, None, None] | torch.eye(len(owner), dtype=torch.bool, device=device)


def _check_names(groups: list[QueryGroup]):
    names = [group.name for group in groups]
    if len(set(names)) < len(names):
        raise ValueError(f'query groups {names} share a name, and would share their losses; name each one differently')
    for group in groups:
        if not set(group.see) <= set(names):
            raise ValueError(f'query group {group.name!r} wants to see {list(group.see)}; there are {names}')
