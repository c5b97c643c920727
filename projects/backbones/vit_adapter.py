"""ViT-Adapter: a convolutional branch beside a plain vision transformer, which gives it maps of four strides.

Paper: https://arxiv.org/abs/2205.08534. Code: czczup/ViT-Adapter. The transformer is any `ViT`: of DeiT's or AugReg's
weights (``layer_scale=1.0``), BEiT (relative biases, class token in segmentation), DINOv2.

What differs: the transformer's map is added once (`add_vit='last'`) as in the detection code, or after each interaction
('each') as in the segmentation code, by an argument; batch norms are plain ones (``sync_bn='torch'`` in a config makes
them synchronised); the unused row of the class token in the position table is left out.
"""

import torch
import torch.nn.functional as F
from mmcv.cnn.bricks import DropPath
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..layers.conv_block import conv_norm_act
from ..layers.deformable import DeformableAttention, centres
from ..layers.mlp import ConvMlp
from ..registry import MODELS

EPS = 1e-6
STRIDE = 32


class SpatialPrior(nn.Module):
    """Convolutions: B 3 H W -> a map of stride 4 and three of strides 8, 16, 32, all of ``dims`` channels."""

    def __init__(self, in_channels: int, width: int, dims: int):
        super().__init__()
        bias = dict(bias=False)
        self.stem = nn.Sequential(
            conv_norm_act(in_channels, width, stride=2, **bias),
            conv_norm_act(width, width, **bias),
            conv_norm_act(width, width, **bias),
            nn.MaxPool2d(3, 2, padding=1),
        )
        widths = (width, 2 * width, 4 * width, 4 * width)
        self.convs = nn.ModuleList(conv_norm_act(a, b, stride=2, **bias) for a, b in zip(widths, widths[1:]))
        self.projections = nn.ModuleList(nn.Conv2d(width, dims, 1) for width in widths)

    def forward(self, images: Tensor) -> list[Tensor]:
        maps = [self.stem(images)]
        for conv in self.convs:
            maps.append(conv(maps[-1]))
        return [projection(each) for projection, each in zip(self.projections, maps)]


class Injector(nn.Module):
    """Patches look into the three maps: ``x + gamma * attention``; gamma starts so small that the transformer is what
    it was."""

    def __init__(self, dims: int, attn: DeformableAttention, start: float):
        super().__init__()
        self.query_norm, self.value_norm = nn.LayerNorm(dims, eps=EPS), nn.LayerNorm(dims, eps=EPS)
        self.attn = attn
        self.gamma = nn.Parameter(torch.full((dims,), float(start)))

    def forward(self, patches: Tensor, pyramid: Tensor, shapes: tuple, reference: Tensor) -> Tensor:
        found = self.attn(self.query_norm(patches), self.value_norm(pyramid), shapes, reference)
        return patches + self.gamma * found


class Extractor(nn.Module):
    """The three maps look at the patches; then an MLP with a convolution inside."""

    def __init__(self, dims: int, attn: DeformableAttention, hidden_dims: int, rate: float):
        super().__init__()
        self.query_norm, self.value_norm = nn.LayerNorm(dims, eps=EPS), nn.LayerNorm(dims, eps=EPS)
        self.attn = attn
        self.mlp = ConvMlp(dims, hidden_dims) if hidden_dims else None
        self.mlp_norm = nn.LayerNorm(dims, eps=EPS) if hidden_dims else None
        self.drop_path = DropPath(rate)

    def forward(self, pyramid: Tensor, patches: Tensor, size: tuple, reference: Tensor, shapes: tuple) -> Tensor:
        pyramid = pyramid + self.attn(self.query_norm(pyramid), self.value_norm(patches), (size,), reference)
        if self.mlp is None:
            return pyramid
        return pyramid + self.drop_path(self.mlp(self.mlp_norm(pyramid), shapes))


