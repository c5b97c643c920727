"""Padé activation units: an activation function that is learned (https://arxiv.org/abs/1907.06732).

A quotient of two polynomials, whose denominator is kept above one so that there is no pole:
F(x) = (a0 + a1 x + ... + a5 x^5) / (1 + |b1 x| + ... + |b4 x^4|).

The paper writes the denominator as 1 + |b1 x + ... + b4 x^4|; the coefficients in its appendix, and its code, are those
of the sum of absolute values.
"""

import torch
from torch import Tensor, nn

from ...ops.kernels.precision import without_autocast
from ...registry import MODELS

# LeakyReLU(0.01) on [-3, 3], from the paper's appendix.
NUMERATOR = 0.02979246, 0.61837738, 2.32335207, 3.05202660, 1.48548002, 0.25103717
DENOMINATOR = 1.14201226, 4.39322834, 0.87154450, 0.34720652


@MODELS.register_module()
class PadeUnit(nn.Module):
    """One function for all channels; it starts near a LeakyReLU."""

    def __init__(self):
        super().__init__()
        self.numerator = nn.Parameter(torch.tensor(NUMERATOR))
        self.denominator = nn.Parameter(torch.tensor(DENOMINATOR))

    def forward(self, x: Tensor) -> Tensor:
        """Of any shape; in float32 even under autocast, since a fifth power leaves the range of a half."""
        with without_autocast(x):
            wide = x.to(torch.promote_types(x.dtype, torch.float32))
            over, under = horner(self.numerator, wide), 1 + wide.abs() * horner(self.denominator.abs(), wide.abs())
            return (over / under).to(x.dtype)


def horner(coefficients: Tensor, x: Tensor) -> Tensor:
    """c0 + c1 x + c2 x^2 ..."""
    *rest, value = coefficients.unbind()
    for coefficient in reversed(rest):
        value = value * x + coefficient
    return value
