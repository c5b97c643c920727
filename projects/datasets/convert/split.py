"""Which images validate: seeded, whole groups together, each class in its share.

The greedy form of iterative stratification (Sechidis et al., 2011), over groups: the rarest class is dealt out first,
each group to the part that lacks most of it. (The package of that name deals out single rows.)
"""

import random
from collections import Counter
from collections.abc import Sequence


def stratified(groups: Sequence[Counter], share: float, seed: int = 0) -> list[bool]:
    """Which groups validate.

    Args:
        groups: objects of each class in a group of images; ``None`` as a key counts its images.
        share: of the images that shall validate, in (0, 1).

    Returns:
        For each group whether it validates; at least one does, and one does not, where there are two.
    """
    order = list(range(len(groups)))
    random.Random(seed).shuffle(order)
    order.sort(key=lambda index: -groups[index][None])  # stable: large groups first, each size shuffled
    lacking = {True: Counter(), False: Counter()}
    for part, portion in ((True, share), (False, 1 - share)):
        for group in groups:
            for key, count in group.items():
                lacking[part][key] += portion * count

    chosen: dict[int, bool] = {}
    total = sum(groups, Counter())
    for key in [*sorted((name for name in total if name is not None), key=lambda name: (total[name], name)), None]:
        for index in order:
            if index in chosen or not groups[index][key]:
                continue
            val = (lacking[True][key], lacking[True][None]) > (lacking[False][key], lacking[False][None])
            chosen[index] = val
            lacking[val].subtract(groups[index])
    result = [chosen.get(index, False) for index in range(len(groups))]
    if len(groups) > 1 and len(set(result)) == 1:
        result[order[-1]] = not result[order[-1]]
    return result
