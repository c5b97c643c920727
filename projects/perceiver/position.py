"""Where an element of an array is: Fourier features or learned vectors, as parts of input adapters and queries.

Each publishes ``channels`` and ``dims`` (axes, None: any number), and is called with the sides of a map.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from ..layers.position import LearnedGrid, axis_coordinates, fourier_features
from ..registry import MODELS
from .blocks import checked_word

SPACINGS = ('inclusive', 'half-open')


def half_open_coordinates(size: Sequence[int], device=None) -> Tensor:
    """*size dims: from -1 on in equal steps, 1 excluded."""
    axes = [-1 + 2 * torch.arange(side, device=device, dtype=torch.float32) / side for side in size]
    return torch.stack(torch.meshgrid(*axes, indexing='ij'), dim=-1)


@MODELS.register_module()
class FourierPosition(nn.Module):
    """Coordinates in [-1, 1], then sines, then cosines of them at ``num_bands`` frequencies from 1 to half of
    ``max_resolution`` (Perceiver, section 3.2): ``dims * (2 * num_bands + 1)`` channels.

    Args:
        max_resolution: for each axis, the number of samples whose finest detail the features tell apart. It need not
            be that of the map: audio in patches of 16 samples has that of the samples.
        spacing: 'inclusive': from -1 to 1; 'half-open': 1 is left out, as the official code has it where only some
            outputs are decoded.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(num_bands=min(cfg['num_bands'], 8))

    def __init__(self, num_bands: int, max_resolution: Sequence[int], spacing: str = 'inclusive'):
        super().__init__()
        checked_word('spacing', spacing, SPACINGS)
        self.num_bands, self.max_resolution, self.spacing = num_bands, tuple(max_resolution), spacing
        self.dims = len(self.max_resolution)
        self.channels = self.dims * (2 * num_bands + 1)
        self.last: tuple | None = None

    def forward(self, size: Sequence[int], like: Tensor) -> Tensor:
        """*size C, on the device and of the type of ``like``."""
        key = (tuple(size), like.device, like.dtype, torch.is_inference_mode_enabled())
        if self.last is None or self.last[0] != key:  # the same for every batch of a run
            self.last = (key, self.at(self.coordinates(size, like.device)).to(like.dtype))
        return self.last[1]

    def coordinates(self, size: Sequence[int], device=None) -> Tensor:
        """*size dims."""
        if len(size) != self.dims:
            raise ValueError(
                f'a map of {len(size)} axes {tuple(size)}; max_resolution={self.max_resolution} is for {self.dims}'
            )
        make = axis_coordinates if self.spacing == 'inclusive' else half_open_coordinates
        return make(size, device)

    def at(self, coordinates: Tensor) -> Tensor:
        """... dims -> ... C: of any points, in float32."""
        return fourier_features(coordinates, self.num_bands, self.max_resolution)

    def __getstate__(self):
        return {**self.__dict__, 'last': None}  # neither copied nor written: it is made again

    def extra_repr(self) -> str:
        return f'num_bands={self.num_bands}, max_resolution={self.max_resolution}, spacing={self.spacing!r}'


@MODELS.register_module()
class LearnedPosition(nn.Module):
    """A learned vector for each place of a map; the model is told nothing of what lies beside what.

    Args:
        size: sides of the map.
        embed_dims: channels of the table.
        project_dims: of a linear layer after it; None: no layer.
        resize: whether a map of other sides gets an interpolated table (bicubic); else it is refused.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        small = dict(size=tuple(min(side, 16) for side in cfg['size']))
        return small | (dict(project_dims=32) if cfg.get('project_dims') else {})

    def __init__(self, size: Sequence[int], embed_dims: int, project_dims: int | None = None, resize: bool = False):
        super().__init__()
        self.size, self.resize, self.dims = tuple(size), resize, len(size)
        self.table = LearnedGrid(embed_dims, self.size, mode='bicubic' if self.dims == 2 else 'linear')
        self.project = nn.Linear(embed_dims, project_dims) if project_dims else nn.Identity()
        self.channels = project_dims or embed_dims

    def forward(self, size: Sequence[int], like: Tensor) -> Tensor:
        """*size C."""
        if tuple(size) != self.size and not self.resize:
            got, right = ('x'.join(map(str, each)) for each in (size, self.size))
            raise ValueError(
                f'a map of {got} places, but positions were learned for {right}; resize the inputs, or write '
                'resize=True into the LearnedPosition, which interpolates its table'
            )
        return self.project(self.table(size)).to(like.dtype)


@MODELS.register_module()
class NoPosition(nn.Module):
    """Nothing is said of places: the array is a set."""

    channels, dims = 0, None

    def forward(self, size: Sequence[int], like: Tensor) -> Tensor:
        return like.new_zeros(*size, 0)
