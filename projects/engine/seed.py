"""Makes chance depend on the seed and the epoch only, so that a resumed run sees what an uninterrupted one would."""

import random

import numpy as np
import torch
from mmengine.dist import get_rank
from mmengine.hooks import Hook

from ..registry import HOOKS


@HOOKS.register_module()
class EpochSeedHook(Hook):
    """Seeds python, numpy and torch at the start of every epoch, differently on every rank.

    mmengine restores the seed of a resumed run but neither the position in the random stream nor the seed of the
    sampler, which was built before. Data workers are seeded by mmengine itself; with ``persistent_workers`` their
    augmentations after a resume are others than without the interruption, equally random.
    """

    priority = 'VERY_HIGH'

    def before_train(self, runner) -> None:
        sampler = runner.train_dataloader.sampler
        if hasattr(sampler, 'seed'):
            sampler.seed = runner.seed

    def before_train_epoch(self, runner) -> None:
        seed = (runner.seed + 1000003 * runner.epoch + 7919 * get_rank()) % 2**32
        random.seed(seed)
        np.random.seed(seed)
        torch.manual_seed(seed)
