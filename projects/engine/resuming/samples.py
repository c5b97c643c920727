"""Where a run is in its data: batches already seen are skipped without being read, samples are seeded by their place.

A resumed run sees what the uninterrupted one would have seen, with any number of data workers, persistent or not,
because nothing about a sample depends on who makes it: the order comes from the sampler, the augmentation from
(seed, pass over the data, index). torch seeds its workers by their number, and each draws in the order of its work.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from itertools import islice
from typing import Any

import numpy as np
import torch
from mmengine.dist import get_world_size
from torch.utils.data import DataLoader, Dataset

from ..faults.signals import held, start_worker

# More passes than any run makes.
PASSES = 10**6


def seed_all(*place: int) -> None:
    """Seed python, numpy and torch from ``place``, e.g. (seed, epoch, index); neighbouring places are unrelated."""
    words = np.random.SeedSequence([part % 2**64 for part in place]).generate_state(4)
    random.seed(int(words[0]) << 32 | int(words[1]))
    np.random.seed(words)
    torch.manual_seed(int(words[2]) << 32 | int(words[3]))


@contextmanager
def seeded(*place: int) -> Iterator[None]:
    """Chance from ``place`` inside; outside it goes on as if nothing had been drawn."""
    states = random.getstate(), np.random.get_state(), torch.get_rng_state()
    try:
        words = np.random.SeedSequence([part % 2**64 for part in place]).generate_state(4)
        random.seed(int(words[0]) << 32 | int(words[1]))
        np.random.seed(words)
        torch.default_generator.manual_seed(int(words[2]) << 32 | int(words[3]))  # a GPU's generator is not touched
        yield
    finally:
        random.setstate(states[0])
        np.random.set_state(states[1])
        torch.set_rng_state(states[2])


class Draw(int):
    """An index into a data set, with the number of the pass over the data in which it is drawn (``epoch``)."""

    def __new__(cls, index: int, epoch: int) -> 'Draw':
        draw = super().__new__(cls, index)
        draw.epoch = epoch
        return draw

    def __reduce__(self) -> tuple:
        return Draw, (int(self), self.epoch)


class SeededSamples(Dataset):
    """A data set whose random augmentations depend on ``seed`` and the :class:`Draw` alone.

    Everything else is asked of the data set inside, so hooks and metrics see no difference.
    """

    def __init__(self, dataset: Dataset, seed: int = 0):
        self.dataset = dataset
        self.seed = seed

    def __getattr__(self, name: str) -> Any:
        if name.startswith('__') or 'dataset' not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.dataset, name)

    def __len__(self) -> int:
        return len(self.dataset)

    def __getitem__(self, draw: int) -> Any:
        with seeded(self.seed, getattr(draw, 'epoch', 0), int(draw)):
            return self.dataset[int(draw)]


class Batches:
    """The batches of a batch sampler from any place on; each index becomes a :class:`Draw`.

    Args:
        batch_sampler: Yields lists of indices.
        endless: Begin the next pass where one ends, as a loop that counts iterations wants.
    """

    def __init__(self, batch_sampler: Any, endless: bool):
        self.batch_sampler = batch_sampler
        self.endless = endless
        self.epoch = 0
        self.start = 0

    def __getattr__(self, name: str) -> Any:  # sampler, batch_size, drop_last
        if name.startswith('__') or 'batch_sampler' not in self.__dict__:
            raise AttributeError(name)
        return getattr(self.batch_sampler, name)

    def __len__(self) -> int:
        return len(self.batch_sampler)

    def seek(self, epoch: int, start: int) -> None:
        """Begin after ``start`` batches of pass ``epoch``, or of all passes where they are endless."""
        self.epoch, self.start = epoch, start

    def __iter__(self) -> Iterator[list[Draw]]:
        # torch asks for an iterator twice, so the place is kept until the next `seek`.
        return islice(self._passes() if self.endless else self._pass(self.epoch), self.start, None)

    def _passes(self) -> Iterator[list[Draw]]:
        if hasattr(self.sampler, '_indices_of_rank'):
            # mmengine's InfiniteSampler goes on where it was left, and yields nothing once an iterator was closed.
            self.sampler.indices = self.sampler._indices_of_rank()
        epoch, batch = 0, None
        while True:
            if hasattr(self.sampler, 'set_epoch'):
                self.sampler.set_epoch(epoch)
            for batch in self._pass(epoch):
                yield batch
            if batch is None:
                raise RuntimeError(f'{type(self.sampler).__name__} yields nothing: there is no whole batch to train on')
            epoch += 1

    def _pass(self, epoch: int) -> Iterator[list[Draw]]:
        drawn = 0
        for batch in self.batch_sampler:
            # A sampler that never ends passes over its data within one pass of ours; the images of all processes count.
            further = drawn * get_world_size() // max(len(self.sampler), 1) if self.endless else 0
            drawn += len(batch)
            yield [Draw(index, epoch + PASSES * further) for index in batch]


class Loader(DataLoader):
    """A data loader whose workers outlive the signals that ask the run to stop: they are ended by the run itself."""

    def __iter__(self) -> Iterator:
        with held():
            return super().__iter__()

    @classmethod
    def like(cls, loader: DataLoader, dataset: Dataset | None = None, batch_sampler: Any = None) -> 'Loader':
        """``loader`` with another data set or batch sampler.

        Raises:
            TypeError: It has no batch sampler, so there is no place in it to go back to.
        """
        if loader.batch_sampler is None:
            raise TypeError(
                f'{type(loader.dataset).__name__} is loaded without a batch sampler, so a run cannot go on inside an '
                'epoch; give the loader a batch_size and the data set a length'
            )
        return cls(
            loader.dataset if dataset is None else dataset,
            batch_sampler=loader.batch_sampler if batch_sampler is None else batch_sampler,
            num_workers=loader.num_workers,
            collate_fn=loader.collate_fn,
            pin_memory=loader.pin_memory,
            timeout=loader.timeout,
            worker_init_fn=partial(start_worker, loader.worker_init_fn),
            multiprocessing_context=loader.multiprocessing_context,
            generator=loader.generator,
            prefetch_factor=loader.prefetch_factor if loader.num_workers else None,
            persistent_workers=loader.persistent_workers,
        )
