"""Swin Transformer: a hierarchical backbone with attention inside shifted windows.

Paper: https://arxiv.org/abs/2103.14030. Code: microsoft/Swin-Transformer and its detection fork; parameter names are
theirs. What differs:

* fused attention on merged biases (relative position + shift mask), see `layers/window_attention.py`;
* any input size. Maps are zero-padded to whole windows after the first LayerNorm and then rolled, as in the detection
  fork; padded tokens are attended to, as there (published weights were trained so). The windows follow from the size
  of the map at run time: along an axis that is not longer than the window, the window shrinks to the axis (the middle
  of the bias table is used) and nothing is shifted. On square maps this is the classification code's rule;
* stages after the last of `out_indices` are not built.
"""

from collections.abc import Sequence

from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.patch import PatchEmbed, PatchMerging
from ..layers.token_block import drop_path_rates
from ..layers.window_attention import WindowAttention
from ..layers.window_block import WindowBlock, WindowStage
from ..registry import MODELS

ARCHS = {
    'tiny': dict(embed_dims=96, depths=(2, 2, 6, 2), num_heads=(3, 6, 12, 24)),
    'small': dict(embed_dims=96, depths=(2, 2, 18, 2), num_heads=(3, 6, 12, 24)),
    'base': dict(embed_dims=128, depths=(2, 2, 18, 2), num_heads=(4, 8, 16, 32)),
    'large': dict(embed_dims=192, depths=(2, 2, 18, 2), num_heads=(6, 12, 24, 48)),
}


