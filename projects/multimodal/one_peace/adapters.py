"""ONE-PEACE's three adapters: a modality as tokens with their places, behind a class token, and the bias of distances.

Paper: https://arxiv.org/abs/2305.11172, section 3.1. Code: OFA-Sys/ONE-PEACE. What differs from the code: a table of
distances for images of another size is resized bicubically, not along a geometric sequence; frames of sound that are
padding are zero in each of the convolutions that place them, so that the length of its neighbours changes no clip.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers.position import resize_grid
from ...layers.relative_bias import RelativeBiasTable
from ...registry import MODELS
from ..preprocessor import Inputs
from ..roles import Tower
from ..states import State, Texts

ARCHS = {'4b': dict(embed_dims=1536, num_layers=40, num_heads=24, mlp_dims=6144)}
TINY = dict(embed_dims=32, num_layers=2, num_heads=2, mlp_dims=64)


def checked_arch(arch: str | dict) -> dict:
    """The entry of :data:`ARCHS`, or such a dict, with `mlp_dims`."""
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch={arch!r} is unknown; choose from {list(ARCHS)} or give a dict like {ARCHS["4b"]}')
        arch = ARCHS[arch]
    return dict(mlp_dims=4 * arch['embed_dims']) | dict(arch)


class LayerTables(nn.ModuleList):
    """A table of distances for each layer: called as one, it gives a tuple of biases."""

    def forward(self, *args) -> tuple[Tensor, ...]:
        return tuple(table(*args) for table in self)


class Adapter(Tower):
    """Base: tokens behind a class token; ``State.bias`` is added to the logits of attention among them.

    Args:
        layer_tables: each layer has a table of distances of its own, as in the fine-tuning to tasks, where all start as
            copies of the one of pre-training.
        types: learned vectors that are added to all tokens (NLVR2): one tells a modality from others; a second one is
            for the second half of the batch, the second images of pairs.
    """

    gives = ('adapter',)
    tiny = dict(arch=TINY)

    def __init__(self, arch: str | dict, layer_tables: bool = False, types: int = 0, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        arch = checked_arch(arch)
        if types not in (0, 1, 2):
            raise ValueError(f'types={types}; none, one of the modality, or two where batches are of pairs')
        self.tables = arch['num_layers'] if layer_tables else None
        self.embed_dims, self.num_heads = arch['embed_dims'], arch['num_heads']
        self.class_token = nn.Parameter(torch.zeros(self.embed_dims))
        nn.init.trunc_normal_(self.class_token, std=0.02)
        self.types = nn.Parameter(torch.zeros(types, self.embed_dims)) if types else None

    def distances(self, make: Callable[[], nn.Module]) -> nn.Module:
        """The table of distances, or one a layer."""
        return make() if self.tables is None else LayerTables(make() for _ in range(self.tables))

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies: the table of a layer with the layer, all else before the first."""
        first, _, rest = name.partition('.')
        return int(rest.split('.')[0]) + 1 if first == 'bias' and self.tables is not None else 0

    def behind_class(self, tokens: Tensor) -> Tensor:
        return torch.cat([self.class_token.to(tokens.dtype).expand(len(tokens), 1, -1), tokens], 1)

    def typed(self, tokens: Tensor) -> Tensor:
        """With the vectors of their type."""
        if self.types is None:
            return tokens
        tokens = tokens + self.types[0]
        if len(self.types) == 1:
            return tokens
        first, second = tokens.chunk(2)
        return torch.cat([first, second + self.types[1]])


class SequenceBias(nn.Module):
    """A number for each head and bucket of distances, -1023 to 1023: up to half of the buckets one a distance, then
    ever wider; three more for the class token in front.

    Args:
        buckets: of a direction.
    """

    def __init__(self, num_heads: int, buckets: int):
        super().__init__()
        self.buckets = buckets
        self.table = nn.Parameter(torch.zeros(2 * buckets - 1 + 3, num_heads))

    def forward(self, length: int) -> Tensor:
        """heads N N, of a class token and N - 1 more."""
        index = sequence_index(length, self.buckets).to(self.table.device)
        return self.table.t().index_select(1, index.flatten()).view(-1, length, length)


