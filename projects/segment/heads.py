"""From features to logits, from truth to targets, from logits to predictions."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.patch import CONVS
from ..registry import MODELS
from .structures import IGNORE, Target, name_of, truth


class SegmentHead(BaseModule):
    """A convolution for each feature map.

    Args:
        in_channels: of the features, fine to coarse; set by the segmentor.
        num_classes: channels of the logits.
        kernel_size: of the convolution.
        dims: axes of the maps.
        bias: of the convolution.
        dropout: chance that a channel of the features is left out, in training.
    """

    activation: str  #: 'softmax' or 'sigmoid', what probabilities and losses take

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int,
        kernel_size: int = 1,
        dims: int = 2,
        bias: bool = True,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.dropout = (nn.Dropout1d, nn.Dropout2d, nn.Dropout3d)[dims - 1](dropout) if dropout else nn.Identity()
        self.convs = nn.ModuleList(self.make(channels, kernel_size, dims, bias) for channels in in_channels)

    def make(self, channels: int, kernel_size: int, dims: int, bias: bool) -> nn.Module:
        """What turns one feature map into logits."""
        return CONVS[dims - 1](channels, self.num_classes, kernel_size, padding=kernel_size // 2, bias=bias)

    def forward(self, features: Sequence[Tensor]) -> list[Tensor]:
        """B C *size each -> B K *size each; features without a convolution of their own are left out."""
        return [conv(self.dropout(feature)) for conv, feature in zip(self.convs, features)]

    def target(self, samples: Sequence, size: Sequence[int]) -> Target:
        """The truth of a batch whose inputs are of this size."""
        raise NotImplementedError

    def decode(self, logits: Tensor) -> Tensor:
        """K *size -> C *size, uint8: what a prediction is compared with the truth as."""
        raise NotImplementedError


@MODELS.register_module()
class SoftmaxHead(SegmentHead):
    """One class for each pixel; the truth is a map of class numbers.

    >>> head = SoftmaxHead(in_channels=[8], num_classes=3, dims=3)
    >>> [tuple(logits.shape) for logits in head([torch.zeros(2, 8, 4, 6, 5)])]
    [(2, 3, 4, 6, 5)]
    """

    activation = 'softmax'

    def target(self, samples, size):
        maps = truth(samples, size)
        if maps.shape[1] != 1:
            raise ValueError(
                f'sample {name_of(samples[0])}: gt_sem_seg has {maps.shape[1]} channels, SoftmaxHead takes one map '
                'of class numbers; RegionHead takes a map for each region'
            )
        return Target(maps[:, 0])

    def decode(self, logits):
        return logits.argmax(0, keepdim=True).to(torch.uint8)


@MODELS.register_module()
class RegionHead(SegmentHead):
    """Regions that may overlap, each with a sigmoid.

    Args:
        regions: name -> class numbers whose union it is, where the truth is a map of class numbers; their order is
            that of the channels. None: the truth has a map for each region.
        paint: name -> class number that the region stands for when predictions become a map of class numbers; later
            ones paint over earlier ones. None: predictions stay a map of 0 and 1 for each region.
        threshold: probability from which on a pixel belongs to a region.
        num_classes: number of regions; default: as many as are named.
        others: see :class:`SegmentHead`.
    """

    activation = 'sigmoid'

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int | None = None,
        regions: Mapping[str, Sequence[int]] | None = None,
        paint: Mapping[str, int] | None = None,
        threshold: float = 0.5,
        kernel_size: int = 1,
        dims: int = 2,
        bias: bool = True,
        dropout: float = 0.0,
        init_cfg: dict | None = None,
    ):
        num_classes = num_classes if num_classes is not None else len(regions or ())
        if regions is not None and len(regions) != num_classes:
            raise ValueError(f'num_classes={num_classes}, but regions names {len(regions)}: {", ".join(regions)}')
        if paint is not None and (regions is None or not set(paint) <= set(regions)):
            raise ValueError(f'paint names {sorted(paint)}, the regions are {sorted(regions or ())}')
        super().__init__(in_channels, num_classes, kernel_size, dims, bias, dropout, init_cfg)
        self.truth_channels = 1 if regions is not None else num_classes
        self.regions = None if regions is None else {name: tuple(numbers) for name, numbers in regions.items()}
        self.paint = None if paint is None else dict(paint)
        self.threshold = threshold

    def target(self, samples, size):
        maps = truth(samples, size)
        if maps.shape[1] == 1 and self.regions is not None:
            maps = torch.cat([self._union(maps, numbers) for numbers in self.regions.values()], dim=1)
        if maps.shape[1] != self.num_classes:
            raise ValueError(
                f'sample {name_of(samples[0])}: gt_sem_seg has {maps.shape[1]} channels for {self.num_classes} '
                'regions; give a map for each, or one map of class numbers and the regions in the head'
            )
        return Target(maps, regions=True)

    @property
    def class_numbers(self) -> tuple[int, ...] | None:
        """Those that regions are made of, where predictions become such numbers again; else None."""
        if self.paint is None:
            return None
        return tuple(sorted({number for numbers in self.regions.values() for number in numbers}))

    def decode(self, logits):
        masks = logits.sigmoid() > self.threshold
        if self.paint is None:
            return masks.to(torch.uint8)
        labels, names = torch.zeros_like(masks[:1], dtype=torch.uint8), list(self.regions)
        for name, number in self.paint.items():
            labels[masks[names.index(name)][None]] = number
        return labels

    @staticmethod
    def _union(labels: Tensor, numbers: Sequence[int]) -> Tensor:
        """B 1 *size class numbers -> B 1 *size of 0, 1 and 255."""
        member = torch.isin(labels, torch.tensor(numbers, device=labels.device, dtype=labels.dtype)).to(labels.dtype)
        return member.masked_fill(labels == IGNORE, IGNORE)
