"""Optical flow: where each pixel of a frame is in the next one."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..registry import TASKS
from ..structures import FlowSample
from ..visualization.flow import flow_colours
from .base import Size, Task, image_size


@TASKS.register_module('flow')
class Flow(Task):
    """A record has the mean and the greatest speed, in pixels, and the mean motion (right, down); inputs are C 2 H
    W."""

    sample = FlowSample
    truths = ('gt_flow',)
    predictions = ('pred_flow',)
    metrics = ('EPE',)
    annotation = 'pairs'

    def size(self, cfg: dict) -> Size:
        """A tile: what the model is trained on."""
        return tuple(cfg.get('model', cfg).get('tile', (368, 496)))

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        return [image_size(model) or (32, 48)] * 2

    def item(
        self, model: nn.Module, size: Size, count: int | None, random: torch.Generator
    ) -> tuple[Tensor, FlowSample]:
        frames = torch.randint(256, (3, 2, *size), generator=random, dtype=torch.uint8)
        sample = FlowSample(metainfo=dict(img_shape=size, ori_shape=size))
        if count is not None:
            sample.gt_flow = torch.randn(2, *size, generator=random)
        return frames, sample

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        flow = sample.get('pred_flow').detach().float().cpu()
        speed = torch.linalg.vector_norm(flow, dim=0)
        right, down = flow.mean((1, 2)).tolist()
        return dict(
            mean_speed=round(speed.mean().item(), 3),
            greatest_speed=round(speed.max().item(), 3),
            motion=[round(right, 3), round(down, 3)],
        )

    def summary(self, record: dict) -> str:
        return f'{record["mean_speed"]} pixels on average, {record["greatest_speed"]} at most'

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return []

    def image(self, inputs: Tensor) -> np.ndarray:
        return super().image(inputs[:, 0])

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        if prefix == 'gt':
            before = [('first frame', self.plain(image))]
            return [*before, *self._flow(sample, 'gt_flow', 'ground truth')]
        return self._flow(sample, 'pred_flow', 'prediction')

    def _flow(self, sample, field: str, name: str) -> list[tuple[str, Image.Image]]:
        if field not in sample:
            return []
        flow = sample.get(field).detach().float().cpu().numpy()
        reference = sample.get('gt_flow', sample.get(field)).detach().float().cpu()
        fastest = max(torch.linalg.vector_norm(reference, dim=0).max().item(), 0.1)
        return [(f'{name}, {fastest:.1f} pixels in full colour', self.plain(flow_colours(flow, fastest)))]
