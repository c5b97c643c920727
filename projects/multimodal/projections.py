"""From the pooled vector of a state to the joint space."""

from torch import Tensor, nn

from ..registry import MODELS


@MODELS.register_module()
class LinearProjection(nn.Linear):
    """A linear map; a plain number in `projections` is one without bias."""

    def __init__(self, in_dims: int, out_dims: int = 256, bias: bool = True):
        super().__init__(in_dims, out_dims, bias)


@MODELS.register_module()
class NormProjection(nn.Module):
    """A norm, then a linear map."""

    def __init__(self, in_dims: int, out_dims: int = 256, bias: bool = True, norm_eps: float = 1e-5):
        super().__init__()
        self.norm, self.linear = nn.LayerNorm(in_dims, eps=norm_eps), nn.Linear(in_dims, out_dims, bias)

    def forward(self, x: Tensor) -> Tensor:
        return self.linear(self.norm(x))
