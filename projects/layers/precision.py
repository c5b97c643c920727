"""Computing in the precision of the tensors at hand."""
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor


def without_autocast(x: Tensor) -> AbstractContextManager:
    """No autocast on the device of ``x``; on the meta device, where operations are counted, torch knows none to stop."""
    return nullcontext() if x.device.type == 'meta' else torch.autocast(x.device.type, enabled=False)
