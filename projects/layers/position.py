"""Where a token is: learned grids that resize, rows and columns, sines, Fourier features, rotations.

Coordinates run over the axes of a map in their order (H W, or D H W); positions come as *size C, channels last.
"""

import math
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

MODES = ('linear', 'bilinear', 'trilinear')


def resize_grid(
    grid: Tensor, size: Sequence[int], mode: str = 'bicubic', align_corners: bool = False, antialias: bool = False
) -> Tensor:
    """*old C -> *size C, interpolated in float32; the grid itself where the size is the same.

    Args:
        mode: 'bicubic' (timm, DINOv2; two axes only) or 'linear' (any number of axes). The official ViT resizes
            linearly with corners aligned (``scipy.ndimage.zoom``, order 1).
    """
    dims = grid.ndim - 1
    if tuple(grid.shape[:-1]) == tuple(size):
        return grid
    mode = MODES[dims - 1] if mode == 'linear' else mode
    channels_first = grid.movedim(-1, 0)[None].float()
    resized = F.interpolate(
        channels_first, size=tuple(size), mode=mode, align_corners=align_corners, antialias=antialias
    )
    return resized[0].movedim(0, -1).to(grid.dtype)


class LearnedGrid(nn.Module):
    """One learned vector for each place of a grid, resized to maps of other sizes.

    Args:
        size: sides of the grid.
        mode, align_corners, antialias: see :func:`resize_grid`.
    """

    def __init__(
        self,
        embed_dims: int,
        size: Sequence[int],
        mode: str = 'bicubic',
        align_corners: bool = False,
        antialias: bool = False,
    ):
        super().__init__()
        self.grid = nn.Parameter(torch.empty(*size, embed_dims))
        self.how = dict(mode=mode, align_corners=align_corners, antialias=antialias)
        nn.init.trunc_normal_(self.grid, std=0.02)

    def forward(self, size: Sequence[int]) -> Tensor:
        """*size C."""
        return resize_grid(self.grid, size, **self.how)


class LearnedAxes(nn.Module):
    """A learned vector for each row, each column and so on; their sum, or side by side.

    Args:
        sizes: the most places along each axis.
        joined: channels of the axes side by side (``embed_dims`` over the number of axes each), not added.

    Raises:
        ValueError: a map is larger than ``sizes``.
    """

    def __init__(self, embed_dims: int, sizes: Sequence[int], joined: bool = False):
        super().__init__()
        width = embed_dims // len(sizes) if joined else embed_dims
        self.axes = nn.ModuleList(nn.Embedding(size, width) for size in sizes)
        self.joined = joined

    def forward(self, size: Sequence[int]) -> Tensor:
        """*size C."""
        for length, axis in zip(size, self.axes):
            if length > axis.num_embeddings:
                raise ValueError(f'a map of {tuple(size)} places; at most {[a.num_embeddings for a in self.axes]}')
        dims = len(size)
        parts = []
        for index, (axis, length) in enumerate(zip(self.axes, size)):
            shape = [-1 if each == index else 1 for each in range(dims)]
            shape.append(axis.embedding_dim)
            parts.append(axis.weight[:length].view(shape).expand(*size, -1))
        return torch.cat(parts, dim=-1) if self.joined else torch.stack(parts).sum(0)


def axis_coordinates(size: Sequence[int], device=None, span: tuple[float, float] = (-1.0, 1.0)) -> Tensor:
    """*size dims: coordinates from the first to the last number of ``span``, both included, along each axis."""
    axes = [torch.linspace(*span, length, device=device) for length in size]
    return torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1)


def sine_positions(size: Sequence[int], embed_dims: int, temperature: float = 10000.0, device=None) -> Tensor:
    """*size C: sines and cosines of the places along every axis, an equal share of the channels for each axis.

    Along an axis the first half of its channels are sines, the second cosines, as in the first transformer; MAE and
    MoCo v3 use it in 2-D.

    Raises:
        ValueError: the channels are no multiple of twice the axes.
    """
    dims = len(size)
    if embed_dims % (2 * dims):
        raise ValueError(f'embed_dims {embed_dims} is no multiple of {2 * dims}, two for each of {dims} axes')
    count = embed_dims // (2 * dims)
    rates = temperature ** -(torch.arange(count, device=device, dtype=torch.float32) / count)
    places = torch.stack(
        torch.meshgrid(*[torch.arange(s, device=device, dtype=torch.float32) for s in size], indexing='ij'), dim=-1
    )
    angles = places[..., None] * rates
    return torch.cat([angles.sin(), angles.cos()], dim=-1).flatten(-2)


