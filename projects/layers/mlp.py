"""The small nets between attentions, which look at each token on its own (channels last)."""

import math
from collections.abc import Callable, Sequence

import torch
from torch import Tensor, nn


class QuickGELU(nn.Module):
    """x * sigmoid(1.702 x), the approximation that OpenAI's CLIP was trained with (up to 0.02 from the exact GELU)."""

    def forward(self, x: Tensor) -> Tensor:
        return x * torch.sigmoid(1.702 * x)


class Mlp(nn.Module):
    """Two linear maps with an activation between them.

    Args:
        hidden_dims: channels between; default: four times ``embed_dims``.
        out_dims: channels of the output; default: ``embed_dims``.
        act: makes the activation; ``nn.GELU`` is the exact one, ``partial(nn.GELU, approximate='tanh')`` Flax's.
        dropout: after each of the two maps.
        norm: of the hidden channels, before the second map (sub-LN of BEiT-3, EVA), as a module.
    """

    def __init__(
        self,
        embed_dims: int,
        hidden_dims: int | None = None,
        out_dims: int | None = None,
        act: Callable[[], nn.Module] = nn.GELU,
        dropout: float = 0.0,
        norm: nn.Module | None = None,
        bias: bool = True,
    ):
        super().__init__()
        hidden_dims = hidden_dims or 4 * embed_dims
        self.fc1 = nn.Linear(embed_dims, hidden_dims, bias=bias)
        self.act = act()
        self.norm = norm if norm is not None else nn.Identity()
        self.fc2 = nn.Linear(hidden_dims, out_dims or embed_dims, bias=bias)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        x = self.dropout(self.norm(self.act(self.fc1(x))))
        return self.dropout(self.fc2(x))


class GatedMlp(nn.Module):
    """One half of the hidden channels gates the other ("GLU variants improve transformer",
    https://arxiv.org/abs/2002.05202): ``fc2(norm(act(a) * b))`` with ``a, b = fc1(x)``.

    Args:
        hidden_dims: channels after the gate; ``fc1`` makes twice as many.
        act: SiLU for SwiGLU (DINOv2 g), GELU for GEGLU (ONE-PEACE).
        norm: as that of :class:`Mlp`.
        bias: of both maps, or of each.
    """

    def __init__(
        self,
        embed_dims: int,
        hidden_dims: int,
        act: Callable[[], nn.Module] = nn.SiLU,
        dropout: float = 0.0,
        norm: nn.Module | None = None,
        bias: bool | tuple[bool, bool] = True,
    ):
        super().__init__()
        first, last = (bias, bias) if isinstance(bias, bool) else bias
        self.fc1 = nn.Linear(embed_dims, 2 * hidden_dims, bias=first)
        self.act = act()
        self.norm = norm if norm is not None else nn.Identity()
        self.fc2 = nn.Linear(hidden_dims, embed_dims, bias=last)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor) -> Tensor:
        gate, value = self.fc1(x).chunk(2, dim=-1)
        return self.dropout(self.fc2(self.dropout(self.norm(self.act(gate) * value))))


class ConvMlp(nn.Module):
    """An :class:`Mlp` whose hidden tokens look at their neighbours in a depth-wise convolution (PVT v2,
    https://arxiv.org/abs/2106.13797; ViT-Adapter).

    Args:
        dims: axes of the map.
        kernel_size: sides of the convolution.
    """

    def __init__(
        self,
        embed_dims: int,
        hidden_dims: int,
        dims: int = 2,
        kernel_size: int = 3,
        act: Callable[[], nn.Module] = nn.GELU,
        dropout: float = 0.0,
    ):
        super().__init__()
        conv = (nn.Conv1d, nn.Conv2d, nn.Conv3d)[dims - 1]
        self.fc1 = nn.Linear(embed_dims, hidden_dims)
        self.conv = conv(hidden_dims, hidden_dims, kernel_size, padding=kernel_size // 2, groups=hidden_dims)
        self.act = act()
        self.fc2 = nn.Linear(hidden_dims, embed_dims)
        self.dropout = nn.Dropout(dropout)

    def forward(self, x: Tensor, shapes: Sequence[Sequence[int]]) -> Tensor:
        """x B S C, the tokens of several maps one after the other; shapes: the sides of each."""
        hidden = self.fc1(x).split([math.prod(shape) for shape in shapes], dim=1)
        maps = [part.transpose(1, 2).unflatten(2, tuple(shape)) for part, shape in zip(hidden, shapes)]
        hidden = [self.conv(each).flatten(2).transpose(1, 2) for each in maps]
        hidden = hidden[0] if len(hidden) == 1 else torch.cat(hidden, dim=1)
        return self.dropout(self.fc2(self.dropout(self.act(hidden))))
