"""In which precision the ops compute."""
import torch
from torch import Tensor


def at_least_float(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Half precision as float32, float32 and float64 as they are."""
    return tuple(tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors)
