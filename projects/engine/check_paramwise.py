"""Before the first step: does every key of ``paramwise_cfg.custom_keys`` mean a parameter?"""

import difflib
from collections.abc import Iterable

from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ..registry import HOOKS


@HOOKS.register_module()
class CheckParamwiseHook(Hook):
    """Refuses ``custom_keys`` that match no parameter: the rate or decay they name would have no effect.

    Raises:
        ValueError: naming the key and the parts of the model that are spelt most like it.
    """

    def before_train(self, runner: Runner):
        settings = (runner.cfg.get('optim_wrapper') or {}).get('paramwise_cfg') or {}
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        check_keys(settings.get('custom_keys') or (), [name for name, _ in model.named_parameters()])


def check_keys(keys: Iterable[str], names: list[str]) -> None:
    parts = {'.'.join(name.split('.')[:depth]) for name in names for depth in range(1, 5)}
    parts |= {part for name in names for part in name.split('.')}
    for key in keys:
        if not any(key in name for name in names):
            close = difflib.get_close_matches(key, parts, n=3)
            question = f'; did you mean {" or ".join(map(repr, close))}?' if close else ''
            raise ValueError(
                f'optim_wrapper.paramwise_cfg.custom_keys has {key!r}, which is in the name of no parameter{question}. '
                'Take it out, or write what is in a name (print(model) shows them)'
            )
