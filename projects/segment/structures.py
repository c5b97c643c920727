"""What passes between the parts of a segmentor: maps with extras, and the truth that losses compare with."""

from collections.abc import Sequence
from dataclasses import dataclass, field

import torch
import torch.nn.functional as F
from torch import Tensor

from ..layers.conv_block import crop_or_pad

IGNORE = 255  # no truth at this pixel


@dataclass
class Maps:
    """Maps of a part that gives more than maps.

    Attributes:
        maps: B C *size each, fine to coarse.
        extras: name -> what loss terms ask for by that name, such as the gates of BAT.
    """

    maps: Sequence[Tensor]
    extras: dict = field(default_factory=dict)


def split(output: Maps | Sequence[Tensor], extras: dict) -> list[Tensor]:
    """The maps of a part's output; its extras, if there are any, are added to ``extras``."""
    if isinstance(output, Maps):
        extras.update(output.extras)
        output = output.maps
    return [output] if isinstance(output, Tensor) else list(output)


@dataclass(frozen=True)
class Target:
    """The truth of a batch.

    Attributes:
        maps: B *size, class numbers, 255 where there is no truth; or B R *size, 0 or 1 for each region, 255 likewise.
        regions: whether it is the latter.
    """

    maps: Tensor
    regions: bool = False

    @property
    def size(self) -> tuple[int, ...]:
        return tuple(self.maps.shape[2 if self.regions else 1 :])

    @property
    def valid(self) -> Tensor:
        """B 1 *size, or B R *size of regions: where there is a truth."""
        return self.maps != IGNORE if self.regions else (self.maps != IGNORE)[:, None]

    def dense(self, num_classes: int) -> Tensor:
        """B K *size of 0 and 1; all 0 where there is no truth.

        Raises:
            ValueError: a label beyond the classes.
        """
        valid = self.valid
        if self.regions:
            return (self.maps * valid).float()
        labels = self.maps[:, None].long() * valid
        self._check(labels, num_classes)
        shape = (labels.shape[0], num_classes, *labels.shape[2:])
        return torch.zeros(shape, device=labels.device).scatter_(1, labels, valid.float())

    def labels(self, num_classes: int) -> Tensor:
        """B *size long, 255 where there is no truth.

        Raises:
            ValueError: a label beyond the classes; or the truth is regions, which may overlap.
        """
        if self.regions:
            raise ValueError('regions have no class numbers; their cross entropy is BinaryCrossEntropyTerm')
        labels = self.maps.long()
        self._check(labels.where(labels != IGNORE, 0), num_classes)
        return labels

    def resized(self, size: Sequence[int]) -> 'Target':
        """The nearest truth at the pixels of a coarser map."""
        if tuple(size) == self.size:
            return self
        maps = self.maps if self.regions else self.maps[:, None]
        maps = F.interpolate(maps.float(), size=tuple(size), mode='nearest').to(self.maps.dtype)
        return Target(maps if self.regions else maps[:, 0], self.regions)

    def cropped(self, size: Sequence[int]) -> 'Target':
        """The middle of it: what a net of valid convolutions sees."""
        maps = self.maps if self.regions else self.maps[:, None]
        maps = crop_or_pad(maps, size)
        return Target(maps if self.regions else maps[:, 0], self.regions)

    @staticmethod
    def _check(labels: Tensor, num_classes: int):
        if labels.device.type != 'meta' and labels.numel() and (top := int(labels.max())) >= num_classes:
            raise ValueError(
                f'the truth has label {top}, the head tells {num_classes} classes apart (0 to '
                f'{num_classes - 1}; {IGNORE} is ignored)'
            )


def truth(samples: Sequence, size: Sequence[int]) -> Tensor:
    """B C *size of the samples' ``gt_sem_seg``, filled up with 255 where an input was padded.

    Raises:
        ValueError: a sample has no truth, or one that is larger than the input.
    """
    maps = []
    for sample in samples:
        if 'gt_sem_seg' not in sample:
            raise ValueError(f'sample {name_of(sample)} has no gt_sem_seg; its pipeline must load annotations')
        data = sample.gt_sem_seg.data
        padding = [new - old for old, new in zip(data.shape[1:], size)]
        if len(padding) != len(size) or data.ndim != len(size) + 1 or min(padding) < 0:
            raise ValueError(
                f'sample {name_of(sample)}: gt_sem_seg of shape {tuple(data.shape)} does not fit an input of '
                f'{tuple(size)}; it must be channels x {" x ".join(map(str, size))} or smaller'
            )
        flat = [each for new in reversed(padding) for each in (0, new)]
        maps.append(F.pad(data, flat, value=IGNORE))
    return torch.stack(maps)


def name_of(sample) -> str:
    """What a data sample is known by."""
    return str(next((sample.get(key) for key in ('case', 'img_path', 'img_id') if sample.get(key) is not None), '?'))
