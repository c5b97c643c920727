"""A transformer layer on the coarsest map of a backbone, all places to all: what HTC++ adds before its pyramid ("Swin
Transformer", https://arxiv.org/abs/2103.14030, appendix A2.2; `ExtraAttention` of ViT-Adapter's detection code)."""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.token_block import TokenBlock
from ..registry import MODELS


@MODELS.register_module()
class LastMapAttention(BaseModule):
    """A neck before the neck: the last map goes through a layer and a norm, the others stay as they are.

    Args:
        in_channels: of the backbone's last map.
        drop_path: of the layer's two branches.

    Raises:
        ValueError: channels that the heads do not divide.

    >>> neck = LastMapAttention(32, num_heads=4)
    >>> [tuple(level.shape) for level in neck([torch.zeros(2, 16, 8, 6), torch.zeros(2, 32, 4, 3)])]
    [(2, 16, 8, 6), (2, 32, 4, 3)]
    """

    def __init__(
        self, in_channels: int, num_heads: int = 32, drop_path: float = 0.0, init_cfg: dict | list | None = None
    ):
        super().__init__(init_cfg)
        self.block = TokenBlock(in_channels, num_heads, drop_path=drop_path)
        self.norm = nn.LayerNorm(in_channels)

    def forward(self, maps: Sequence[Tensor]) -> tuple[Tensor, ...]:
        """Maps B C H W, of which the last has ``in_channels`` -> maps of the same sizes."""
        *others, last = maps
        tokens = self.norm(self.block(last.flatten(2).transpose(1, 2)))
        return *others, tokens.transpose(1, 2).unflatten(2, last.shape[2:])
