"""From a backbone's outputs to logits."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.attention import MultiheadAttention
from ..registry import MODELS


class ClassHead(BaseModule):
    """A head ends in one linear layer, `fc`; checkpoints are read by this name.

    Args:
        width: channels that `fc` reads.
        init_std: deviation of its weights at the start; 0 (the official ViT): zeros.

    Attributes:
        num_maps: outputs of the backbone that it reads.
    """

    num_maps: int = 1

    def __init__(self, width: int, num_classes: int, init_std: float, init_cfg: dict | None):
        super().__init__(init_cfg)
        self.num_classes = num_classes
        self.fc = nn.Linear(width, num_classes)
        nn.init.trunc_normal_(self.fc.weight, std=init_std) if init_std else nn.init.zeros_(self.fc.weight)
        nn.init.zeros_(self.fc.bias)


def pooled(feature: Tensor) -> Tensor:
    """B C H W -> B C, the mean; B C as it is."""
    return feature.mean((2, 3)) if feature.ndim == 4 else feature


@MODELS.register_module()
class LinearClassHead(ClassHead):
    """A linear layer on the mean of the last map, or on the vector that the backbone gives.

    Args:
        in_channels: of the backbone's outputs; the last is read.
        hidden_dims: of a layer with tanh before it (ViT's ``pre_logits``, in pre-training); None: none.
        dropout: before the last layer.

    >>> LinearClassHead([16, 32], num_classes=10)([torch.zeros(2, 16, 8, 8), torch.zeros(2, 32, 4, 4)]).shape
    torch.Size([2, 10])
    """

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int = 1000,
        hidden_dims: int | None = None,
        dropout: float = 0.0,
        init_std: float = 0.02,
        init_cfg: dict | None = None,
    ):
        super().__init__(hidden_dims or in_channels[-1], num_classes, init_std, init_cfg)
        self.pre_logits = nn.Linear(in_channels[-1], hidden_dims) if hidden_dims else None
        self.dropout = nn.Dropout(dropout)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        """B C H W, or B C, each -> B K."""
        x = pooled(features[-1])
        if self.pre_logits is not None:
            x = self.pre_logits(x).tanh()
        return self.fc(self.dropout(x))


@MODELS.register_module()
class ConvClassHead(ClassHead):
    """InternImage T to XL: a convolution of kernel 1 to half as many channels more, norm, GELU, the mean, a linear
    layer."""

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int = 1000,
        ratio: float = 1.5,
        init_std: float = 0.02,
        init_cfg: dict | None = None,
    ):
        width = int(ratio * in_channels[-1])
        super().__init__(width, num_classes, init_std, init_cfg)
        self.conv = nn.Conv2d(in_channels[-1], width, 1, bias=False)
        self.norm, self.act = nn.BatchNorm2d(width), nn.GELU()

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        return self.fc(pooled(self.act(self.norm(self.conv(features[-1])))))


@MODELS.register_module()
class AttentionClassHead(ClassHead):
    """InternImage H and G: the two last maps on one grid, and attention from their mean to all places.

    The last map is spread to twice its sides (pixel shuffle) and added to the one before; each of query, keys and
    values has a norm of its own.

    Args:
        embed_dims: of the joint map.
        out_dims: of the attention's output.
    """

    num_maps = 2

    def __init__(
        self,
        in_channels: Sequence[int],
        num_classes: int = 1000,
        embed_dims: int = 1024,
        out_dims: int = 768,
        num_heads: int = 16,
        init_std: float = 0.02,
        init_cfg: dict | None = None,
    ):
        super().__init__(out_dims, num_classes, init_std, init_cfg)
        self.coarse = nn.Conv2d(in_channels[-1], 4 * embed_dims, 1)
        self.spread = nn.PixelShuffle(2)
        self.fine = nn.Conv2d(in_channels[-2], embed_dims, 1)
        self.norms = nn.ModuleList(nn.LayerNorm(embed_dims, eps=1e-6) for _ in range(3))
        self.attn = MultiheadAttention(embed_dims, num_heads)
        self.attn.out_proj = nn.Linear(embed_dims, out_dims)
        self.norm = nn.LayerNorm(out_dims, eps=1e-6)

    def forward(self, features: Sequence[Tensor]) -> Tensor:
        fine, coarse = self.fine(features[-2]), self.spread(self.coarse(features[-1]))
        tokens = (coarse[..., : fine.shape[2], : fine.shape[3]] + fine).flatten(2).transpose(1, 2)
        mean = tokens.mean(1, keepdim=True)
        query, key, value = (norm(x) for norm, x in zip(self.norms, (mean, tokens, tokens)))
        return self.fc(self.norm(self.attn(query, key, value)[:, 0]))
