"""The ResNet below hybrid ViTs: convolutions with standardised weights, group norm, padding as TensorFlow's SAME.

ViT, https://arxiv.org/abs/2010.11929, section 4.1, code google-research/vision_transformer (`models_resnet.py`); also
TransUNet's. Bottlenecks are those of ResNet v1 (activation after the sum), not the pre-activated ones of BiT. On maps
of even size SAME pads a stride-2 convolution at the end only, where torch pads on both sides.
"""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS

STD_EPS, NORM_EPS, NUM_GROUPS = 1e-5, 1e-6, 32


class StdConv(nn.Conv2d):
    """A convolution without bias, each output channel's weights standardised; SAME padding."""

    def __init__(self, in_channels: int, out_channels: int, kernel_size: int, stride: int = 1):
        super().__init__(in_channels, out_channels, kernel_size, stride, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        dims = (1, 2, 3)
        weight = self.weight - self.weight.mean(dims, keepdim=True)
        weight = weight / (weight.square().mean(dims, keepdim=True).sqrt() + STD_EPS)
        return F.conv2d(pad_same(x, self.kernel_size[0], self.stride[0]), weight, stride=self.stride)


def pad_same(x: Tensor, kernel_size: int, stride: int, value: float = 0.0) -> Tensor:
    """Pad so that a kernel gives ceil(size / stride); what is odd goes to the end."""
    rows, columns = (max((-(-side // stride) - 1) * stride + kernel_size - side, 0) for side in x.shape[2:])
    return F.pad(x, (columns // 2, columns - columns // 2, rows // 2, rows - rows // 2), value=value)


def group_norm(channels: int) -> nn.GroupNorm:
    return nn.GroupNorm(NUM_GROUPS, channels, eps=NORM_EPS)


class Bottleneck(nn.Module):
    """Kernels 1, 3 (which carries the stride) and 1, and the sum with the input."""

    def __init__(self, in_channels: int, out_channels: int, stride: int):
        super().__init__()
        mid = out_channels // 4
        self.conv1, self.norm1 = StdConv(in_channels, mid, 1), group_norm(mid)
        self.conv2, self.norm2 = StdConv(mid, mid, 3, stride), group_norm(mid)
        self.conv3, self.norm3 = StdConv(mid, out_channels, 1), group_norm(out_channels)
        nn.init.zeros_(self.norm3.weight)
        self.shortcut = None
        if stride != 1 or in_channels != out_channels:
            self.shortcut = nn.Sequential(StdConv(in_channels, out_channels, 1, stride), group_norm(out_channels))

    def forward(self, x: Tensor) -> Tensor:
        out = self.norm1(self.conv1(x)).relu()
        out = self.norm2(self.conv2(out)).relu()
        out = self.norm3(self.conv3(out))
        return (out + (x if self.shortcut is None else self.shortcut(x))).relu()


@MODELS.register_module()
class HybridResNet(BaseModule):
    """Root (stride 4) and stages of bottlenecks, the second and later ones with stride 2. Gives the maps of the root,
    after its convolution and after its pooling, and of all stages: the last is what a ViT cuts into patches.

    Publishes ``channels`` and ``strides``.

    Args:
        num_blocks: of each stage: ``()`` (R+Ti), (2, 2, 2, 2) (R26), (3, 4, 9) (R50+B/16), (3, 4, 6, 3) (R50+L/32).
        width: channels of the root.
    """

    tiny = dict(num_blocks=(1, 1, 1), width=32)

    def __init__(
        self,
        num_blocks: Sequence[int] = (3, 4, 9),
        width: int = 64,
        in_channels: int = 3,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        self.in_channels = in_channels
        self.root, self.root_norm = StdConv(in_channels, width, 7, stride=2), group_norm(width)
        widths = [width] + [4 * width * 2**i for i in range(len(num_blocks))]
        self.stages = nn.ModuleList()
        for i, count in enumerate(num_blocks):
            strides = [2 if i else 1] + [1] * (count - 1)
            sources = [widths[i]] + [widths[i + 1]] * (count - 1)
            blocks = (Bottleneck(source, widths[i + 1], stride) for source, stride in zip(sources, strides))
            self.stages.append(nn.Sequential(*blocks))
        self.channels = (width, *widths)
        self.strides = (2, 4, *(4 * 2**i for i in range(len(num_blocks))))

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W -> one B C H/stride W/stride map (rounded up) for each of `channels`."""
        x = self.root_norm(self.root(images)).relu()
        maps = [x, F.max_pool2d(pad_same(x, 3, 2, value=float('-inf')), 3, 2)]
        for stage in self.stages:
            maps.append(stage(maps[-1]))
        return tuple(maps)
