"""Several modalities as one array: each adapter's array padded to a common width by a learned vector, one after the
other in the order of their names (Perceiver IO, section 4.3 and appendix)."""

from collections.abc import Mapping

import torch
from torch import Tensor, nn

from ..registry import MODELS, build_part
from .arrays import InputArray
from .inputs import InputAdapter
from .queries import OutputQueries


def padded(array: Tensor, padding: Tensor) -> Tensor:
    """B N C and C' -> B N C+C'."""
    return torch.cat([array, padding.to(array.dtype).expand(*array.shape[:2], -1)], dim=-1)


def learned(dims: int) -> nn.Parameter:
    vector = nn.Parameter(torch.empty(dims))
    nn.init.trunc_normal_(vector, std=0.02)
    return vector


@MODELS.register_module()
class MultimodalInput(InputAdapter):
    """A dict of data by modality.

    Args:
        inputs: name -> adapter.
        min_padding: fewest learned numbers behind each element; the widest modality gets so many.
        mask_rates: name -> chance that an element is replaced by the learned mask token of its modality, in training;
            1: always, also when it predicts. A label that is to be told must be masked always, or it leaks. Tokens of
            rate 0 exist, as in the official code, and are never used.
    """

    def __init__(self, inputs: dict[str, dict], min_padding: int = 4, mask_rates: Mapping[str, float] | None = None):
        super().__init__()
        self.adapters = nn.ModuleDict({name: build_part(inputs[name]) for name in sorted(inputs)})
        self.mask_rates = dict(mask_rates or {})
        strange = set(self.mask_rates) - set(self.adapters)
        if strange:
            raise ValueError(f'mask_rates names {", ".join(strange)}; the inputs are {", ".join(self.adapters)}')
        self.channels = max(each.channels for each in self.adapters.values()) + min_padding
        self.padding = nn.ParameterDict(
            {name: learned(self.channels - each.channels) for name, each in self.adapters.items()}
        )
        self.mask_tokens = nn.ParameterDict({name: learned(self.channels) for name in sorted(self.mask_rates)})

    def forward(self, data: Mapping[str, Tensor], mask: Tensor | None = None) -> InputArray:
        missing = [name for name in self.adapters if name not in data]
        if missing:
            raise ValueError(
                f'no {" and no ".join(missing)} in the inputs, which have {", ".join(data)}; a modality that is always '
                'masked still needs an array, of zeros'
            )
        parts = {name: adapter(data[name]) for name, adapter in self.adapters.items()}
        tokens = [self._masked(name, padded(part.tokens, self.padding[name])) for name, part in parts.items()]
        return InputArray(torch.cat(tokens, dim=1), None, (), parts)

    def _masked(self, name: str, tokens: Tensor) -> Tensor:
        rate = self.mask_rates.get(name)
        if rate is None or (rate < 1 and not self.training):
            return tokens
        where = torch.rand(tokens.shape[:2], device=tokens.device) < rate
        return torch.where(where[..., None], self.mask_tokens[name].to(tokens.dtype), tokens)


@MODELS.register_module()
class MultimodalQueries(OutputQueries):
    """The queries of several modalities, padded to a common width.

    Args:
        queries: name -> queries; those made of inputs belong to the modality of that name.
        min_padding: as of the inputs.
    """

    def __init__(self, queries: dict[str, dict], min_padding: int = 2):
        super().__init__()
        self.parts = nn.ModuleDict({name: build_part(queries[name]) for name in sorted(queries)})
        self.channels = max(each.channels for each in self.parts.values()) + min_padding
        self.padding = nn.ParameterDict(
            {name: learned(self.channels - each.channels) for name, each in self.parts.items()}
        )

    def forward(self, array: InputArray, points: Mapping[str, Tensor] | None = None) -> Tensor:
        points, made = points or {}, []
        for name, part in self.parts.items():
            query = part(array.parts.get(name, array), points.get(name))
            made.append(padded(query, self.padding[name]))
        return torch.cat(made, dim=1)

    def split(
        self, outputs: Tensor, array: InputArray, points: Mapping[str, Tensor] | None = None
    ) -> dict[str, Tensor]:
        """The outputs of each modality."""
        counts = self.counts(array)
        counts.update({name: len(each) for name, each in (points or {}).items()})
        return dict(zip(counts, outputs.split(list(counts.values()), dim=1)))

    def counts(self, array: InputArray) -> dict[str, int]:
        """All outputs of each modality."""
        found = {}
        for name, part in self.parts.items():
            own = array.parts.get(name, array)
            found[name] = part.num or own.tokens.shape[1]
        return found
