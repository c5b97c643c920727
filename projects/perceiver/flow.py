"""Optical flow with Perceiver IO (section 4.2): two frames in, a vector for each pixel out.

Each pixel is the 3x3 square around it in both frames, and the output queries are the inputs themselves. What differs
from the official code: tiles are weighted in one pass, and the loss is the end-point error on the flow over
``flow_scale``.
"""

from collections.abc import Sequence

import torch
from torch import Tensor

from ..registry import MODELS
from ..structures import FlowSample
from .model import PerceiverModel


@MODELS.register_module()
class FlowEstimator(PerceiverModel):
    """
    Args:
        backbone: a `Perceiver` of inputs B C 2 H W whose outputs are a map of two channels.
        tile: height and width that it was trained on. Larger images are cut into tiles, smaller ones are refused.
        overlap: least pixels that neighbouring tiles share.
        output_scale: outputs are multiplied by it (the official code divides by 100).
        flow_scale: pixels of flow for each unit of what is then predicted.

    ``mode='tensor'`` returns the flow B 2 H W in pixels; ``'predict'`` samples with ``pred_flow``.

    Raises:
        ValueError: the Perceiver has another number of output channels; an image is smaller than a tile.
    """

    task = 'flow'

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(tile=(24, 32), overlap=4)

    def __init__(
        self,
        backbone: dict,
        tile: Sequence[int] = (368, 496),
        overlap: int = 20,
        output_scale: float = 0.01,
        flow_scale: float = 20.0,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor, init_cfg)
        if self.backbone.decoder.channels != 2:
            raise ValueError(
                f'the decoder gives {self.backbone.decoder.channels} channels, flow has 2; write out_dims=2'
            )
        self.tile, self.overlap = tuple(tile), overlap
        if not 0 <= overlap < min(self.tile):
            raise ValueError(f'overlap={overlap} must be less than the sides of a tile, {self.tile}')
        self.output_scale, self.flow_scale = output_scale, flow_scale

    @property
    def image_size(self) -> tuple[int, int]:
        """What it is trained on."""
        return self.tile

    def outputs(self, inputs: Tensor) -> Tensor:
        """B C 2 H W -> B 2 H W, the flow from the first frame to the second in pixels; no tiles."""
        (flow,) = self.backbone(inputs)
        return flow * (self.output_scale * self.flow_scale)

    def loss(self, inputs: Tensor, samples: Sequence) -> dict[str, Tensor]:
        found = self.outputs(inputs).float()
        truth = torch.stack([sample.gt_flow for sample in samples]).to(found)
        valid = torch.stack(
            [sample.get('gt_valid', torch.ones_like(sample.gt_flow[0], dtype=torch.bool)) for sample in samples]
        ).to(found)
        error = end_point_error(found, truth) * valid
        mean = error.sum() / valid.sum().clamp(min=1)
        return dict(loss=mean / self.flow_scale, epe=mean.detach())

    def predict(self, inputs: Tensor, samples: Sequence | None = None) -> list:
        flows = self.tiled(inputs).float()
        samples = [FlowSample() for _ in flows] if samples is None else list(samples)
        for sample, flow in zip(samples, flows):
            sample.pred_flow = flow
        return samples

    def tiled(self, inputs: Tensor) -> Tensor:
        """B C 2 H W of at least a tile -> B 2 H W: the mean over tiles, weighted by how far a pixel is from the nearest
        border of its tile."""
        size = tuple(inputs.shape[-2:])
        if any(side < least for side, least in zip(size, self.tile)):
            got, right = ('x'.join(map(str, each)) for each in (size, self.tile))
            raise ValueError(f'frames of {got}, smaller than the tiles of {right} that flow is found in; enlarge them')
        weight = tile_weight(self.tile).to(inputs)
        total, weights = inputs.new_zeros(len(inputs), 2, *size), inputs.new_zeros(size)
        for top in starts(size[0], self.tile[0], self.overlap):
            for left in starts(size[1], self.tile[1], self.overlap):
                place = (..., slice(top, top + self.tile[0]), slice(left, left + self.tile[1]))
                total[place] += self.outputs(inputs[place]).to(inputs.dtype) * weight
                weights[place] += weight
        return total / weights


def starts(side: int, tile: int, overlap: int) -> list[int]:
    """Where tiles begin along an axis; the last one ends with the image."""
    found = list(range(0, max(side - tile, 0), tile - overlap))
    return [*found, side - tile]


def tile_weight(tile: Sequence[int]) -> Tensor:
    """H W: pixels to the nearest border of the tile, the own one included."""
    rows, columns = (torch.minimum(torch.arange(1, side + 1), torch.arange(side, 0, -1)).float() for side in tile)
    return torch.minimum(rows[:, None], columns)


def end_point_error(found: Tensor, truth: Tensor) -> Tensor:
    """B 2 H W each -> B H W: how far the ends of both vectors are apart, in pixels."""
    return torch.linalg.vector_norm(found - truth, dim=1)
