"""DETR with its LayerNorms before attention and feed-forward, as UP-DETR and DETReg's DETR have it.

The encoder's output then needs a norm of its own; the decoder's has one in both forms (`output_norm=True`).
"""

from torch import Tensor, nn

from ...registry import MODELS
from ..decoder import DecoderLayer, QueryDecoder
from ..encoder import DenseEncoder, DenseEncoderLayer
from ..structures import Memory


class PreNormEncoderLayer(DenseEncoderLayer):
    order = 'pre'


@MODELS.register_module()
class PreNormEncoder(DenseEncoder):
    """:class:`DenseEncoder` of pre-norm layers."""

    layer_type: type[DenseEncoderLayer] = PreNormEncoderLayer

    def __init__(self, embed_dims: int = 256, **kwargs):
        super().__init__(embed_dims, **kwargs)
        self.norm = nn.LayerNorm(embed_dims)

    def forward(self, feats: list[Tensor], keeps: list[Tensor] | None) -> Memory:
        memory = super().forward(feats, keeps)
        memory.tokens = self.norm(memory.tokens)
        return memory


class PreNormDecoderLayer(DecoderLayer):
    order = 'pre'


@MODELS.register_module()
class PreNormDecoder(QueryDecoder):
    """:class:`QueryDecoder` of pre-norm layers."""

    layer_type: type[DecoderLayer] = PreNormDecoderLayer
