"""ViT: a transformer on the patches of an image, as a backbone; with other arguments DeiT, DINOv2, DINOv3, BEiT, ViTDet
and CLIP's (`gelu='quick', norm_eps=1e-5, pre_norm=True, patch_bias=False, start='clip'`).

Papers: https://arxiv.org/abs/2010.11929 (code: google-research/vision_transformer), https://arxiv.org/abs/2304.07193
(DINOv2), https://arxiv.org/abs/2309.16588 (registers), https://arxiv.org/abs/2508.10104 (DINOv3),
https://arxiv.org/abs/2106.08254 (BEiT), https://arxiv.org/abs/2203.16527 (ViTDet). What differs:

* any input size: images are zero-padded to whole patches, positions follow the size of the map;
* it gives maps of chosen blocks; a classifier reads a token (`out`). The Linear before the tanh of pre-training
  (`pre_logits`) and the classifier's are parts of the head, see `classify/heads.py`;
* hybrids are a `stem` whose map is cut into patches, see `hybrid_resnet.py`.
"""

import math
from collections.abc import Sequence
from functools import partial

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.map_attention import MapAttention
from ..layers.mlp import GatedMlp, Mlp, QuickGELU
from ..layers.patch import PatchEmbed, tupled
from ..layers.position import LearnedGrid, RotaryGrid
from ..layers.relative_bias import RelativeBiasTable
from ..layers.token_block import TokenBlock, TokenBlocks
from ..registry import MODELS

ARCHS = {
    'tiny': dict(embed_dims=192, num_layers=12, num_heads=3),
    'small': dict(embed_dims=384, num_layers=12, num_heads=6),
    'base': dict(embed_dims=768, num_layers=12, num_heads=12),
    'large': dict(embed_dims=1024, num_layers=24, num_heads=16),
    'huge': dict(embed_dims=1280, num_layers=32, num_heads=16),
    'giant': dict(embed_dims=1536, num_layers=40, num_heads=24),  # DINOv2's g, with gated_mlp and mlp_dims=4096
}
GELU = {'erf': nn.GELU, 'tanh': partial(nn.GELU, approximate='tanh'), 'quick': QuickGELU}
RESIZE = {
    'jax': dict(mode='linear', align_corners=True),
    'timm': dict(mode='bicubic', antialias=True),
    'dinov2': dict(mode='bicubic'),
}
POSITIONS = ('learned', 'rotary', 'relative', None)
EMBEDDINGS = ('stem', 'patch_embed', 'class_token', 'class_position', 'registers', 'position', 'pre_norm')
OUTS = ('map', 'tokens', 'class', 'mean', 'mean-first', 'class+mean')