def sine_code(size: Sequence[int], embed_dims: int, device=None, temperature: float = 10000.0) -> Tensor:
    """*size C for any number of channels: for each axis in turn sines, then cosines, the same even number of channels
    for each axis, and what is too much is cut off (VT-UNet; "positional-encodings" on PyPI)."""
    dims = len(size)
    width = 2 * math.ceil(embed_dims / (2 * dims))
    rates = temperature ** -(torch.arange(0, width, 2, device=device, dtype=torch.float32) / width)
    parts = []
    for axis, side in enumerate(size):
        angles = torch.arange(side, device=device, dtype=torch.float32)[:, None] * rates
        code = torch.cat([angles.sin(), angles.cos()], dim=-1)
        view = [side if each == axis else 1 for each in range(dims)]
        parts.append(code.view(*view, width).expand(*size, width))
    return torch.cat(parts, dim=-1)[..., :embed_dims]


def fourier_features(coordinates: Tensor, num_bands: int, max_frequency: Sequence[float], raw: bool = True) -> Tensor:
    """... D -> ... (D*(2*bands) [+ D]): sines and cosines of pi times the coordinate times frequencies that are spaced
    evenly from 1 to half of ``max_frequency`` (Perceiver, https://arxiv.org/abs/2103.03206, section 3.2).

    All sines of all axes come first, then all cosines; raw coordinates stand before both.

    Args:
        coordinates: in [-1, 1].
        max_frequency: for each axis, the number of samples along it.
    """
    bands = torch.stack(
        [torch.linspace(1, top / 2, num_bands, device=coordinates.device) for top in max_frequency]
    )  # D bands
    angles = (coordinates[..., None] * bands).flatten(-2) * math.pi
    parts = [angles.sin(), angles.cos()]
    return torch.cat([coordinates, *parts] if raw else parts, dim=-1)


class RotaryGrid(nn.Module):
    """Rotary positions of a map: pairs of a head's channels turn by angles that grow with the place (RoFormer,
    https://arxiv.org/abs/2104.09864; axial form of DINOv3, https://arxiv.org/abs/2508.10104).

    Args:
        head_dims: channels of a head, a multiple of 4.
        temperature: the slowest turn.
        skip: tokens at the front that are not turned (class and register tokens).
    """

    def __init__(self, head_dims: int, temperature: float = 100.0, skip: int = 1):
        super().__init__()
        if head_dims % 4:
            raise ValueError(f'channels of a head {head_dims} are no multiple of 4, two for each of two axes')
        self.skip = skip
        periods = temperature ** (2 * torch.arange(head_dims // 4) / (head_dims // 2))
        self.register_buffer('periods', periods, persistent=False)

    def forward(self, size: Sequence[int]) -> 'Rotation':
        """Of a map of so many places: what turns queries and keys, B heads N d."""
        places = [(torch.arange(s, device=self.periods.device) + 0.5) / s * 2 - 1 for s in size]
        grid = torch.stack(torch.meshgrid(*places, indexing='ij'), dim=-1).flatten(0, -2)
        angles = (2 * math.pi * grid[:, :, None] / self.periods).flatten(1).tile(1, 2)
        return Rotation(angles.sin(), angles.cos(), self.skip)


class Rotation:
    """Turns channels i and i + d/2 of B heads N d as one plane; see :class:`RotaryGrid`.

    Args:
        sin, cos: N d.
        skip: tokens at the front that stay.
    """

    def __init__(self, sin: Tensor, cos: Tensor, skip: int = 0):
        self.sin, self.cos, self.skip = sin, cos, skip

    def __call__(self, x: Tensor) -> Tensor:
        head, rest = x[..., : self.skip, :], x[..., self.skip :, :]
        first, second = rest.chunk(2, dim=-1)
        turned = rest * self.cos.to(x.dtype) + torch.cat([-second, first], dim=-1) * self.sin.to(x.dtype)
        return torch.cat([head, turned], dim=-2)
