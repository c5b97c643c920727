"""Input adapters: from data to an array, B M C with positions. Each publishes ``channels``, and ``stride`` of its map.

| adapter | data |
|---|---|
| `MapInput` | images and videos, B C *size: any features (features.py) and positions (position.py) |
| `AudioInput` | mono sound, B T, in patches of samples |
| `LabelInput` | a vector for each sample, B K: one element |
| `BytesInput` | texts as ids, B T |
| `PointInput` | points, B N D: Fourier features of their coordinates |
| `EntityInput` | sets of entities, B N C, of any number |
| `MultimodalInput` | several of them (multimodal.py) |
"""

import torch
from torch import Tensor, nn

from ..registry import MODELS, build_part
from .arrays import InputArray
from .blocks import checked_word
from .features import Pixels
from .position import FourierPosition, LearnedPosition, NoPosition

COMBINE = ('concat', 'add')


class InputAdapter(nn.Module):
    """Base of all adapters.

    Attributes:
        channels: of the array.
        stride: pixels between the places of its map.
        max_length: most elements it takes; None: any number.
        data_size: sides of the only maps that it takes; None: any.
    """

    channels: int
    stride: int = 1
    max_length: int | None = None
    data_size: tuple[int, ...] | None = None

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        """
        Args:
            mask: B M bool, True where there is something; only of adapters whose data vary in length.
        """
        raise NotImplementedError


def combined(features: Tensor, positions: Tensor, combine: str) -> Tensor:
    """B *size C and *size C' as one B *size C''."""
    if combine == 'add':
        return features + positions
    return torch.cat([features, positions.expand(*features.shape[:-1], -1)], dim=-1)


def combined_channels(features: int, positions: int, combine: str) -> int:
    """Raises ValueError where they cannot be added."""
    checked_word('combine', combine, COMBINE)
    if combine == 'add' and features != positions:
        raise ValueError(
            f"combine='add' needs as many channels of positions ({positions}) as of features ({features}); write "
            "combine='concat', or give the LearnedPosition project_dims"
        )
    return features if combine == 'add' else features + positions


@MODELS.register_module()
class MapInput(InputAdapter):
    """Images or videos, B C *size.

    Args:
        features: what a place tells, see features.py.
        position: where it is, see position.py.
        combine: 'concat', side by side, or 'add'.
    """

    def __init__(
        self, position: dict = dict(type=NoPosition), features: dict = dict(type=Pixels), combine: str = 'concat'
    ):
        super().__init__()
        self.features, self.position = build_part(features), build_part(position)
        dims = self.features.map_dims or self.features.dims
        if self.position.dims not in (None, dims):
            raise ValueError(
                f'{type(self.features).__name__} gives a map of {dims} axes, {type(self.position).__name__} tells '
                f'places along {self.position.dims}'
            )
        self.combine, self.stride, self.in_channels = combine, self.features.stride, self.features.in_channels
        self.channels = combined_channels(self.features.channels, self.position.channels, combine)
        if isinstance(self.position, LearnedPosition) and not self.position.resize:
            self.data_size = tuple(side * self.stride for side in self.position.size)

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        features = self.features(data)
        size = tuple(features.shape[1:-1])
        tokens = combined(features, self.position(size, features), self.combine)
        return InputArray(tokens.flatten(1, -2), mask, size)


