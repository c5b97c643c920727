"""Perceiver and Perceiver IO as choices of parts, and as a backbone.

Papers: https://arxiv.org/abs/2103.03206, https://arxiv.org/abs/2107.14795 (code: google-deepmind/deepmind-research,
folder perceiver; of the first paper none was released). What differs:

* GELU is the official one with tanh by default; transformers computes the exact one (`gelu='erf'` in every part);
* a padded output query is decoded as any other, and who reads the outputs leaves it out. The official code lets it find
  zeros, which the bias and the MLP turn into numbers, too.
"""

from collections.abc import Mapping, Sequence

from mmengine.model import BaseModule
from torch import Tensor

from ..registry import MODELS, build_part, resolve
from .arrays import InputArray
from .decoder import MeanDecoder
from .encoder import LatentEncoder


@MODELS.register_module()
class Perceiver(BaseModule):
    """
    ::

        data -> inputs -> array -> encoder -> latents -> decoder <- queries -> outputs

    As a backbone (of `Classifier`, or of a segmentor) it gives one vector B C where it has one output, and a map where
    its outputs lie on one, and publishes ``channels`` and ``strides``.

    Args:
        inputs: an adapter, see inputs.py.
        encoder: see encoder.py.
        decoder: see decoder.py.
        queries: see queries.py; None for decoders that take none.

    Raises:
        ValueError: a decoder and queries that do not go together.
    """

    def __init__(
        self,
        inputs: dict,
        encoder: dict = dict(type=LatentEncoder),
        decoder: dict = dict(type=MeanDecoder),
        queries: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self._check(decoder, queries)
        self.inputs = build_part(inputs)
        self.encoder = build_part(encoder, in_channels=self.inputs.channels)
        shared = dict(in_channels=self.inputs.channels, stride=self.inputs.stride)
        self.queries = build_part(queries, **shared) if queries else None
        widths = dict(latent_dims=self.encoder.embed_dims)
        if queries:
            widths['query_dims'] = self.queries.channels
        self.decoder = build_part(decoder, **widths)
        self.in_channels = getattr(self.inputs, 'in_channels', None)
        self.channels, self.strides = (self.decoder.channels,), (self._stride(),)

    @staticmethod
    def _check(decoder: dict, queries: dict | None) -> None:
        kind = resolve(decoder)
        if kind.takes_queries and not queries:
            raise ValueError(
                f'{kind.__name__} decodes by queries, and there are none; write `queries=dict(...)` (VectorQueries, '
                'PositionQueries, InputQueries), or take a MeanDecoder'
            )
        if queries and not kind.takes_queries:
            raise ValueError(
                f'{kind.__name__} reads no queries, but there are {resolve(queries).__name__}; take a LatentDecoder, '
                'or write queries=None'
            )

    @property
    def image_size(self) -> tuple[int, ...] | None:
        """The only size of inputs that it takes; None: any."""
        return self.inputs.data_size

    def _stride(self) -> int:
        return (self.queries.stride if self.queries else None) or self.inputs.stride

    def forward(self, data) -> tuple[Tensor]:
        """As a backbone: one B C, or one B C *size."""
        array, latents = self.encode(data)
        outputs = self.decode(array, latents)
        size = self.queries.size(array) if self.queries is not None else ()
        if outputs.shape[1] == 1:
            return (outputs[:, 0],)
        if not size:
            raise ValueError(
                f'{outputs.shape[1]} outputs that lie on no map; a backbone gives one vector or a map: take '
                'VectorQueries(num_queries=1), PositionQueries or InputQueries'
            )
        return (outputs.transpose(1, 2).unflatten(2, size),)

    def encode(self, data, mask: Tensor | None = None) -> tuple[InputArray, Tensor]:
        """The array, and its latents B N C."""
        array = self.inputs(data, mask)
        return array, self.encoder(array)

    def decode(self, array: InputArray, latents: Tensor, points: Tensor | Mapping[str, Tensor] | None = None) -> Tensor:
        """Outputs, B O C; of all queries, or of those that ``points`` name."""
        queries = self.queries(array, points) if self.queries is not None else None
        return self.decoder(latents, queries)

    def looks(self, data, mask: Tensor | None = None) -> tuple[list[Tensor], Sequence[int]]:
        """What the latents look at in each cross-attend, B heads N M each, and the sides of the map of the array."""
        array = self.inputs(data, mask)
        return self.encoder.looks(array), array.size