@MODELS.register_module()
class ViT(BaseModule):
    """Vision transformer. Publishes ``channels`` and ``strides``; ``layer_id`` serves layer-wise learning rates.

    Args:
        arch: one of :data:`ARCHS`, or a dict of `embed_dims, num_layers, num_heads` and, if not four times as many
            channels, `mlp_dims`.
        image_size: side (or height and width) of the images that the positions were learned on.
        out: 'map': B C H/patch W/patch of each of `out_indices`; 'tokens': B N C, all of the last block after the final
            norm; for a classifier one B C: 'class', the class token;
            'mean', that of the patches after the final norm (JAX's gap), 'mean-first', before it (timm, MAE, BEiT);
            'class+mean', both side by side (DINOv2).
        out_indices: blocks (from 0) whose output is returned as a map; default: the last.
        class_token: a learned token before the patches.
        num_registers: learned tokens between class token and patches.
        position: 'learned' for each patch; 'rotary' in queries and keys (DINOv3); 'relative', a table of biases in each
            block (BEiT); None.
        resize: how learned positions are brought to another size: 'jax' as the official code (bilinear, corners
            aligned), 'timm' (bicubic with antialias), 'dinov2' (bicubic).
        gelu: 'erf' (timm, transformers, DINOv2), 'tanh' (the official Flax models were trained with it) or 'quick'
            (OpenAI's CLIP).
        pre_norm: a norm of all tokens before the first block (CLIP).
        patch_bias: of the patch projection (CLIP has none).
        start: how weights start: 'flax' as the official ViT, 'clip' as the official CLIP, 'beit' as BEiT.
        final_norm: the last norm, which all outputs pass; dense models without it (ViTDet, ViT-Adapter) say False.
        biases: of queries, keys and values; BEiT and DINOv3 have none for keys: ``(True, False, True)``.
        layer_scale: start of a learned factor of each branch; DINOv2 1e-5, BEiT 0.1 and 1e-5 (large).
        gated_mlp: SwiGLU (DINOv2 g, DINOv3 S+ and H+).
        window_size: side of the windows, in patches, of blocks that are not in `global_blocks`; needs
            `class_token=False` and no registers.
        global_window: side of the windows of `global_blocks`; default: the whole map.
        window_pad: see :class:`MapAttention`.
        stem: config of a backbone whose last map is cut into patches instead of the image.
        drop_path: rate at the last block; grows linearly from 0 at the first.
        dropout: after the positions are added, and in the MLPs.
        frozen_blocks: 0 freezes the embeddings, i also the first i blocks, all of them also the final norm.
        with_cp: recompute each block in the backward pass to save memory.

    Raises:
        ValueError: an unknown word; `out_indices` beyond the blocks; windows with tokens before the map.

    >>> vit = ViT(dict(embed_dims=32, num_layers=2, num_heads=2), patch_size=16, out_indices=(0, 1))
    >>> vit.channels, vit.strides, [tuple(level.shape) for level in vit(torch.zeros(1, 3, 64, 96))]
    ((32, 32), (16, 16), [(1, 32, 4, 6), (1, 32, 4, 6)])
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """Four blocks; outputs and global blocks stay the same share of them."""
        words, few = ('out_indices', 'global_blocks'), 4
        arch = cfg.get('arch', 'base')
        depth = (ARCHS[arch] if isinstance(arch, str) else arch)['num_layers']
        depth = max([depth, *(i + 1 for key in words for i in cfg.get(key) or ())])
        spread = {key: sorted({i * few // max(depth, few) for i in cfg[key]}) for key in words if cfg.get(key)}
        return dict(arch=dict(embed_dims=32, num_layers=few, num_heads=2), image_size=64, **spread)

    def __init__(
        self,
        arch: str | dict = 'base',
        patch_size: int = 16,
        image_size: int | Sequence[int] = 224,
        in_channels: int = 3,
        out: str = 'map',
        out_indices: Sequence[int] | None = None,
        class_token: bool = True,
        num_registers: int = 0,
        position: str | None = 'learned',
        resize: str = 'jax',
        gelu: str = 'erf',
        norm_eps: float = 1e-6,
        pre_norm: bool = False,
        patch_bias: bool = True,
        start: str = 'flax',
        final_norm: bool = True,
        biases: bool | Sequence[bool] = True,
        layer_scale: float | None = None,
        gated_mlp: bool = False,
        window_size: int | None = None,
        global_blocks: Sequence[int] = (),
        global_window: int | None = None,
        window_pad: str = 'tokens',
        stem: dict | None = None,
        drop_path: float = 0.0,
        dropout: float = 0.0,
        frozen_blocks: int = -1,
        with_cp: bool = False,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        arch = checked_arch(arch)
        for name, value, choices in (
            ('out', out, OUTS),
            ('position', position, POSITIONS),
            ('resize', resize, tuple(RESIZE)),
            ('gelu', gelu, tuple(GELU)),
            ('start', start, tuple(STARTS)),
        ):
            if value not in choices:
                raise ValueError(f'{name}={value!r} is unknown; choose from {", ".join(map(repr, choices))}')
        if 'class' in out and not class_token:
            raise ValueError(f"out={out!r} needs a class token; write class_token=True, or out='mean'")
        if window_size is not None and (class_token or num_registers):
            raise ValueError(f'windows of {window_size} hold no class and register tokens; write class_token=False')
        dims, depth, heads = arch['embed_dims'], arch['num_layers'], arch['num_heads']
        self.embed_dims, self.gelu, self.resize, self.out, self.frozen_blocks = dims, gelu, resize, out, frozen_blocks
        self.out_indices = tuple(out_indices) if out_indices is not None and out == 'map' else (depth - 1,)
        if not self.out_indices or any(i not in range(depth) for i in self.out_indices):
            raise ValueError(f'out_indices={out_indices} must name blocks between 0 and {depth - 1}')

        self.stem = MODELS.build(stem) if stem else None
        channels, stride = (self.stem.channels[-1], self.stem.strides[-1]) if stem else (in_channels, 1)
        self.in_channels, self.patch_size = in_channels, patch_size
        self.patch_embed = PatchEmbed(channels, dims, patch_size, bias=patch_bias)
        self.channels = ((2 if out == 'class+mean' else 1) * dims,) * len(self.out_indices)
        self.strides = (stride * patch_size,) * len(self.out_indices)

        grid = tuple(side // self.strides[0] for side in tupled(image_size, 2))
        self.num_prefix = class_token + num_registers
        self.class_token = nn.Parameter(torch.zeros(dims)) if class_token else None
        self.registers = nn.Parameter(torch.randn(num_registers, dims) * 0.02) if num_registers else None
        self.position = LearnedGrid(dims, grid, **RESIZE[resize]) if position == 'learned' else None
        learned_class = class_token and position == 'learned'
        self.class_position = nn.Parameter(torch.randn(dims) * 0.02) if learned_class else None
        self.rotary = RotaryGrid(dims // heads, skip=self.num_prefix) if position == 'rotary' else None
        self.dropout = nn.Dropout(dropout)

        norm = partial(nn.LayerNorm, eps=norm_eps)
        windows = (global_window if i in global_blocks else window_size for i in range(depth))

        def block(drop_path: float) -> TokenBlock:
            window = next(windows)
            span = (window, window) if window else grid
            relative = RelativeBiasTable(heads, span, class_token) if position == 'relative' else None
            return TokenBlock(
                dims,
                heads,
                norm=norm,
                layer_scale=layer_scale,
                drop_path=drop_path,
                attn=MapAttention(dims, heads, biases=biases, window_size=window, pad=window_pad, relative=relative),
                mlp=GatedMlp(dims, arch['mlp_dims'], dropout=dropout)
                if gated_mlp
                else Mlp(dims, arch['mlp_dims'], act=GELU[gelu], dropout=dropout),
            )

        self.blocks = TokenBlocks(depth, make=block, drop_path=drop_path, with_cp=with_cp)
        self.pre_norm = norm(dims) if pre_norm else nn.Identity()
        self.norm = norm(dims) if final_norm else nn.Identity()
        STARTS[start](self)
        self._freeze()

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W of any size -> a map B C H/patch W/patch (rounded up) for each output, or one B C, B N C: `out`."""
        x, size = self.embed(images)

        rotate = self.rotary(size) if self.rotary is not None else None
        _, taps = self.blocks(x, size=size, rotate=rotate, taps=self.out_indices)

        if self.out != 'map':
            return (self._pooled(taps[-1]),)
        return tuple(self.to_map(self.norm(tap), size) for tap in taps)

    def embed(self, images: Tensor) -> tuple[Tensor, tuple[int, int]]:
        """What enters the blocks, B N C, and the rows and columns of the map that its last tokens lie on."""
        self.check(images)
        patches = self.patch_embed(images if self.stem is None else self.stem(images)[-1])
        size = tuple(patches.shape[1:3])
        if self.position is not None:
            patches = patches + self.position(size)

        before = []
        if self.class_token is not None:
            place = 0 if self.class_position is None else self.class_position
            before.append((self.class_token + place)[None])
        if self.registers is not None:
            before.append(self.registers)
        before = [each.expand(patches.shape[0], -1, -1).to(patches.dtype) for each in before]
        return self.pre_norm(self.dropout(torch.cat([*before, patches.flatten(1, 2)], dim=1))), size

    def to_map(self, tokens: Tensor, size: Sequence[int]) -> Tensor:
        """B N C -> B C H W of the patches."""
        return tokens[:, self.num_prefix :].transpose(1, 2).unflatten(2, tuple(size)).contiguous()

    def _pooled(self, tokens: Tensor) -> Tensor:
        if self.out == 'mean-first':
            return self.norm(tokens[:, self.num_prefix :].mean(1))
        if self.out == 'class':
            return self.norm(tokens[:, 0])
        tokens = self.norm(tokens)
        if self.out == 'tokens':
            return tokens
        mean = tokens[:, self.num_prefix :].mean(1)
        return mean if self.out == 'mean' else torch.cat([tokens[:, 0], mean], -1)

    def check(self, images: Tensor):
        """Refuse images of other channels, and those smaller than a patch."""
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f'images have {images.shape[1]} channels; this ViT was built with in_channels={self.in_channels}'
            )
        stride = self.strides[0]
        if min(images.shape[2:]) < stride:
            height, width = images.shape[2:]
            raise ValueError(f'image {height}x{width} is smaller than a patch of {stride}x{stride}; pad or enlarge it')

    @property
    def num_layer_ids(self) -> int:
        """One more than the greatest of :meth:`layer_id`: the embeddings, the blocks, all else."""
        return len(self.blocks) + 2

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies, for a learning rate that decays towards the image (BEiT, MAE, ViT-Adapter)."""
        first, _, rest = name.partition('.')
        if first == 'blocks':
            return int(rest.split('.')[0]) + 1
        return 0 if first in EMBEDDINGS else len(self.blocks) + 1

    def train(self, mode: bool = True) -> 'ViT':
        super().train(mode)
        self._freeze()
        return self

    def _freeze(self):
        if self.frozen_blocks < 0:
            return
        whole = self.frozen_blocks >= len(self.blocks)
        embeddings = [self.stem, self.patch_embed, self.position, self.pre_norm]
        frozen = [*embeddings, *list(self.blocks)[: self.frozen_blocks], *([self.norm] if whole else [])]
        for module in filter(None, frozen):
            module.eval().requires_grad_(False)
        for parameter in (self.class_token, self.class_position, self.registers):
            if parameter is not None:
                parameter.requires_grad_(False)


def checked_arch(arch: str | dict) -> dict:
    """The table entry of a name, or a checked dict, with `mlp_dims`."""
    words = ('embed_dims', 'num_layers', 'num_heads')
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(
                f'arch={arch!r} is unknown; choose from {list(ARCHS)} or give a dict of {", ".join(words)}'
            )
        arch = ARCHS[arch]
    if not set(words) <= set(arch) <= {*words, 'mlp_dims'}:
        raise ValueError(f'arch={dict(arch)} must hold {", ".join(words)}, and may hold mlp_dims')
    if arch['embed_dims'] % arch['num_heads']:
        raise ValueError(f'arch={dict(arch)}: {arch["num_heads"]} heads do not divide {arch["embed_dims"]} channels')
    return dict(mlp_dims=4 * arch['embed_dims'], **{key: arch[key] for key in words}) | dict(arch)


def _clip(vit: ViT):
    """As the official CLIP: blocks as torch starts them, what is learned of places by the width alone."""
    for table in (vit.class_token, vit.class_position, getattr(vit.position, 'grid', None)):
        if table is not None:
            nn.init.normal_(table, std=vit.embed_dims**-0.5)


def _flax(vit: ViT):
    vit.apply(_init)


def _beit(vit: ViT):
    """As BEiT: a deviation of 0.02, less for what later blocks add; no bias."""
    for table in (vit.class_token, vit.class_position):
        if table is not None:
            nn.init.trunc_normal_(table, std=0.02)
    for depth, block in enumerate(vit.blocks, 1):
        for linear in (module for module in block.modules() if isinstance(module, nn.Linear)):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            if linear.bias is not None:
                nn.init.zeros_(linear.bias)
        nn.init.trunc_normal_(block.attn.part.in_proj_weight, std=0.02)
        for last in (block.attn.part.out_proj, block.mlp.part.fc2):
            last.weight.data /= math.sqrt(2 * depth)


STARTS = {'flax': _flax, 'clip': _clip, 'beit': _beit}


def _init(module: nn.Module):
    """As the official code: Xavier for each projection, almost no bias in the MLPs."""
    if isinstance(module, MapAttention):
        width = module.in_proj_weight.shape[1]
        nn.init.uniform_(module.in_proj_weight, -math.sqrt(3 / width), math.sqrt(3 / width))
        nn.init.xavier_uniform_(module.out_proj.weight)
    elif isinstance(module, (Mlp, GatedMlp)):
        for linear in (module.fc1, module.fc2):
            nn.init.xavier_uniform_(linear.weight)
            nn.init.normal_(linear.bias, std=1e-6)
