"""Words and regions, embedded but not yet normed: BERT's own embeddings, and as many for what a detector has found.

Paper: https://arxiv.org/abs/1908.03557, section 3.2. Code: uclanlp/visualbert.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

import torch
from torch import Tensor, nn

from ...registry import MODELS
from ...structures import ItemRegions
from ..bert import TINY, BertEmbeddings, bert_arch, init_bert
from ..preprocessor import Inputs
from ..roles import Tower
from ..states import State, Texts


@dataclass
class Regions:
    """What a detector has found in a batch of images.

    Args:
        features: B R D, padded at the end.
        keep: B R, bool, True where there is a region.
        types: B R, which of several images a region is of; None: all are of one.
        words: B R A, places of the words in the text that a region is aligned with, -1 for none; None: nobody knows.
    """

    features: Tensor
    keep: Tensor
    types: Tensor | None = None
    words: Tensor | None = None

    def __len__(self) -> int:
        return len(self.features)

    def to(self, *args, **kwargs) -> 'Regions':
        made = {one.name: getattr(self, one.name) for one in fields(self)}
        return replace(self, **{name: each.to(*args, **kwargs) for name, each in made.items() if each is not None})


@MODELS.register_module()
class RegionInputs(Inputs):
    """R D of each item, an `ItemRegions`, or such a dict -> :class:`Regions`.

    Args:
        dims: channels of the features, for messages and examples.
    """

    def __init__(self, dims: int = 2048):
        super().__init__()
        self.dims = dims

    def forward(self, given: Sequence[Tensor | ItemRegions | Mapping[str, Tensor]], device: torch.device) -> Regions:
        items = [one.known() if isinstance(one, ItemRegions) else one for one in given]
        items = [one if isinstance(one, Mapping) else dict(features=one) for one in items]
        for index, item in enumerate(items):
            shape = tuple(item['features'].shape)
            if len(shape) != 2 or shape[1] != self.dims or not shape[0]:
                raise ValueError(
                    f'item {index} of the batch has region features of shape {shape}, this model was built for R x '
                    f'{self.dims} with one region or more: features of another detector, or of another of its layers'
                )
        count = max(len(item['features']) for item in items)
        features = torch.stack([padded(item['features'].float(), count, 0.0) for item in items])
        keep = torch.stack([torch.arange(count) < len(item['features']) for item in items])
        types = words = None
        if 'types' in items[0]:
            types = torch.stack([padded(item['types'].long(), count, 0) for item in items])
        if 'words' in items[0]:
            most = max(item['words'].shape[1] for item in items)
            rows = [padded(item['words'].long().T, most, -1).T for item in items]
            words = torch.stack([padded(row, count, -1) for row in rows])
        return Regions(features, keep, types, words).to(device)

    def example(self, size: Sequence[int], random: torch.Generator) -> Tensor:
        return torch.randn(3, self.dims, generator=random)

    def unprocessed(self, given: Sequence[Any], device: torch.device | str) -> Regions:
        return self(given, device)


def padded(x: Tensor, count: int, value: float) -> Tensor:
    """The first axis filled up to ``count``, or cut."""
    rest = x.new_full((max(count - len(x), 0), *x.shape[1:]), value)
    return torch.cat([x[:count], rest])


@MODELS.register_module()
class BertWords(Tower):
    """Sums of BERT's embeddings of words, places and segments; the norm of the sum is the fusion's.

    Args:
        arch: of the BERT.
        segments: tokens after the first [SEP] are of the second segment.
    """

    tiny = dict(arch=TINY)

    def __init__(
        self,
        vocab_size: int = 30522,
        arch: str | dict = 'base',
        max_length: int = 512,
        num_types: int = 2,
        segments: bool = True,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.embed_dims = bert_arch(arch)['embed_dims']
        whole = BertEmbeddings(vocab_size, self.embed_dims, max_length, num_types)
        self.words, self.positions, self.types = whole.words, whole.positions, whole.types
        self.segments, self.end = segments, None
        init_bert(self, arch)

    def bind(self, model):
        self.end = getattr(model.tokenizer, 'eos_id', None)

    def forward(self, batch: Texts) -> State:
        length = batch.ids.shape[1]
        if length > self.positions.num_embeddings:
            raise ValueError(f'a text of {length} tokens; this model knows {self.positions.num_embeddings} places')
        tokens = self.words(batch.ids) + self.positions.weight[:length]
        return State(tokens + self.types(self.segment(batch.ids)), batch.keep)

    def segment(self, ids: Tensor) -> Tensor:
        """T S: 0 up to the first [SEP], then 1."""
        if not self.segments or self.end is None:
            return torch.zeros_like(ids)
        ends = (ids == self.end).long()
        return (ends.cumsum(1) - ends).clamp(max=1)


@MODELS.register_module()
class RegionTower(Tower):
    """Features of regions, projected, with embeddings of their type and place of their own.

    A region that is aligned with words gets the mean of those words' places; all have the visual place 0.

    Args:
        dims: channels of the features.
        text: name of the text tower, whose table of places is used for alignment.
    """

    tiny = dict(arch=TINY)

    def __init__(
        self,
        dims: int = 2048,
        arch: str | dict = 'base',
        max_length: int = 512,
        num_types: int = 2,
        text: str = 'text',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.embed_dims = bert_arch(arch)['embed_dims']
        self.projection = nn.Linear(dims, self.embed_dims)
        self.positions = nn.Embedding(max_length, self.embed_dims)
        self.types = nn.Embedding(num_types, self.embed_dims)
        self.text, self.dims = text, dims
        init_bert(self, arch)

    def bind(self, model):
        tower = dict(model.towers.items()).get(self.text)
        self.words = (tower.positions if hasattr(tower, 'positions') else None,)  # a tuple: it is the text tower's
        if tower is not None and hasattr(tower, 'positions') and tower.embed_dims == self.embed_dims:
            self.start_as(tower)

    @torch.no_grad()
    def start_as(self, tower):
        """Tables start as copies of those of the text."""
        for mine, other in ((self.positions, tower.positions), (self.types, tower.types)):
            if mine.weight.shape == other.weight.shape:
                mine.weight.copy_(other.weight)

    def forward(self, batch: Regions) -> State:
        if batch.features.shape[-1] != self.dims:
            raise ValueError(f'region features have {batch.features.shape[-1]} channels, this tower reads {self.dims}')
        types = batch.keep.new_zeros(batch.keep.shape, dtype=torch.long) if batch.types is None else batch.types
        tokens = self.projection(batch.features) + self.types(types) + self.positions.weight[0]
        if batch.words is not None:
            tokens = tokens + self.aligned(batch.words)
        return State(tokens, batch.keep)

    def aligned(self, words: Tensor) -> Tensor:
        """B R C: means of the words' places."""
        if self.words[0] is None:
            raise ValueError(f'regions are aligned with words, and the tower of {self.text!r} has no table of places')
        known = words >= 0
        places = self.words[0](words.clamp(min=0)) * known[..., None]
        return places.sum(2) / known.sum(2, keepdim=True).clamp(min=1)
