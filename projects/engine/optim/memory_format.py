"""Channels last: convolutions of a model on maps that lie in memory pixel by pixel."""

import torch
from mmengine.hooks import Hook
from mmengine.model import is_model_wrapper
from mmengine.runner import Runner

from ...registry import HOOKS


@HOOKS.register_module()
class ChannelsLastHook(Hook):
    """Brings weights of convolutions into channels-last order before the first step or test; maps follow them.

    What a model computes stays the same. It is faster where most of a model are convolutions and the processor has
    matrix units (AMX, tensor cores), most of all in mixed precision: docs/performance.md.
    """

    priority = 'VERY_LOW'  # the weights are where they shall be

    def before_run(self, runner: Runner) -> None:
        wrapped = is_model_wrapper(runner.model)
        model = runner.model.module if wrapped else runner.model
        model.to(memory_format=torch.channels_last)
        if wrapped:  # it has laid out its buckets for the order that was
            runner.model = runner.wrap_model(runner.cfg.get('model_wrapper_cfg'), model)
