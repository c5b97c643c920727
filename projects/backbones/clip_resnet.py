"""CLIP's ResNets: a stem of three convolutions, strides by average pooling, attention instead of the mean
(https://arxiv.org/abs/2103.00020, section 2.4; code openai/CLIP).

What differs: any input size; the position table of the attention pool follows it (bicubic).
"""

from collections import OrderedDict
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.position import resize_grid
from ..registry import MODELS

ARCHS = {
    'rn50': dict(num_blocks=(3, 4, 6, 3), width=64, out_dims=1024, image_size=224),
    'rn101': dict(num_blocks=(3, 4, 23, 3), width=64, out_dims=512, image_size=224),
    'rn50x4': dict(num_blocks=(4, 6, 10, 6), width=80, out_dims=640, image_size=288),
    'rn50x16': dict(num_blocks=(6, 8, 18, 8), width=96, out_dims=768, image_size=384),
    'rn50x64': dict(num_blocks=(3, 15, 36, 10), width=128, out_dims=1024, image_size=448),
}
EXPANSION = 4
STRIDE = 32


class Bottleneck(nn.Module):
    """Kernels 1, 3 and 1, all of stride 1; a stride is a mean over 2x2 after the second, and in the shortcut."""

    def __init__(self, in_channels: int, width: int, stride: int):
        super().__init__()
        out = width * EXPANSION
        self.conv1, self.bn1 = nn.Conv2d(in_channels, width, 1, bias=False), nn.BatchNorm2d(width)
        self.conv2, self.bn2 = nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(stride) if stride > 1 else nn.Identity()
        self.conv3, self.bn3 = nn.Conv2d(width, out, 1, bias=False), nn.BatchNorm2d(out)
        self.shortcut = None
        if stride > 1 or in_channels != out:
            self.shortcut = nn.Sequential(
                OrderedDict(
                    pool=nn.AvgPool2d(stride), conv=nn.Conv2d(in_channels, out, 1, bias=False), bn=nn.BatchNorm2d(out)
                )
            )

    def forward(self, x: Tensor) -> Tensor:
        out = self.bn1(self.conv1(x)).relu()
        out = self.bn2(self.conv2(out)).relu()
        out = self.bn3(self.conv3(self.pool(out)))
        return (out + (x if self.shortcut is None else self.shortcut(x))).relu()


class AttentionPool(nn.Module):
    """The mean of a map attends to the map: B C H W -> B out_dims.

    Args:
        size: rows and columns of the map that the positions were learned on.
    """

    def __init__(self, embed_dims: int, size: Sequence[int], num_heads: int, out_dims: int):
        super().__init__()
        self.num_heads = num_heads
        self.mean_position = nn.Parameter(torch.randn(embed_dims) * embed_dims**-0.5)
        self.position = nn.Parameter(torch.randn(*size, embed_dims) * embed_dims**-0.5)
        self.q_proj, self.k_proj, self.v_proj = (nn.Linear(embed_dims, embed_dims) for _ in range(3))
        self.c_proj = nn.Linear(embed_dims, out_dims)
        for linear in (self.q_proj, self.k_proj, self.v_proj, self.c_proj):
            nn.init.normal_(linear.weight, std=embed_dims**-0.5)

    def forward(self, x: Tensor) -> Tensor:
        tokens = x.flatten(2).transpose(1, 2)
        places = resize_grid(self.position, x.shape[2:]).flatten(0, 1)
        mean = tokens.mean(1, keepdim=True) + self.mean_position
        tokens = torch.cat([mean, tokens + places], 1)
        query, key, value = (
            each.unflatten(-1, (self.num_heads, -1)).transpose(1, 2)
            for each in (self.q_proj(mean), self.k_proj(tokens), self.v_proj(tokens))
        )
        out = F.scaled_dot_product_attention(query, key, value)
        return self.c_proj(out.transpose(1, 2).flatten(2))[:, 0]


@MODELS.register_module()
class ClipResNet(BaseModule):
    """Publishes ``channels`` and ``strides``.

    Args:
        arch: one of :data:`ARCHS`, or a dict of `num_blocks, width, out_dims, image_size`.
        out: 'pooled': one B out_dims of the attention pool; 'maps': the maps of `out_indices`, and no pool (as a
            detector's backbone).
        out_indices: stages (from 0) whose map is given.
        image_size: side, or height and width, of the images that the pool's positions are for; default: the arch's.
    """

    tiny = dict(arch=dict(num_blocks=(1, 1, 1, 1), width=8, out_dims=16, image_size=64), image_size=64)

    def __init__(
        self,
        arch: str | dict = 'rn50',
        out: str = 'pooled',
        out_indices: Sequence[int] = (0, 1, 2, 3),
        image_size: int | Sequence[int] | None = None,
        in_channels: int = 3,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        if isinstance(arch, str) and arch not in ARCHS:
            raise ValueError(f'arch={arch!r} is unknown; choose from {list(ARCHS)}')
        if out not in ('pooled', 'maps'):
            raise ValueError(f"out={out!r} is unknown; choose from 'pooled', 'maps'")
        arch = ARCHS[arch] if isinstance(arch, str) else arch
        width, self.in_channels, self.out = arch['width'], in_channels, out
        half = width // 2
        self.conv1, self.bn1 = nn.Conv2d(in_channels, half, 3, 2, 1, bias=False), nn.BatchNorm2d(half)
        self.conv2, self.bn2 = nn.Conv2d(half, half, 3, padding=1, bias=False), nn.BatchNorm2d(half)
        self.conv3, self.bn3 = nn.Conv2d(half, width, 3, padding=1, bias=False), nn.BatchNorm2d(width)
        self.pool = nn.AvgPool2d(2)

        self.stages, channels = nn.ModuleList(), width
        for stage, count in enumerate(arch['num_blocks']):
            blocks = []
            for index in range(count):
                blocks.append(Bottleneck(channels, width * 2**stage, 2 if stage and not index else 1))
                channels = width * 2**stage * EXPANSION
                nn.init.zeros_(blocks[-1].bn3.weight)
            self.stages.append(nn.Sequential(*blocks))
        self.embed_dims = channels

        self.attn_pool = None
        if out == 'pooled':
            size = image_size or arch['image_size']
            size = (size, size) if isinstance(size, int) else size
            self.attn_pool = AttentionPool(
                channels, [side // STRIDE for side in size], channels // 64, arch['out_dims']
            )
            self.channels, self.strides = (arch['out_dims'],), (STRIDE,)
        else:
            self.out_indices = tuple(out_indices)
            self.channels = tuple(width * 2**i * EXPANSION for i in self.out_indices)
            self.strides = tuple(4 * 2**i for i in self.out_indices)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W -> one B out_dims, or a map B C H/stride W/stride for each output."""
        x = self.bn1(self.conv1(images)).relu()
        x = self.bn2(self.conv2(x)).relu()
        x = self.pool(self.bn3(self.conv3(x)).relu())
        maps = []
        for stage in self.stages:
            x = stage(x)
            maps.append(x)
        if self.attn_pool is not None:
            return (self.attn_pool(x),)
        return tuple(maps[i] for i in self.out_indices)
