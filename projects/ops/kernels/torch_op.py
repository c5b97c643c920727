"""Operators of torch for kernels that torch cannot look into: one schema, one gradient formula, kernels per device.

Being an operator lets `torch.compile` keep it in the graph and fake tensors infer its shape.
"""

from collections.abc import Callable

import torch

if not hasattr(torch.library, 'register_autograd'):
    raise ImportError(f'torch {torch.__version__} has no torch.library.register_autograd, 2.4 or newer has')


class TorchOp:
    """``torch.ops.mmparts.<name>`` and ``<name>_backward``, which cannot be differentiated again.

    Defined by hand: the first call of torch.library.custom_op imports the compiler of torch and takes seconds.

    Args:
        forward, backward: the schemas, ``(arguments) -> results``.
        forward_fake, backward_fake: shapes of the results, as torch.library.register_fake takes them.
        differentiate, save: as torch.library.register_autograd takes them.
    """

    def __init__(
        self,
        name: str,
        forward: str,
        backward: str,
        forward_fake: Callable,
        backward_fake: Callable,
        differentiate: Callable,
        save: Callable,
    ):
        self.name, self.forward, self.backward = name, f'mmparts::{name}', f'mmparts::{name}_backward'
        torch.library.define(self.forward, forward)
        torch.library.define(self.backward, backward)
        torch.library.register_fake(self.forward, forward_fake)
        torch.library.register_fake(self.backward, backward_fake)
        torch.library.register_autograd(self.forward, differentiate, setup_context=save)
        torch.library.register_autograd(self.backward, self._refuse)

    def implement(self, device: str, forward: Callable, backward: Callable):
        """Let the op run these on ``device``; they take what the schemas say."""
        torch.library.impl(self.forward, device, forward)
        torch.library.impl(self.backward, device, backward)

    def _refuse(self, ctx, *grads):
        raise RuntimeError(f'{self.name} cannot be differentiated twice')
