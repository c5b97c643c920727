"""Models whose inputs are a dict of modalities: batches of what the model's own preprocessor calls an example."""

from collections.abc import Sequence

import torch
from torch import nn

from ..structures import MultimodalSample
from .base import Size, Task
from .graphs import Graph, TowerGraph


class Modalities(Task):
    """Base of the tasks of such models. Images of a batch are of one size.

    Attributes:
        inputs: modalities that a batch has; None: all of the preprocessor.
    """

    sample = MultimodalSample
    inputs: tuple[str, ...] | None = None

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        return [tuple(getattr(model, 'image_size', None) or (64, 96))] * 2

    def item(self, model: nn.Module, size: Size, count: int | None, random: torch.Generator):
        parts = model.data_preprocessor.inputs
        inputs = {name: parts[name].example(size, random) for name in self.inputs or parts}
        sample = MultimodalSample(metainfo=dict(img_shape=size, ori_shape=(2 * size[0], 3 * size[1])))
        if count is not None:
            self.add_truth(model, sample, inputs, random)
        return inputs, sample

    def add_truth(self, model: nn.Module, sample: MultimodalSample, inputs: dict, random: torch.Generator) -> None:
        """What is right, into the sample."""

    def graph(self, model: nn.Module, post: bool = False, tower: str = 'image') -> Graph:
        return TowerGraph(model, post, tower)

    def _unprocessed(self, model, sizes, counts, device, seed) -> dict:
        data = self.items(model, sizes, counts, seed)
        parts, given = model.data_preprocessor.inputs, data['inputs']
        made = {name: parts[name].unprocessed([one[name] for one in given], device) for name in given[0]}
        return dict(inputs=made, data_samples=data['data_samples'])
