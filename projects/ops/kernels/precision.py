"""In which precision the ops compute."""

from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def at_least_float(*tensors: Tensor) -> tuple[Tensor, ...]:
    """Half precision as float32, float32 and float64 as they are."""
    return tuple(tensor.to(torch.promote_types(tensor.dtype, torch.float32)) for tensor in tensors)


def without_autocast(x: Tensor) -> AbstractContextManager:
    """No autocast on the device of ``x``; on the meta device, where operations are counted, torch has none to stop."""
    return nullcontext() if x.device.type == 'meta' else torch.autocast(x.device.type, enabled=False)
