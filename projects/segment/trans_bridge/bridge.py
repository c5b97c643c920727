"""One transformer over the tokens of several levels, between encoder and decoder (TransBridge, Deng et al., ASMUS
2021).

An interpretation: no code is public, and of the text only the abstract could be read: transformer layers fuse the
features of several levels; their patches are made by dense division and shuffled group convolution, to spare
parameters. Here a patch of p x p places becomes p*p times as many channels at one place, which are shuffled so that
every group of the convolution that follows has places of the whole patch.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.position import sine_code
from ...layers.token_block import TokenBlocks
from ...registry import MODELS
from ..restore import enlarge


class ShuffledGroupEmbed(nn.Module):
    """B C H W -> B D H/p W/p; p*p*C*D/groups weights and D biases.

    Args:
        patch_size: p.
        groups: of the convolution; must divide p*p*C and D.
        shuffle: whether channels are shuffled before.
    """

    def __init__(self, in_channels: int, embed_dims: int, patch_size: int, groups: int = 4, shuffle: bool = True):
        super().__init__()
        joined = in_channels * patch_size**2
        if joined % groups or embed_dims % groups:
            raise ValueError(f'groups {groups} must divide {joined} channels of a patch and embed_dims {embed_dims}')
        self.patch_size, self.groups, self.shuffle = patch_size, groups, shuffle
        self.proj = nn.Conv2d(joined, embed_dims, 1, groups=groups)

    def forward(self, x: Tensor) -> Tensor:
        places = F.pixel_unshuffle(x, self.patch_size).unflatten(1, (x.shape[1], -1))
        x = places.transpose(1, 2).flatten(1, 2)  # all channels of a place, then those of the next
        if self.shuffle:
            x = shuffled(x, self.groups)
        return self.proj(x)


def shuffled(x: Tensor, groups: int) -> Tensor:
    """Channel i goes to group i modulo their number, so that a group has channels of all places."""
    return x.unflatten(1, (-1, groups)).transpose(1, 2).flatten(1, 2)


@MODELS.register_module()
class LevelBridge(BaseModule):
    """The coarsest maps, each plus what a transformer over the tokens of all of them makes of it.

    Args:
        levels: how many maps are bridged, the coarsest first.
        groups, shuffle: see :class:`ShuffledGroupEmbed`.
        bridged: off, the maps stay (an ablation).
    """

    tiny = dict(num_heads=4)

    def __init__(
        self,
        in_channels: Sequence[int],
        strides: Sequence[int],
        levels: int = 3,
        embed_dims: int = 128,
        num_layers: int = 3,
        num_heads: int = 8,
        mlp_ratio: float = 2.0,
        groups: int = 4,
        shuffle: bool = True,
        bridged: bool = True,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.channels, self.levels, self.bridged = tuple(in_channels), levels, bridged
        widths = in_channels[-levels:]
        patches = [strides[-1] // stride for stride in strides[-levels:]]
        self.embeds = nn.ModuleList(
            ShuffledGroupEmbed(width, embed_dims, patch, groups, shuffle) for width, patch in zip(widths, patches)
        )
        self.level_code = nn.Parameter(torch.zeros(levels, embed_dims))
        nn.init.trunc_normal_(self.level_code, std=0.02)
        self.blocks = TokenBlocks(num_layers, embed_dims, num_heads, int(mlp_ratio * embed_dims), with_cp=with_cp)
        self.norm = nn.LayerNorm(embed_dims)
        self.outs = nn.ModuleList(nn.Conv2d(embed_dims, width, 1) for width in widths)
        self.stride = strides[-1]

    def forward(self, maps: Sequence[Tensor]) -> list[Tensor]:
        if not self.bridged:
            return list(maps)
        fine, coarse = list(maps[: -self.levels]), list(maps[-self.levels :])
        grids = [embed(each) for embed, each in zip(self.embeds, coarse)]
        size = tuple(grids[0].shape[2:])
        code = sine_code(size, len(self.level_code[0]), grids[0].device).flatten(0, 1)

        tokens = [grid.flatten(2).transpose(1, 2) + code + level for grid, level in zip(grids, self.level_code)]
        tokens = self.norm(self.blocks(torch.cat(tokens, dim=1)))

        parts = tokens.transpose(1, 2).chunk(self.levels, dim=2)
        found = [out(part.unflatten(2, size)) for out, part in zip(self.outs, parts)]
        return fine + [each + enlarge(new, tuple(each.shape[2:])) for each, new in zip(coarse, found)]

    def check_size(self, size: Sequence[int]):
        if any(side % self.stride for side in size):
            right = [-(-side // self.stride) * self.stride for side in size]
            raise ValueError(
                f'image {size[0]}x{size[1]} is not a multiple of {self.stride}; pad to {right[0]}x{right[1]}'
            )
