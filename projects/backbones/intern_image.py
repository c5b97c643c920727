"""InternImage: a convolutional foundation model around deformable convolution v3.

Paper: https://arxiv.org/abs/2211.05778. Code: OpenGVLab/InternImage. What differs:

* any input size; maps leave before the down-sampling, after the stage's last norm where it has one, as in the detection
  and segmentation codes; the heads of classifiers are `ConvClassHead` (T to XL) and `AttentionClassHead` (H, G);
* the operator is `ops/dcnv3`, whose softmax is taken in float32 under autocast, as the official one's;
* stages after the last of `out_indices` are not built.
"""

from collections.abc import Sequence
from functools import partial

import torch
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from ..layers.mlp import Mlp
from ..layers.token_block import drop_path_rates
from ..ops.dcnv3.api import dcnv3
from ..registry import MODELS

LARGE = dict(kernel_size=5, center_scale=True, layer_scale=None)
ARCHS = {
    'tiny': dict(embed_dims=64, depths=(4, 4, 18, 4), num_groups=(4, 8, 16, 32), order='pre', layer_scale=None),
    'small': dict(embed_dims=80, depths=(4, 4, 21, 4), num_groups=(5, 10, 20, 40)),
    'base': dict(embed_dims=112, depths=(4, 4, 21, 4), num_groups=(7, 14, 28, 56)),
    'large': dict(embed_dims=160, depths=(5, 5, 22, 5), num_groups=(10, 20, 40, 80), offset_scale=2.0),
    'xlarge': dict(embed_dims=192, depths=(5, 5, 24, 5), num_groups=(12, 24, 48, 96), offset_scale=2.0),
    'huge': dict(
        embed_dims=320, depths=(6, 6, 32, 6), num_groups=(10, 20, 40, 80), order='pre-post',
        norm_after=(5, 11, 17, 23, 29), **LARGE,
    ),
    'giant': dict(
        embed_dims=512, depths=(2, 2, 48, 4), num_groups=(16, 32, 64, 128), order='res-post',
        norm_after=tuple(range(5, 48, 6)), **LARGE,
    ),
}  # fmt: skip
ORDERS = ('pre', 'res-post', 'pre-post')
Norm = partial(nn.LayerNorm, eps=1e-6)


