"""Mixed precision in bfloat16, on a CPU as well as on a GPU.

bfloat16 has float32's range, so it needs no loss scaling; mmengine's ``AmpOptimWrapper`` always scales and wants a GPU.
"""

from contextlib import contextmanager

import torch
from mmengine.optim import OptimWrapper
from mmengine.runner import autocast
from torch import nn

from ...registry import OPTIM_WRAPPERS


@OPTIM_WRAPPERS.register_module()
class Bfloat16OptimWrapper(OptimWrapper):
    """``OptimWrapper`` whose forward runs under ``torch.autocast(dtype=torch.bfloat16)``; arguments are the same."""

    @contextmanager
    def optim_context(self, model: nn.Module):
        with super().optim_context(model), autocast(dtype=torch.bfloat16):
            yield
