"""Classes of the items of a batch: numbers, or shares where images were mixed."""

from collections.abc import Sequence

import torch
from torch import Tensor


def class_labels(samples: Sequence, num_classes: int, device: torch.device | str = 'cpu') -> Tensor:
    """``gt_label`` of the samples, B numbers; or ``gt_score``, B K shares, where images were mixed.

    Raises:
        ValueError: a number that is no class.
    """
    if 'gt_score' in samples[0]:
        return torch.stack([sample.gt_score for sample in samples]).to(device)
    numbers = torch.stack([torch.as_tensor(sample.gt_label).reshape(()) for sample in samples])
    known = set(numbers.tolist())  # the one time that the device is waited for
    if not known <= set(range(num_classes)):
        raise ValueError(f'labels {sorted(known)} of a batch are not all in 0 to {num_classes - 1}')
    return numbers.to(device)
