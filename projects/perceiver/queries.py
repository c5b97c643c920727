"""What is asked of the latents: an array of output queries, one for each output, made for the task.

| queries | outputs |
|---|---|
| `VectorQueries` | one vector (a class), or one for each place of a text |
| `PositionQueries` | the places of a map, by Fourier features |
| `InputQueries` | the elements of the input array themselves: flow, sets of entities |
| `MultimodalQueries` | those of several modalities together (multimodal.py) |

Each publishes ``channels``, and ``needs_inputs`` where it is made of the input array.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ..registry import MODELS, build_part
from .arrays import InputArray
from .position import FourierPosition


class OutputQueries(nn.Module):
    """Base of all.

    Attributes:
        channels: of a query.
        num: how many there are; None: as many as the inputs say.
        stride: input pixels between outputs that lie on a map; None: they lie on none.
    """

    channels: int
    num: int | None = None
    stride: int | None = None

    def forward(self, array: InputArray, points: Tensor | Mapping[str, Tensor] | None = None) -> Tensor:
        """B N C.

        Args:
            points: numbers of the outputs that are asked for, N; None: all.
        """
        raise NotImplementedError

    def size(self, array: InputArray) -> tuple[int, ...]:
        """Sides of the map that all outputs lie on; () where they lie on none."""
        return ()


@MODELS.register_module()
class VectorQueries(OutputQueries):
    """Learned vectors.

    Args:
        num_queries: how many.
        follow: as many of them as the input array is long, for texts.
    """

    def __init__(self, num_queries: int = 1, embed_dims: int = 1024, follow: bool = False):
        super().__init__()
        self.queries = nn.Parameter(torch.empty(num_queries, embed_dims))
        nn.init.trunc_normal_(self.queries, std=0.02)
        self.channels, self.follow = embed_dims, follow
        self.num = None if follow else num_queries

    def forward(self, array: InputArray, points: Tensor | None = None) -> Tensor:
        queries = self.queries
        if self.follow:
            length = array.tokens.shape[1]
            if length > len(queries):
                raise ValueError(f'an input of {length} elements; there are {len(queries)} queries: cut it')
            queries = queries[:length]
        queries = queries if points is None else queries[points]
        return queries.expand(len(array.tokens), -1, -1)


@MODELS.register_module()
class PositionQueries(OutputQueries):
    """Fourier features of the places of a map.

    Args:
        position: a `FourierPosition`.
        size: sides of the map; None: those of the input array's.
        consistent: places of a part of the outputs are those that they have among all. The official code takes other
            coordinates for a part (the far end of an axis is left out there) than for the whole; False does so.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        size = cfg.get('size')
        return (
            dict(size=tuple(min(side, 2 if len(size) == 3 and axis == 0 else 8) for axis, side in enumerate(size)))
            if size
            else {}
        )

    def __init__(self, position: dict, size: Sequence[int] | None = None, consistent: bool = True):
        super().__init__()
        self.position = build_part(position)
        if not isinstance(self.position, FourierPosition):
            raise ValueError(f'queries of places are Fourier features; got {type(self.position).__name__}')
        self.fixed, self.consistent, self.channels = tuple(size) if size else None, consistent, self.position.channels
        if self.fixed and len(self.fixed) != self.position.dims:
            raise ValueError(f'size={self.fixed} has other axes than max_resolution={self.position.max_resolution}')
        self.num = None if self.fixed is None else int(torch.tensor(self.fixed, device='cpu').prod())

    def size(self, array: InputArray) -> tuple[int, ...]:
        return self.fixed or array.size

    def forward(self, array: InputArray, points: Tensor | None = None) -> Tensor:
        size, batch = self.size(array), len(array.tokens)
        if points is None:
            features = self.position(size, array.tokens).flatten(0, -2)
        else:
            features = self.position.at(self._coordinates(size, points)).to(array.tokens.dtype)
        return features.expand(batch, -1, -1)

    def _coordinates(self, size: tuple[int, ...], points: Tensor) -> Tensor:
        places = torch.stack(torch.unravel_index(points, size), dim=-1).float()
        sides = places.new_tensor(size)
        if self.consistent and self.position.spacing == 'inclusive':
            return -1 + 2 * places / (sides - 1).clamp(min=1)
        return -1 + 2 * places / sides


@MODELS.register_module()
class InputQueries(OutputQueries):
    """The input array itself: an output for each of its elements.

    Args:
        in_channels: of the array; handed by the Perceiver.
        stride: of its map; handed, too.
    """

    def __init__(self, in_channels: int, stride: int = 1):
        super().__init__()
        self.channels, self.stride = in_channels, stride

    def size(self, array: InputArray) -> tuple[int, ...]:
        return array.size

    def forward(self, array: InputArray, points: Tensor | None = None) -> Tensor:
        return array.tokens if points is None else array.tokens[:, points]
