"""Parts of a model that are not trained: weights without gradients, norms that keep their statistics."""

from collections.abc import Sequence
from difflib import get_close_matches

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.nn.modules.instancenorm import _InstanceNorm

from ...registry import HOOKS


@HOOKS.register_module()
class Freeze(Hook):
    """Takes parts of the model out of the training, by name.

    A multiplier of zero for the learning rate does not: schedules with an absolute floor raise it, and statistics of
    norms go on changing. Weights without gradients are left alone by optimizer, decay and clipping.

    Args:
        names: Modules or parameters as ``model.named_modules()`` has them, each with all that is below it, e.g.
            ``['backbone', 'encoder.layers.0']``.

    Raises:
        ValueError: A name fits nothing; the message has the nearest ones.
    """

    priority = 'VERY_HIGH'

    def __init__(self, names: Sequence[str]):
        if isinstance(names, str) or not names:
            raise ValueError(f"names is {names!r}; a list of parts is wanted, as in names=['backbone']")
        self.names = list(names)
        self.norms: list[nn.Module] = []

    def before_run(self, runner) -> None:
        wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if wrapped else runner.model
        lines = [self._freeze(model, name) for name in self.names]
        left = sum(each.numel() for each in model.parameters() if each.requires_grad)
        runner.logger.info(f'frozen: {"; ".join(lines)}. {left:,} parameters are trained')
        if not left:
            raise ValueError(f'names={self.names} freezes the whole model, nothing is left to train')
        if wrapped:  # it would wait for the gradients that it knew at first
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)

    def before_train_iter(self, runner, batch_idx: int, data_batch: dict | None = None) -> None:
        for norm in self.norms:
            norm.eval()

    def _freeze(self, model: nn.Module, name: str) -> str:
        parameters = [value for key, value in model.named_parameters() if below(key, name)]
        modules = [value for key, value in model.named_modules() if below(key, name)]
        if not parameters:
            known = [key for key, _ in model.named_modules() if key] + [key for key, _ in model.named_parameters()]
            near = get_close_matches(name, known, n=3)
            advice = f'did you mean {" or ".join(near)}?' if near else f'its parts are {", ".join(_parts(model))}'
            raise ValueError(f'{type(model).__name__} has no part {name!r} with parameters; {advice}')
        for parameter in parameters:
            parameter.requires_grad_(False)
        norms = [module for module in modules if isinstance(module, _BatchNorm | _InstanceNorm)]
        self.norms += norms
        count = sum(parameter.numel() for parameter in parameters)
        return f'{name} ({len(parameters)} tensors, {count:,} parameters, {len(norms)} norms held)'


def below(key: str, name: str) -> bool:
    """Whether ``key`` is ``name`` or a part of it."""
    return key == name or key.startswith(f'{name}.')


def _parts(model: nn.Module) -> list[str]:
    return [name for name, part in model.named_children() if any(True for _ in part.parameters())]
