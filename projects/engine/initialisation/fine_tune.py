"""From pre-training to fine-tuning: what of a checkpoint is not to be taken, said by name."""

import re
from collections.abc import Sequence

from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ...registry import HOOKS
from ...weights.errors import WeightsDoNotFit
from .fit import IGNORED


@HOOKS.register_module()
class FineTuneHook(Hook):
    """Leaves parts of the checkpoint in ``load_from`` out, and wants all others to fit. Resuming is not touched.

    The log lists what is left out of the file, and what of the model stays as it was initialised.

    Args:
        leave_out: regular expressions for whole names of tensors.

    Raises:
        WeightsDoNotFit: tensors that are not left out are missing in the file, unknown to the model or of another
            shape.
    """

    def __init__(self, leave_out: Sequence[str]):
        self.leave_out = tuple(leave_out)

    def after_load_checkpoint(self, runner: Runner, checkpoint: dict) -> None:
        if runner._resume:
            return
        model = runner.model.module if is_model_wrapper(runner.model) else runner.model
        state = checkpoint['state_dict']
        dropped = sorted(filter(self._is_left_out, state))
        for name in dropped:
            del state[name]

        wanted = {name: tuple(value.shape) for name, value in model.state_dict().items() if not name.endswith(IGNORED)}
        own = sorted(filter(self._is_left_out, wanted))
        print_log(
            f'left out of the checkpoint: {", ".join(dropped) or "nothing"}; initialised anew: '
            f'{", ".join(own) or "nothing"}',
            'current',
        )
        self._hold(
            {name: wanted[name] for name in wanted if name not in own},
            {name: tuple(value.shape) for name, value in state.items() if not name.endswith(IGNORED)},
        )

    def _is_left_out(self, name: str) -> bool:
        return any(re.fullmatch(pattern, name) for pattern in self.leave_out)

    def _hold(self, wanted: dict[str, tuple], given: dict[str, tuple]) -> None:
        problems = [f'{name} is missing' for name in wanted if name not in given]
        problems += [f'{name} is unknown to the model' for name in given if name not in wanted]
        problems += [
            f'{name} is {given[name]}, the model has {wanted[name]}'
            for name in wanted
            if name in given and given[name] != wanted[name]
        ]
        if problems:
            more = f' and {len(problems) - 8} more' if len(problems) > 8 else ''
            raise WeightsDoNotFit(
                f'load_from does not fit the model: {"; ".join(problems[:8])}{more}. '
                f'Left out were {list(self.leave_out)}; make the parts of both configs the same, or '
                'add to leave_out what is to be initialised anew'
            )
