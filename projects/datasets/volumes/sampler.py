"""Draws: the number of the visit of a case, from which its random transforms are seeded."""

from collections.abc import Iterator

import torch
from mmengine.dataset import DefaultSampler

from ...registry import DATA_SAMPLERS


@DATA_SAMPLERS.register_module()
class DrawSampler(DefaultSampler):
    """Every case ``draws`` times an epoch, each visit with a number of its own.

    The index of the n-th visit of a case is ``case + n * len(dataset)``; `mmparts.VolumeDataset` reads it and seeds the
    transforms by it. So a run with one seed sees the same patches with any number of workers and after a resume.

    Args:
        draws: patches that are cut from a case in an epoch.
    """

    def __init__(self, dataset, shuffle: bool = True, seed: int | None = None, round_up: bool = True, draws: int = 1):
        super().__init__(dataset, shuffle, seed, round_up)
        self.draws, self.cases = draws, len(dataset)
        whole = self.cases * draws
        self.num_samples = -(-whole // self.world_size) if round_up else -(-(whole - self.rank) // self.world_size)
        self.total_size = self.num_samples * self.world_size if round_up else whole

    def __iter__(self) -> Iterator[int]:
        whole = self.cases * self.draws
        order = torch.arange(whole)
        if self.shuffle:
            order = torch.randperm(whole, generator=torch.Generator().manual_seed(self.seed + self.epoch))
        if self.round_up:
            order = order.repeat(-(-self.total_size // max(whole, 1)))[: self.total_size]
        first = (1 + self.epoch * self.draws) * self.cases  # below lie the indices of other samplers
        return iter((order + first)[self.rank : self.total_size : self.world_size].tolist())