@MODELS.register_module()
class ViTAdapter(BaseModule):
    """ViT-Adapter. Publishes ``channels`` and ``strides``: 4, 8, 16, 32.

    Args:
        vit: config of a `ViT` with patches of 16, no final norm and no registers; its blocks are dealt evenly to the
            interactions. The published models have ``resize='dinov2'`` and, with windows, ``window_pad='qkv'``; BEiT's
            have ``window_pad='tokens'``.
        num_heads: of deformable attention: those of the transformer, but 6 for T.
        num_interactions: times that both branches exchange.
        value_ratio: channels of the values of deformable attention over all: 1 (T, S), 0.5 (B, L).
        mlp_ratio: hidden channels of the extractors' MLP over all; 0: no MLP.
        prior_channels: of the first convolutions.
        add_vit: 'last', 'each' or None: see above. Published weights need the one that they were trained with.
        num_extra: extractors that follow the last interaction.
        injector_scale: start of the injectors' gamma; BEiT's models 1e-6.
        drop_path: of the extractors' MLPs; the greatest rate of the transformer.

    Raises:
        ValueError: the transformer does not fit; an image that is no multiple of 32 pixels.
    """

    tiny = dict(num_heads=2, prior_channels=8)

    def __init__(
        self,
        vit: dict,
        num_heads: int = 6,
        num_interactions: int = 4,
        num_points: int = 4,
        value_ratio: float = 1.0,
        mlp_ratio: float = 0.25,
        prior_channels: int = 64,
        add_vit: str | None = 'last',
        num_extra: int = 2,
        injector_scale: float = 0.0,
        drop_path: float = 0.0,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        if add_vit not in ('last', 'each', None):
            raise ValueError(f"add_vit={add_vit!r} is unknown; choose from 'last', 'each', None")
        self.vit = MODELS.build(vit)
        self._check_vit(num_interactions)
        dims, depth = self.vit.embed_dims, len(self.vit.blocks)
        self.in_channels, self.add_vit, self.num_interactions = self.vit.in_channels, add_vit, num_interactions
        if add_vit == 'each' and num_interactions != 4:
            raise ValueError(f"add_vit='each' needs 4 interactions, one for each map, got {num_interactions}")
        self.steps = depth // num_interactions

        def attention(levels: int) -> DeformableAttention:
            return DeformableAttention(dims, num_heads, levels, num_points, value_ratio=value_ratio)

        def extractor() -> Extractor:
            return Extractor(dims, attention(1), int(mlp_ratio * dims), drop_path)

        self.prior = SpatialPrior(self.in_channels, prior_channels, dims)
        self.level_embed = nn.Parameter(torch.randn(3, dims))
        self.injectors = nn.ModuleList(Injector(dims, attention(3), injector_scale) for _ in range(num_interactions))
        self.extractors = nn.ModuleList(extractor() for _ in range(num_interactions))
        self.extra = nn.ModuleList(extractor() for _ in range(num_extra))
        self.up = nn.ConvTranspose2d(dims, dims, 2, 2)
        self.norms = nn.ModuleList(nn.BatchNorm2d(dims) for _ in range(4))
        self.channels, self.strides = (dims,) * 4, (4, 8, 16, 32)
        for name, module in self.named_modules():
            if not name.startswith('vit'):
                _init(module)
        for module in self.modules():
            if isinstance(module, DeformableAttention):
                module.reset_parameters()

    def _check_vit(self, num_interactions: int):
        vit, wrong = self.vit, []
        if vit.strides[0] != 16:
            wrong.append(f'patches of {vit.strides[0]} pixels, patch_size=16 is needed')
        if not isinstance(vit.norm, nn.Identity):
            wrong.append('a final norm, which nothing reads: write final_norm=False')
        if vit.registers is not None or vit.out != 'map' or vit.rotary is not None:
            wrong.append("registers, rotary positions or out != 'map'")
        if len(vit.blocks) % num_interactions:
            wrong.append(f'{len(vit.blocks)} blocks, which {num_interactions} interactions do not divide')
        if wrong:
            raise ValueError(f'the ViT of a ViTAdapter has {"; ".join(wrong)}')

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W, multiples of 32 -> B D H/stride W/stride for each stride."""
        self.check_size(tuple(images.shape[2:]))
        self.vit.check(images)
        fine, *maps = self.prior(images)
        shapes = tuple(tuple(each.shape[2:]) for each in maps)
        pyramid = torch.cat([each.flatten(2).mT + embed for each, embed in zip(maps, self.level_embed)], dim=1)
        x, size = self.vit.embed(images)
        here, there = self._references(size, shapes, x)

        each, first = [], self.vit.num_prefix
        for index, (injector, extractor) in enumerate(zip(self.injectors, self.extractors)):
            patches = injector(x[:, first:], pyramid, shapes, here)
            x = torch.cat([x[:, :first], patches], dim=1) if first else patches
            for block in list(self.vit.blocks)[index * self.steps : (index + 1) * self.steps]:
                x = self.vit.blocks.run(block, x, size=size)
            last = index + 1 == self.num_interactions
            for part in (extractor, *(self.extra if last else ())):
                pyramid = part(pyramid, x[:, first:], size, there, shapes)
            if last or self.add_vit == 'each':
                each.append(self.vit.to_map(x, size))

        parts = pyramid.split([height * width for height, width in shapes], dim=1)
        maps = [part.mT.unflatten(2, shape) for part, shape in zip(parts, shapes)]
        return self._joined([self.up(maps[0]) + fine, *maps], each)

    def check_size(self, size: tuple[int, int]):
        """Refuse images that are no multiple of the coarsest stride."""
        if any(side % STRIDE for side in size):
            right = 'x'.join(str(-(-side // STRIDE) * STRIDE) for side in size)
            raise ValueError(
                f'image {"x".join(map(str, size))} is not a multiple of {STRIDE}; pad to {right} '
                f'(data_preprocessor.pad_size_divisor={STRIDE})'
            )

    @staticmethod
    def _references(size: tuple, shapes: tuple, like: Tensor) -> tuple[Tensor, Tensor]:
        """Where patches look into three maps, and places of three maps into the patches: B N levels 2."""
        here = centres(size, like.device)[None, :, None].expand(len(like), -1, len(shapes), -1)
        there = torch.cat([centres(shape, like.device) for shape in shapes])
        return here, there[None, :, None].expand(len(like), -1, -1, -1)

    def _joined(self, maps: list[Tensor], vit: list[Tensor]) -> tuple[Tensor, ...]:
        """The transformer's maps added, and normed."""
        if self.add_vit is not None:
            vit = vit if self.add_vit == 'each' else vit * 4
            sized = [F.interpolate(x, size=y.shape[2:], mode='bilinear') for x, y in zip(vit, maps)]
            maps = [a + b for a, b in zip(maps, sized)]
        return tuple(norm(each) for norm, each in zip(self.norms, maps))

    @property
    def num_layer_ids(self) -> int:
        return self.vit.num_layer_ids

    def layer_id(self, name: str) -> int:
        """That of the transformer; all parts of the adapter have the full rate."""
        part, _, rest = name.partition('.')
        return self.vit.layer_id(rest) if part == 'vit' else self.num_layer_ids - 1


def _init(module: nn.Module):
    """As the official code; deformable attention is set anew after it."""
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d)):
        out = module.kernel_size[0] * module.kernel_size[1] * module.out_channels // module.groups
        nn.init.normal_(module.weight, std=(2 / out) ** 0.5)
    elif isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
    if isinstance(module, (nn.Conv2d, nn.ConvTranspose2d, nn.Linear)) and module.bias is not None:
        nn.init.zeros_(module.bias)