class WindowBackbone(BaseModule):
    """What Swin and Swin v2 share: patches, stages of window blocks with a merging between them, norms of the outputs.

    Subclasses bring the block and the merging; `rate` is the drop path of a block.
    """

    archs: dict[str, dict] = {}
    tiny = dict(arch=dict(embed_dims=8, depths=(2, 1, 1, 1), num_heads=(1, 2, 4, 8)), window_size=4)

    def __init__(
        self,
        arch: str | dict,
        window_size: int,
        in_channels: int,
        out_indices: Sequence[int],
        drop_path: float,
        num_classes: int,
        with_cp: bool,
        frozen_stages: int,
        init_cfg: dict | list | None,
    ):
        super().__init__(init_cfg)
        arch = checked_arch(arch, self.archs)
        self.depths, self.num_heads = tuple(arch['depths']), tuple(arch['num_heads'])
        num_stages = len(self.depths)
        dims = [arch['embed_dims'] * 2**i for i in range(num_stages)]
        self.out_indices = (num_stages - 1,) if num_classes else tuple(out_indices)
        if not self.out_indices or any(i not in range(num_stages) for i in self.out_indices):
            raise ValueError(f'out_indices={out_indices} must name stages between 0 and {num_stages - 1}')
        self.channels = tuple(dims[i] for i in self.out_indices)
        self.strides = tuple(4 * 2**i for i in self.out_indices)
        self.in_channels, self.num_classes, self.frozen_stages = in_channels, num_classes, frozen_stages

        self.patch_embed = PatchEmbed(in_channels, dims[0], patch_size=4, norm=nn.LayerNorm)
        rates = iter(drop_path_rates(drop_path, sum(self.depths)))
        last = max(self.out_indices)
        self.layers = nn.ModuleList()
        for i in range(last + 1):
            blocks = [self.block(dims[i], i, index, next(rates)) for index in range(self.depths[i])]
            merging = self.merging(dims[i]) if i < last else None
            self.layers.append(WindowStage(blocks, (window_size, window_size), merging, with_cp))

        if num_classes:
            self.norm = nn.LayerNorm(dims[-1])
            self.head = nn.Linear(dims[-1], num_classes)
        else:
            for i in self.out_indices:
                self.add_module(f'norm{i}', nn.LayerNorm(dims[i]))

    def block(self, dims: int, stage: int, index: int, rate: float) -> nn.Module:
        """The block of this number in a stage."""
        raise NotImplementedError

    def merging(self, dims: int) -> nn.Module:
        """What leads to the next stage."""
        raise NotImplementedError

    def forward(self, images: Tensor) -> tuple[Tensor, ...] | Tensor:
        """B C H W of any size -> one B C H/stride W/stride map (rounded up) per output, or B K logits."""
        x = self.patch_embed(images)

        outs = []
        for i, stage in enumerate(self.layers):
            x = stage(x)
            if i in self.out_indices and not self.num_classes:
                outs.append(self.get_submodule(f'norm{i}')(x).permute(0, 3, 1, 2).contiguous())
            if i + 1 < len(self.layers):
                x = stage.downsample(x)

        return self.head(self.norm(x).mean(dim=(1, 2))) if self.num_classes else tuple(outs)

    @property
    def num_layer_ids(self) -> int:
        return sum(self.depths) + 2

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies, for a learning rate that decays towards the image: a merging goes with the last
        block of its stage."""
        parts = name.split('.')
        if parts[0] == 'patch_embed':
            return 0
        if parts[0] != 'layers':
            return sum(self.depths) + 1
        before = sum(self.depths[: int(parts[1])])
        return before + (int(parts[3]) + 1 if parts[2] == 'blocks' else self.depths[int(parts[1])])

    def train(self, mode: bool = True) -> 'WindowBackbone':
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self):
        frozen = [self.patch_embed, *self.layers[: self.frozen_stages]] if self.frozen_stages >= 0 else []
        for module in frozen:
            module.eval().requires_grad_(False)


@MODELS.register_module()
class Swin(WindowBackbone):
    """Swin Transformer v1, a dense backbone, or a classifier when `num_classes` is set.

    Publishes `channels` and `strides` of its outputs. Official weights: `tools/convert_weights.py`, or
    `init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=...)`.

    Args:
        arch: 'tiny', 'small', 'base', 'large', or a dict of `embed_dims, depths, num_heads`.
        window_size: side of a window in tokens; published weights have 7 or 12.
        out_indices: stages whose normalised output is returned, strides 4, 8, 16, 32. Not used by a classifier.
        drop_path: rate at the last block; grows linearly from 0 at the first.
        num_classes: above 0, the final norm, mean pooling and a linear head follow the last stage.
        with_cp: recompute each block in the backward pass to save memory.
        frozen_stages: 0 freezes the patch embedding, i also the first i stages; the norms of the outputs are never
            frozen, because no pretrained weights hold them.
    """

    archs = ARCHS

    def __init__(
        self,
        arch: str | dict = 'tiny',
        window_size: int = 7,
        in_channels: int = 3,
        out_indices: Sequence[int] = (0, 1, 2, 3),
        mlp_ratio: float = 4.0,
        drop_path: float = 0.2,
        num_classes: int = 0,
        with_cp: bool = False,
        frozen_stages: int = -1,
        init_cfg: dict | list | None = None,
    ):
        self.window, self.mlp_ratio = (window_size, window_size), mlp_ratio
        super().__init__(
            arch, window_size, in_channels, out_indices, drop_path, num_classes, with_cp, frozen_stages, init_cfg
        )
        self.apply(_init)
        self._freeze()

    def block(self, dims, stage, index, rate):
        return WindowBlock(dims, WindowAttention(dims, self.num_heads[stage], self.window), self.mlp_ratio, rate)

    def merging(self, dims):
        return PatchMerging(dims)


def checked_arch(arch: str | dict, known: dict[str, dict]) -> dict:
    """The table entry of a name, or a checked dict."""
    if isinstance(arch, str):
        if arch not in known:
            raise ValueError(
                f'arch={arch!r} is unknown; choose from {list(known)} or give a dict of embed_dims, depths, num_heads'
            )
        return known[arch]
    if set(arch) != {'embed_dims', 'depths', 'num_heads'} or len(arch['depths']) != len(arch['num_heads']):
        raise ValueError(f'arch={arch} must hold exactly embed_dims, depths and as many num_heads')
    for i, heads in enumerate(arch['num_heads']):
        if arch['embed_dims'] * 2**i % heads:
            raise ValueError(
                f'stage {i} of arch={arch} has width {arch["embed_dims"] * 2**i}, which its {heads} heads do not divide'
            )
    return arch


def _init(module: nn.Module):
    """The official initialisation; LayerNorms are born with ones and zeros, the patch convolution with torch's own."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
    elif isinstance(module, WindowAttention):
        nn.init.trunc_normal_(module.relative_position_bias_table, std=0.02)
