"""What an image or a video tells at each place before its position is added: maps, channels last.

Each takes B C *size, publishes ``in_channels``, ``channels``, ``dims`` and ``stride``, and gives
B *places C.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from .blocks import checked_word


class MapFeatures(nn.Module):
    """Base of all: checks what it is given.

    Attributes:
        dims: axes of the data; map_dims: of the map that it gives, where they differ.
    """

    dims: int = 2
    map_dims: int | None = None
    stride: int = 1

    def check(self, maps: Tensor) -> None:
        kind = {1: 'signals', 2: 'images', 3: 'videos'}[self.dims]
        if maps.ndim != self.dims + 2:
            raise ValueError(
                f'inputs of {maps.ndim} axes {tuple(maps.shape)}; {type(self).__name__} takes {kind}, '
                f'B C and {self.dims} more'
            )
        if maps.shape[1] != self.in_channels:
            raise ValueError(
                f'{kind} have {maps.shape[1]} channels; this {type(self).__name__} was built with '
                f'in_channels={self.in_channels}'
            )


@MODELS.register_module()
class Pixels(MapFeatures):
    """The pixels as they are."""

    def __init__(self, in_channels: int = 3, dims: int = 2):
        super().__init__()
        self.in_channels = self.channels = in_channels
        self.dims = dims

    def forward(self, maps: Tensor) -> Tensor:
        self.check(maps)
        return maps.movedim(1, -1)


@MODELS.register_module()
class PointwiseConv(MapFeatures):
    """Each pixel through one linear map (a convolution of kernel 1)."""

    def __init__(self, in_channels: int = 3, embed_dims: int = 256):
        super().__init__()
        self.in_channels, self.channels = in_channels, embed_dims
        self.conv = nn.Conv2d(in_channels, embed_dims, 1)

    def forward(self, maps: Tensor) -> Tensor:
        self.check(maps)
        return self.conv(maps).movedim(1, -1)


@MODELS.register_module()
class ConvStem(MapFeatures):
    """A convolution of kernel 7 and stride 2, batch norm, ReLU and a maximum over 3x3 of stride 2.

    Args:
        padding: 'same', as the official code: of an even side 2 and 3 zeros at the convolution, 0 and 1 at the maximum,
            so that 224 pixels become 56 places; 'transformers', as theirs: 3 zeros at both ends, none at the maximum,
            so that 224 pixels become 55 places, a pixel off.
    """

    stride = 4

    def __init__(self, in_channels: int = 3, embed_dims: int = 64, padding: str = 'same'):
        super().__init__()
        checked_word('padding', padding, ('same', 'transformers'))
        self.in_channels, self.channels, self.padding = in_channels, embed_dims, padding
        self.conv = nn.Conv2d(in_channels, embed_dims, 7, stride=2, bias=False)
        self.norm = nn.BatchNorm2d(embed_dims)

    def forward(self, maps: Tensor) -> Tensor:
        self.check(maps)
        if self.padding == 'transformers':
            x = self.norm(self.conv(F.pad(maps, (3, 3, 3, 3)))).relu()
            return F.max_pool2d(x, 3, 2).movedim(1, -1)
        x = self.norm(self.conv(same(maps, 7, 2))).relu()
        return F.max_pool2d(same(x, 3, 2), 3, 2).movedim(1, -1)


def same(maps: Tensor, kernel: int, stride: int) -> Tensor:
    """Zeros around, one more at the far ends where their number is odd: side s becomes ceil(s / stride)."""
    pads = []
    for side in reversed(maps.shape[2:]):
        total = max((-(-side // stride) - 1) * stride + kernel - side, 0)
        pads += [total // 2, total - total // 2]
    return F.pad(maps, pads)


@MODELS.register_module()
class SpaceToDepth(MapFeatures):
    """Blocks of pixels side by side as channels, in the order (frame, row, column, colour).

    Args:
        block: sides of a block: (rows, columns) or (frames, rows, columns).
        embed_dims: of a linear layer after it; None: no layer.

    Raises:
        ValueError: blocks do not fill the map.
    """

    def __init__(self, block: Sequence[int], in_channels: int = 3, embed_dims: int | None = None):
        super().__init__()
        self.block, self.in_channels, self.dims = tuple(block), in_channels, len(block)
        self.stride = self.block[-1]
        width = in_channels
        for side in self.block:
            width *= side
        self.channels = embed_dims or width
        self.project = nn.Linear(width, embed_dims) if embed_dims else nn.Identity()

    def forward(self, maps: Tensor) -> Tensor:
        self.check(maps)
        size = maps.shape[2:]
        if any(side % part for side, part in zip(size, self.block)):
            got, block, right = (
                'x'.join(map(str, each))
                for each in (size, self.block, [-(-side // part) * part for side, part in zip(size, self.block)])
            )
            raise ValueError(f'a map of {got} is not cut into blocks of {block}; pad it to {right}')
        x = maps
        for axis, part in enumerate(self.block):
            x = x.unflatten(2 + 2 * axis, (-1, part))
        places, inside = range(2, 2 * self.dims + 2, 2), range(3, 2 * self.dims + 3, 2)
        return self.project(x.permute(0, *places, *inside, 1).flatten(1 + self.dims))


@MODELS.register_module()
class FramePatches(MapFeatures):
    """Of each pixel of a few frames the square of pixels around it in every frame, through a linear layer (optical
    flow): B C T H W -> B H W C'. Channels are in the order (frame, row, column, colour), zeros lie around.

    Args:
        num_frames: how many.
        kernel: side of the square.
    """

    dims, map_dims = 3, 2

    def __init__(self, in_channels: int = 3, num_frames: int = 2, kernel: int = 3, embed_dims: int = 64):
        super().__init__()
        self.in_channels, self.channels, self.num_frames, self.kernel = in_channels, embed_dims, num_frames, kernel
        self.project = nn.Linear(num_frames * kernel**2 * in_channels, embed_dims)

    def forward(self, maps: Tensor) -> Tensor:
        self.check(maps)
        if maps.shape[2] != self.num_frames:
            raise ValueError(f'{maps.shape[2]} frames; this FramePatches was built with num_frames={self.num_frames}')
        height, width = maps.shape[3:]
        x = F.unfold(maps.transpose(1, 2).flatten(0, 1), self.kernel, padding=self.kernel // 2)
        x = x.view(len(maps), self.num_frames, self.in_channels, self.kernel**2, height, width)
        return self.project(x.permute(0, 4, 5, 1, 3, 2).flatten(3))
