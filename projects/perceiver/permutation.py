"""Permuted images: what is left of a model when the order of the pixels tells nothing (Perceiver, section 4.1).

One permutation for all images. As in the paper it comes after the positions: each pixel keeps the features of its
place, so what lies beside what can still be found out, but not seen.
"""

import torch
from mmengine.model import BaseModule
from torch import Tensor

from ..layers.feature_spec import backbone_spec, image_channels
from ..registry import MODELS, build_part
from .position import NoPosition


@MODELS.register_module()
class PermutedPixels(BaseModule):
    """Any backbone behind a permutation of the pixels of its images.

    Args:
        backbone: its ``in_channels`` are those of the image and of the positions together.
        size: height and width of the images.
        position: what is put beside the colours before the pixels are permuted, see position.py; a `LearnedPosition`
            is permuted with them, too.
        seed: of the permutation; None: pixels stay where they are.
        colours: channels of the images.
        double: compute the backbone and the positions in float64: two trainings that differ in the order of the pixels
            then end with the same numbers, since sums in another order part far behind the digits that are printed.
    """

    def __init__(
        self,
        backbone: dict,
        size: tuple[int, int],
        position: dict = dict(type=NoPosition),
        seed: int | None = None,
        colours: int = 3,
        double: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.position, self.size, self.in_channels = build_part(position), tuple(size), colours
        self.backbone = MODELS.build(backbone)
        wanted, given = image_channels(self.backbone), colours + self.position.channels
        if wanted != given:
            raise ValueError(
                f'{type(self.backbone).__name__} takes {wanted} channels; colours and positions are {given}: write '
                f'in_channels={given}'
            )
        spec = backbone_spec(self.backbone)
        self.channels, self.strides = spec.channels, spec.strides
        self.double_precision = double
        if double:
            self.double()
        count = self.size[0] * self.size[1]
        random = None if seed is None else torch.Generator().manual_seed(seed)
        order = torch.arange(count, device='cpu') if seed is None else torch.randperm(count, generator=random)
        self.register_buffer('order', order, persistent=False)

    @property
    def image_size(self) -> tuple[int, int]:
        return self.size

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """As the backbone."""
        if tuple(images.shape[2:]) != self.size:
            got, right = ('x'.join(map(str, each)) for each in (images.shape[2:], self.size))
            raise ValueError(f'image {got}; the permutation is of the pixels of {right}: resize it')
        if not self.double_precision:
            return self.backbone(self._permuted(images))
        with torch.autocast(images.device.type, enabled=False):
            return tuple(out.to(images.dtype) for out in self.backbone(self._permuted(images.double())))

    def _permuted(self, images: Tensor) -> Tensor:
        places = self.position(self.size, images).movedim(-1, 0).expand(len(images), -1, -1, -1)
        return torch.cat([images, places], dim=1).flatten(2)[..., self.order].unflatten(2, self.size)
