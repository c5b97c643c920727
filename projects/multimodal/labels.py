"""Classes of the items of a batch: numbers, or shares where images were mixed."""

from collections.abc import Sequence

import torch
from torch import Tensor


def class_labels(samples: Sequence, num_classes: int, device: torch.device | str = 'cpu') -> Tensor:
    """``gt_label`` of the samples: B numbers, or B K shares.

    Raises:
        ValueError: a number that is no class.
    """
    labels = [torch.as_tensor(sample.gt_label) for sample in samples]
    if labels and labels[0].numel() > 1:
        return torch.stack(labels).to(device)
    numbers = torch.stack([label.reshape(()) for label in labels])
    if not 0 <= int(numbers.min()) <= int(numbers.max()) < num_classes:
        raise ValueError(f'labels {sorted(set(numbers.tolist()))} of a batch are not all in 0 to {num_classes - 1}')
    return numbers.to(device)