class DCNv3(nn.Module):
    """The layer around the operator: projections, and a depth-wise convolution that offsets and weights are made of.

    Args:
        num_groups: of channels, each with points of its own.
        kernel_size: of the depth-wise convolution; the operator's is 3.
        offset_scale: factor of the offsets and of the points' grid.
        center_scale: each group mixes what was sampled with the value at its own place.
    """

    def __init__(self, dims: int, num_groups: int, kernel_size: int, offset_scale: float, center_scale: bool):
        super().__init__()
        if dims % num_groups:
            raise ValueError(f'{num_groups} groups do not divide {dims} channels')
        self.num_groups, self.offset_scale = num_groups, offset_scale
        self.depthwise = nn.Conv2d(dims, dims, kernel_size, padding=kernel_size // 2, groups=dims)
        self.norm, self.act = Norm(dims), nn.GELU()
        self.offset = nn.Linear(dims, num_groups * 9 * 2)
        self.mask = nn.Linear(dims, num_groups * 9)
        self.value_proj, self.out_proj = nn.Linear(dims, dims), nn.Linear(dims, dims)
        self.center_scale = nn.Linear(dims, num_groups) if center_scale else None
        for layer in filter(None, (self.offset, self.mask, self.center_scale)):
            nn.init.zeros_(layer.weight)
            nn.init.zeros_(layer.bias)
        for layer in (self.value_proj, self.out_proj):
            nn.init.xavier_uniform_(layer.weight)
            nn.init.zeros_(layer.bias)

    def forward(self, x: Tensor) -> Tensor:
        """B H W C -> B H W C."""
        value = self.value_proj(x)
        around = self.depthwise(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        around = self.act(self.norm(around))

        offset = self.offset(around).unflatten(-1, (self.num_groups, 9, 2))
        mask = self.mask(around).unflatten(-1, (self.num_groups, 9))
        out = dcnv3(value, offset, mask, offset_scale=self.offset_scale, softmax=True)

        if self.center_scale is not None:
            share = self.center_scale(around).sigmoid()[..., None]  # B H W G 1
            split = (self.num_groups, -1)
            out = torch.lerp(out.unflatten(-1, split), value.unflatten(-1, split), share.to(out.dtype)).flatten(-2)
        return self.out_proj(out)


class InternBlock(nn.Module):
    """DCNv3 and an MLP, both residual.

    Args:
        order: 'pre', ``x + f(norm(x))``; 'res-post', ``x + norm(f(x))``; 'pre-post', ``x + norm(f(norm(x)))``.
        layer_scale: start of a learned factor of each branch.
    """

    def __init__(self, dims: int, dcn: nn.Module, order: str, layer_scale: float | None, mlp_ratio: float, rate: float):
        super().__init__()
        self.dcn, self.mlp = dcn, Mlp(dims, int(mlp_ratio * dims))
        before, after = order.startswith('pre'), order.endswith('post')
        self.before1, self.before2 = (Norm(dims) if before else nn.Identity() for _ in range(2))
        self.after1, self.after2 = (Norm(dims) if after else nn.Identity() for _ in range(2))
        scaled = layer_scale is not None and order != 'pre-post'
        for name in ('gamma1', 'gamma2'):
            self.register_parameter(name, nn.Parameter(torch.full((dims,), float(layer_scale))) if scaled else None)
        self.drop_path = DropPath(rate)

    def forward(self, x: Tensor) -> Tensor:
        x = x + self._scaled(self.after1(self.dcn(self.before1(x))), self.gamma1)
        return x + self._scaled(self.after2(self.mlp(self.before2(x))), self.gamma2)

    def _scaled(self, branch: Tensor, gamma: Tensor | None) -> Tensor:
        return self.drop_path(branch if gamma is None else gamma * branch)


class ConvNorm(nn.Module):
    """A convolution of stride 2 and a norm, channels last."""

    def __init__(self, in_channels: int, dims: int, bias: bool = False):
        super().__init__()
        self.conv = nn.Conv2d(in_channels, dims, 3, stride=2, padding=1, bias=bias)
        self.norm = Norm(dims)

    def forward(self, x: Tensor) -> Tensor:
        return self.norm(self.conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))


class Stage(nn.Module):
    """Blocks at one resolution; a norm after some of them, one at the end, and what leads to the next stage."""

    def __init__(self, dims: int, blocks: Sequence[nn.Module], norm_after: Sequence[int], last_norm: bool, down: bool):
        super().__init__()
        self.blocks = nn.ModuleList(blocks)
        self.norms = nn.ModuleDict({str(index): Norm(dims) for index in norm_after})
        self.norm = Norm(dims) if last_norm else nn.Identity()
        self.downsample = ConvNorm(dims, 2 * dims) if down else None

    def forward(self, x: Tensor, with_cp: bool) -> Tensor:
        for index, block in enumerate(self.blocks):
            x = checkpoint(block, x, use_reentrant=False) if with_cp and torch.is_grad_enabled() else block(x)
            if str(index) in self.norms:
                x = self.norms[str(index)](x)
        return self.norm(x)


@MODELS.register_module()
class InternImage(BaseModule):
    """InternImage. Publishes ``channels`` and ``strides``.

    Args:
        arch: one of :data:`ARCHS`, or a dict of `embed_dims, depths, num_groups` and, where they are others than those
            of 'small', `order, layer_scale, offset_scale, kernel_size, center_scale, norm_after`.
        layer_scale: overrides that of the arch; the detection and segmentation configs of T say 1.0. None, or 'None' as
            published configs write it: none.
        out_indices: stages whose map is returned, strides 4, 8, 16, 32.
        drop_path: rate at the last block; grows linearly from 0 at the first.
        with_cp: recompute each block in the backward pass to save memory.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        few = dict(embed_dims=8, depths=(1, 1, 1, 1), num_groups=(1, 2, 4, 8))
        return dict(arch={**checked_arch(cfg.get('arch', 'tiny')), **few, 'norm_after': ()})

    def __init__(
        self,
        arch: str | dict = 'tiny',
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        layer_scale: float | str | None = 'arch',
        mlp_ratio: float = 4.0,
        drop_path: float = 0.1,
        with_cp: bool = False,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        arch = checked_arch(arch)
        if layer_scale != 'arch':
            arch['layer_scale'] = None if layer_scale == 'None' else layer_scale
        self.depths, self.in_channels, self.with_cp = tuple(arch['depths']), in_channels, with_cp
        dims = [arch['embed_dims'] * 2**i for i in range(len(self.depths))]
        self.out_indices = tuple(out_indices)
        if not self.out_indices or any(i not in range(len(dims)) for i in self.out_indices):
            raise ValueError(f'out_indices={out_indices} must name stages between 0 and {len(dims) - 1}')
        self.channels = tuple(dims[i] for i in self.out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)

        self.patch_embed = nn.Sequential(
            ConvNorm(in_channels, dims[0] // 2, bias=True), nn.GELU(), ConvNorm(dims[0] // 2, dims[0], bias=True)
        )
        rates, last = iter(drop_path_rates(drop_path, sum(self.depths))), max(self.out_indices)
        last_norm = arch['order'] != 'res-post' or arch['center_scale']
        self.stages = nn.ModuleList()
        for i in range(last + 1):
            groups = arch['num_groups'][i]
            blocks = [self._block(dims[i], groups, arch, mlp_ratio, next(rates)) for _ in range(self.depths[i])]
            norm_after = arch['norm_after'] if i == 2 else ()
            self.stages.append(Stage(dims[i], blocks, norm_after, last_norm, down=i < last))
        self.apply(_init)

    @staticmethod
    def _block(dims: int, num_groups: int, arch: dict, mlp_ratio: float, rate: float) -> InternBlock:
        dcn = DCNv3(dims, num_groups, arch['kernel_size'], arch['offset_scale'], arch['center_scale'])
        return InternBlock(dims, dcn, arch['order'], arch['layer_scale'], mlp_ratio, rate)

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W of any size -> one B C H/stride W/stride map (rounded up) for each output."""
        if images.shape[1] != self.in_channels:
            raise ValueError(f'images have {images.shape[1]} channels, this net takes in_channels={self.in_channels}')
        x = self.patch_embed(images.permute(0, 2, 3, 1))

        outs = []
        for i, stage in enumerate(self.stages):
            x = stage(x, self.with_cp)
            if i in self.out_indices:
                outs.append(x.permute(0, 3, 1, 2).contiguous())
            if stage.downsample is not None:
                x = stage.downsample(x)
        return tuple(outs)

    @property
    def num_layer_ids(self) -> int:
        return sum(self.depths) + 2

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies, for a learning rate that decays towards the image: a stage's norm and
        down-sampling go with the first block of the next stage. The published classifiers join both ends, see
        `LayerDecayConstructor`."""
        parts = name.split('.')
        if parts[0] == 'patch_embed':
            return 0
        stage, part = int(parts[1]), parts[2]
        before = sum(self.depths[:stage])
        if part == 'blocks':
            return before + int(parts[3]) + 1
        inner = part != 'norms' and stage < len(self.depths) - 1
        return before + self.depths[stage] + 1 if inner else sum(self.depths) + 1


def checked_arch(arch: str | dict) -> dict:
    """The table entry of a name, or a checked dict, with all words."""
    words = ('embed_dims', 'depths', 'num_groups')
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch={arch!r} is unknown; choose from {list(ARCHS)} or give a dict of {words}')
        arch = ARCHS[arch]
    defaults = dict(
        order='res-post', layer_scale=1e-5, offset_scale=1.0, kernel_size=3, center_scale=False, norm_after=()
    )
    if not set(words) <= set(arch) <= {*words, *defaults} or len(arch['depths']) != len(arch['num_groups']):
        raise ValueError(f'arch={dict(arch)} must hold {words}, as many groups as depths; it may hold {list(defaults)}')
    arch = {**defaults, **arch}
    if arch['order'] not in ORDERS:
        raise ValueError(f'order={arch["order"]!r} is unknown; choose from {", ".join(ORDERS)}')
    return arch


def _init(module: nn.Module):
    if isinstance(module, Mlp):
        for layer in (module.fc1, module.fc2):
            nn.init.trunc_normal_(layer.weight, std=0.02)
            nn.init.zeros_(layer.bias)
