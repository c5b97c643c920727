"""Metrics of flow, filled texts, restored clips and sets."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..registry import METRICS


class MeanMetric(BaseMetric):
    """Weighted means of numbers that each sample gives.

    Attributes:
        keys: their names.
        digits: after the point.
    """

    keys: tuple[str, ...] = ()
    digits = 4

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self.keys]

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        self.results += [self.measure(sample) for sample in data_samples]

    def measure(self, sample: dict) -> dict[str, tuple[float, float]]:
        """Name -> (sum, how many it is a sum of)."""
        raise NotImplementedError

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        found = {}
        for key in self.keys:
            pairs = [one[key] for one in results if key in one]
            count = sum(pair[1] for pair in pairs)
            found[key] = round(sum(pair[0] for pair in pairs) / count, self.digits) if count else float('nan')
        return found


@METRICS.register_module()
class EndPointError(MeanMetric):
    """``epe``: the mean distance in pixels between the ends of the predicted and the true vector, over all known
    pixels; ``zero_epe``: that of predicting no motion; ``fl_all``: percent of pixels that are off by more than 3
    pixels and 5 % of their true speed (KITTI)."""

    keys = ('epe', 'zero_epe', 'fl_all')

    def measure(self, sample: dict) -> dict[str, tuple[float, float]]:
        found, truth = (sample[name].float().cpu() for name in ('pred_flow', 'gt_flow'))
        if found.shape != truth.shape:
            raise ValueError(
                f'{sample.get("img_path")}: flow of {tuple(found.shape)} predicted, {tuple(truth.shape)} is true'
            )
        valid = sample.get('gt_valid')
        valid = torch.ones(truth.shape[1:], dtype=torch.bool) if valid is None else valid.cpu()
        error, speed = (torch.linalg.vector_norm(each, dim=0)[valid] for each in (found - truth, truth))
        wrong = 100 * ((error > 3) & (error > 0.05 * speed)).sum()
        count = valid.sum().item()
        return {key: (each.item(), count) for key, each in zip(self.keys, (error.sum(), speed.sum(), wrong.float()))}


@METRICS.register_module()
class GapAccuracy(MeanMetric):
    """``accuracy``: percent of the masked bytes that are filled with the right one."""

    keys = ('accuracy',)

    def measure(self, sample: dict) -> dict[str, tuple[float, float]]:
        asked = sample['asked'].cpu()
        right = (sample['pred_ids'].cpu() == sample['gt_ids'].cpu()) & asked
        return dict(accuracy=(100.0 * right.sum().item(), asked.sum().item()))


@METRICS.register_module()
class ClipFidelity(MeanMetric):
    """``video_psnr`` and ``audio_psnr``: decibels, the mean over clips (of videos in 0..255, of sound in -1..1);
    ``still_psnr`` and ``silence_psnr``: those of the clip's mean frame all the time, and of no sound; ``top1``: percent
    of clips whose class is right."""

    keys = ('video_psnr', 'still_psnr', 'audio_psnr', 'silence_psnr', 'top1')

    def measure(self, sample: dict) -> dict[str, tuple[float, float]]:
        found = {}
        if 'pred_video' in sample:
            truth = sample['gt_video'].float().cpu()
            found['video_psnr'] = psnr(sample['pred_video'].float().cpu(), truth, 255), 1
            found['still_psnr'] = psnr(truth.mean(1, keepdim=True), truth, 255), 1
        if 'pred_audio' in sample:
            truth = sample['gt_audio'].float().cpu()
            found['audio_psnr'] = psnr(sample['pred_audio'].float().cpu(), truth, 2), 1
            found['silence_psnr'] = psnr(torch.zeros(()), truth, 2), 1
        if 'pred_label' in sample and 'gt_label' in sample:
            found['top1'] = (100.0 * (int(sample['pred_label']) == int(sample['gt_label'])), 1)
        return found


def psnr(found: Tensor, truth: Tensor, span: float) -> float:
    """Peak signal-to-noise ratio in decibels, of values that span so much; at most 120 for a span of 1."""
    error = (found - truth).square().mean()
    return (10 * torch.log10(span**2 / error.clamp(min=1e-12))).item()


@METRICS.register_module()
class SetAccuracy(MeanMetric):
    """``accuracy``: percent of right labels, of sets or of their elements."""

    keys = ('accuracy',)

    def measure(self, sample: dict) -> dict[str, tuple[float, float]]:
        right = sample['pred_labels'].cpu() == sample['gt_labels'].cpu()
        return dict(accuracy=(100.0 * right.sum().item(), right.numel()))