def sequence_index(length: int, buckets: int, furthest: int = 1023) -> Tensor:
    """N N: rows of the table; the first row and column are those of the class token."""
    place = torch.arange(length - 1)
    distance = place[:, None] - place
    near, size = buckets // 2, distance.abs()
    steps = (size.clamp(min=near).double() / near).log() / math.log(furthest / near) * (near - 1)
    far = distance.sign() * (near + steps.ceil().long())
    index = torch.empty(length, length, dtype=torch.long)
    index[1:, 1:] = torch.where(size < near, distance, far).clamp(1 - buckets, buckets - 1) + buckets - 1
    index[0], index[:, 0], index[0, 0] = 2 * buckets - 1, 2 * buckets, 2 * buckets + 1
    return index


@MODELS.register_module()
class StemTower(Adapter):
    """Images: three convolutions without overlap (hMLP, https://arxiv.org/abs/2203.09795), 16 pixels a token.

    Args:
        arch: of the whole model.
        image_size: that the places, and the bias, were learned on.
        bias_size: that the bias was learned on, where it is another.
        layer_tables, types: see :class:`Adapter`.
    """

    def __init__(
        self,
        arch: str | dict = '4b',
        image_size: int = 256,
        bias_size: int | None = None,
        layer_tables: bool = False,
        types: int = 0,
        init_cfg: dict | None = None,
    ):
        super().__init__(arch, layer_tables, types, init_cfg)
        dims, quarter = self.embed_dims, self.embed_dims // 4
        self.stem = nn.Sequential(
            nn.Conv2d(3, quarter, 4, 4),
            LastNorm(quarter),
            nn.GELU(),
            nn.Conv2d(quarter, quarter, 2, 2),
            LastNorm(quarter),
            nn.GELU(),
            nn.Conv2d(quarter, dims, 2, 2),
        )
        side = image_size // 16
        self.positions = nn.Parameter(torch.empty(1 + side * side, dims))
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.window = (side, side)
        window = ((bias_size or image_size) // 16,) * 2
        self.bias = self.distances(partial(RelativeBiasTable, self.num_heads, window, class_token=True))

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of tokens."""
        return tuple(side // 16 for side in images.shape[2:])

    def forward(self, batch: Tensor) -> State:
        if any(side % 16 for side in batch.shape[2:]):
            size = 'x'.join(map(str, batch.shape[2:]))
            raise ValueError(f'images of {size} pixels; both sides should be multiples of 16')
        maps = self.stem(batch)
        size = maps.shape[2:]
        tokens = self.behind_class(maps.flatten(2).transpose(1, 2))
        grid = resize_grid(self.positions[1:].unflatten(0, self.window), size).flatten(0, 1)
        return State(self.typed(tokens + torch.cat([self.positions[:1], grid])), bias=self.bias(size))


class LastNorm(nn.LayerNorm):
    """Of the channels of a map B C ..."""

    def forward(self, x: Tensor) -> Tensor:
        return super().forward(x.movedim(1, -1)).movedim(-1, 1)


@MODELS.register_module()
class PlacedWords(Adapter):
    """Texts: words and learned places; the class token stands before them.

    Args:
        vocab_size: rows of the table; the published one lacks the mask at the end of RoBERTa's vocabulary.
        max_length: places, the class token's included.
        buckets: see :class:`SequenceBias`; layer_tables, types: see :class:`Adapter`.
    """

    def __init__(
        self,
        vocab_size: int = 50264,
        arch: str | dict = '4b',
        max_length: int = 514,
        buckets: int = 256,
        layer_tables: bool = False,
        types: int = 0,
        init_cfg: dict | None = None,
    ):
        super().__init__(arch, layer_tables, types, init_cfg)
        self.words = nn.Embedding(vocab_size, self.embed_dims)
        self.positions = nn.Parameter(torch.empty(max_length, self.embed_dims))
        nn.init.normal_(self.words.weight, std=self.embed_dims**-0.5)
        nn.init.trunc_normal_(self.positions, std=0.02)
        self.bias = self.distances(partial(SequenceBias, self.num_heads, buckets))

    def forward(self, batch: Texts) -> State:
        length = batch.ids.shape[1] + 1
        if length > len(self.positions):
            raise ValueError(f'a text of {length - 1} tokens; this model knows {len(self.positions) - 1} places')
        tokens = self.behind_class(self.words(batch.ids)) + self.positions[:length]
        return State(self.typed(tokens), F.pad(batch.keep, (1, 0), value=True), bias=self.bias(length))


@dataclass
class Waves:
    """Sound of a batch.

    Args:
        samples: B T, padded at the end, each with mean 0 and deviation 1 over its own length.
        lengths: B, samples of each.
    """

    samples: Tensor
    lengths: Tensor

    def __len__(self) -> int:
        return len(self.samples)


@MODELS.register_module()
class WaveInputs(Inputs):
    """Samples T of each item, of one rate (`mmparts.LoadSound` sees to it) -> :class:`Waves`.

    Args:
        least: shorter clips are padded to so many samples; the convolutions need 400.

    Raises:
        ValueError: a clip has several channels or no sample.
    """

    def __init__(self, least: int = 400):
        super().__init__()
        self.least = least

    def forward(self, given: Sequence[Tensor], device: torch.device) -> Waves:
        for index, wave in enumerate(given):
            if wave.ndim != 1 or not len(wave):
                raise ValueError(f'item {index} of the batch has sound of shape {tuple(wave.shape)}; it should be T')
        waves = [wave.float().to(device) for wave in given]
        count = max(self.least, *(len(wave) for wave in waves))
        normed = [F.pad(F.layer_norm(wave, wave.shape), (0, count - len(wave))) for wave in waves]
        return Waves(torch.stack(normed), torch.tensor([max(len(wave), self.least) for wave in waves], device=device))

    def example(self, size: Sequence[int], random: torch.Generator) -> Tensor:
        return torch.randn(1600, generator=random)

    def unprocessed(self, given: Sequence[Tensor], device: torch.device | str) -> Waves:
        return self(given, device)


CONVS = ((10, 5), *[(3, 2)] * 4, *[(2, 2)] * 2)  # kernel and stride: one frame in 320 samples


@MODELS.register_module()
class WaveTower(Adapter):
    """Sound at 16 kHz: seven convolutions to a frame each 20 ms, five more that tell their place.

    Args:
        conv_dims: channels of the seven.
        kernel_size, groups: of the five.
        buckets: see :class:`SequenceBias`; layer_tables: see :class:`Adapter`.
    """

    tiny = dict(arch=TINY, conv_dims=16)

    def __init__(
        self,
        arch: str | dict = '4b',
        conv_dims: int = 512,
        kernel_size: int = 19,
        groups: int = 16,
        num_places: int = 5,
        buckets: int = 512,
        layer_tables: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(arch, layer_tables, init_cfg=init_cfg)
        dims = self.embed_dims
        widths = [1] + [conv_dims] * len(CONVS)
        self.convs = nn.ModuleList(
            nn.Sequential(nn.Conv1d(before, after, *each, bias=False), LastNorm(after), nn.GELU())
            for before, after, each in zip(widths, widths[1:], CONVS)
        )
        self.norm, self.linear = nn.LayerNorm(conv_dims), nn.Linear(conv_dims, dims)
        place = partial(nn.Conv1d, dims, dims, kernel_size, padding=kernel_size // 2, groups=groups)
        self.places = nn.ModuleList(place() for _ in range(num_places))
        self.class_place = nn.Parameter(torch.zeros(dims))
        self.mask_token = nn.Parameter(torch.zeros(dims), requires_grad=False)  # dead, also in the published code
        nn.init.trunc_normal_(self.class_place, std=0.02)
        self.bias = self.distances(partial(SequenceBias, self.num_heads, buckets))

    def forward(self, batch: Waves) -> State:
        x, counts = batch.samples[:, None], batch.lengths
        for (kernel, stride), conv in zip(CONVS, self.convs):
            x, counts = conv(x), (counts - kernel) // stride + 1
        x = self.linear(self.norm(x.transpose(1, 2)))
        keep = torch.arange(x.shape[1], device=x.device) < counts[:, None]

        place = x
        for conv in self.places:
            place = conv((place * keep[..., None]).transpose(1, 2)).transpose(1, 2)
            place = F.gelu(F.layer_norm(place, place.shape[-1:]))
        place = torch.cat([self.class_place.to(x.dtype).expand(len(x), 1, -1), place], 1)
        tokens = self.behind_class(x) + place
        return State(tokens, F.pad(keep, (1, 0), value=True), bias=self.bias(tokens.shape[1]))