@MODELS.register_module()
class AudioInput(InputAdapter):
    """Mono sound, B T, cut into patches of samples.

    Args:
        patch: samples of a patch.
        position: of the patches, see position.py; its ``max_resolution`` counts samples.
        num_samples: that every sound has; None: any multiple of ``patch``.
        sample_rate: samples a second that the model is for; told to data sets, and in messages.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(num_samples=8 * cfg.get('patch', 16))

    def __init__(self, position: dict, patch: int = 16, num_samples: int | None = None, sample_rate: int = 48000):
        super().__init__()
        self.patch, self.num_samples, self.sample_rate = patch, num_samples, sample_rate
        if num_samples is not None and num_samples % patch:
            raise ValueError(f'num_samples={num_samples} is no multiple of the patches of {patch} samples')
        self.position = build_part(position)
        self.channels, self.stride = patch + self.position.channels, patch

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        if data.ndim != 2:
            raise ValueError(f'sound of {data.ndim} axes {tuple(data.shape)}; AudioInput takes mono, B T')
        length = data.shape[1]
        if length != (self.num_samples or length) or length % self.patch:
            right = self.num_samples or f'a multiple of {self.patch}'
            raise ValueError(
                f'sound of {length} samples; this model takes {right} at {self.sample_rate} a second: resample it, '
                'then cut or pad it'
            )
        patches = data.unflatten(1, (-1, self.patch))
        size = (patches.shape[1],)
        return InputArray(combined(patches, self.position(size, patches), 'concat'), mask, size)


@MODELS.register_module()
class LabelInput(InputAdapter):
    """A vector for each sample (one-hot, or zeros where the class is unknown), B K, as an array of one element."""

    def __init__(self, num_classes: int):
        super().__init__()
        self.num_classes = self.channels = num_classes

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        if data.ndim != 2 or data.shape[1] != self.num_classes:
            raise ValueError(f'labels of shape {tuple(data.shape)}; this LabelInput takes B {self.num_classes}')
        return InputArray(data[:, None], mask, (1,))


@MODELS.register_module()
class BytesInput(InputAdapter):
    """Texts as ids: an embedding of each, and a learned position.

    Args:
        vocab_size: ids; of UTF-8 bytes 262, see text.py.
        max_length: positions that are learned.
    """

    tiny = dict(max_length=20)

    def __init__(self, vocab_size: int = 262, embed_dims: int = 768, max_length: int = 2048):
        super().__init__()
        self.embedding = nn.Embedding(vocab_size, embed_dims)
        self.positions = nn.Parameter(torch.empty(max_length, embed_dims))
        for table in (self.embedding.weight, self.positions):
            nn.init.trunc_normal_(table, std=0.02)
        self.vocab_size, self.channels, self.max_length = vocab_size, embed_dims, max_length

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        length = data.shape[1]
        if length > self.max_length:
            raise ValueError(
                f'a text of {length} ids; this model has positions for {self.max_length}: cut it, or let the data set '
                'cut texts (max_length)'
            )
        return InputArray(self.embedding(data) + self.positions[:length], mask, (length,))


@MODELS.register_module()
class PointInput(InputAdapter):
    """Points, B N D: the first coordinates as Fourier features, what else they have (normals, colours) as it is.

    Args:
        position: a `FourierPosition`; coordinates in [-1, 1] (ModelNet40: 64 bands up to 1120).
        extra_dims: numbers of a point beyond its coordinates.
    """

    def __init__(self, position: dict, extra_dims: int = 0):
        super().__init__()
        self.position, self.extra_dims = build_part(position), extra_dims
        if not isinstance(self.position, FourierPosition):
            raise ValueError(
                f'{type(self.position).__name__} tells places of a map; points have coordinates of their own: take a '
                'FourierPosition'
            )
        self.point_dims = self.position.dims + extra_dims
        self.channels = self.position.channels + extra_dims

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        if data.ndim != 3 or data.shape[2] != self.point_dims:
            raise ValueError(f'points of shape {tuple(data.shape)}; this PointInput takes B N {self.point_dims}')
        places, extra = data.split([self.position.dims, self.extra_dims], dim=-1)
        features = self.position.at(places.float()).to(data.dtype)
        return InputArray(torch.cat([features, extra], dim=-1), mask)


@MODELS.register_module()
class EntityInput(InputAdapter):
    """A set of entities, B N C, through a linear layer; no element has a place (the units of StarCraft II).

    Args:
        point_dims: numbers that describe an entity.
    """

    def __init__(self, point_dims: int, embed_dims: int = 256):
        super().__init__()
        self.point_dims, self.channels = point_dims, embed_dims
        self.project = nn.Linear(point_dims, embed_dims)

    def forward(self, data: Tensor, mask: Tensor | None = None) -> InputArray:
        if data.ndim != 3 or data.shape[2] != self.point_dims:
            raise ValueError(f'entities of shape {tuple(data.shape)}; this EntityInput takes B N {self.point_dims}')
        return InputArray(self.project(data), mask)
