"""Videos with sound and a class, restored from a few latents."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image, ImageDraw
from torch import Tensor, nn

from ..datasets.arrays.clips import read_clip
from ..registry import TASKS
from ..structures import ClipSample
from ..visualization.pictures import enlarge
from .base import Size, Task

SHOWN = 4  # frames of a video


@TASKS.register_module('autoencoding')
class Autoencoding(Task):
    """A record has the class and its score, and the PSNR of video and sound where what is right is known; inputs are a
    dict of ``image`` 3 T H W, ``audio`` samples and ``label`` K."""

    sample = ClipSample
    truths = ('gt_video', 'gt_audio')
    input_is_truth = True  # the clip itself
    predictions = ('pred_video', 'pred_audio', 'pred_scores')
    metrics = ('video PSNR', 'audio PSNR', 'top-1')
    annotation = 'clips'

    def size(self, cfg: dict) -> Size:
        return tuple(cfg.get('model', cfg)['backbone']['queries']['queries']['image']['size'])

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        return [model.backbone.queries.parts['image'].fixed] * 2

    def item(self, model: nn.Module, size: Size, count: int | None, random: torch.Generator) -> tuple[dict, ClipSample]:
        inputs = dict(
            image=torch.randint(256, (3, *size), generator=random, dtype=torch.uint8),
            audio=2 * torch.rand(model.backbone.inputs.adapters['audio'].num_samples, generator=random) - 1,
            label=torch.zeros(model.num_classes),
        )
        sample = ClipSample(metainfo=dict(img_shape=size[1:], ori_shape=size[1:]))
        if count is not None:
            sample.gt_video, sample.gt_audio = inputs['image'], inputs['audio']
            sample.gt_label = torch.randint(model.num_classes, (), generator=random)
        return inputs, sample

    def stack(self, inputs: list, device) -> dict:
        return {name: torch.stack([each[name] for each in inputs]).float().to(device) for name in inputs[0]}

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        record = {}
        if 'pred_scores' in sample:
            label = int(sample.get('pred_label'))
            record = dict(label=label, score=round(sample.get('pred_scores')[label].item(), 5))
            if classes is not None:
                record['name'] = classes[label]
        for name, span in (('video', 255.0), ('audio', 2.0)):
            if f'pred_{name}' in sample and f'gt_{name}' in sample:
                pair = (sample.get(f'{prefix}_{name}').float().cpu() for prefix in ('pred', 'gt'))
                record[f'{name}_psnr'] = round(psnr(*pair, span), 3)
        return record

    def summary(self, record: dict) -> str:
        return ', '.join(f'{name} {value}' for name, value in record.items() if name not in ('image', 'image_id'))

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(int(info['gt_label']), None)] if 'gt_label' in info else []

    def read(self, sample) -> np.ndarray:
        return read_clip(sample.img_path)['video'][0]

    def image(self, inputs: dict) -> np.ndarray:
        return super().image(inputs['image'][:, 0].flip(0))

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        name = dict(gt='ground truth', pred='restored')[prefix]
        views = []
        if f'{prefix}_video' in sample:
            views.append((name, enlarge(frames_in_a_row(sample.get(f'{prefix}_video').cpu().numpy()))))
        if f'{prefix}_audio' in sample:
            views.append((f'{name}: sound', wave(sample.get(f'{prefix}_audio').float().cpu().numpy())))
        return views


def psnr(found: Tensor, truth: Tensor, span: float) -> float:
    """Decibels; ``span`` is from the least to the greatest number that can be."""
    error = (found - truth).square().mean().clamp(min=1e-12)
    return (10 * torch.log10(span**2 / error)).item()


def frames_in_a_row(video: np.ndarray) -> np.ndarray:
    """3 T H W -> H W' 3 of some of its frames."""
    numbers = np.linspace(0, video.shape[1] - 1, min(SHOWN, video.shape[1])).astype(int)
    return np.concatenate([video[:, number].transpose(1, 2, 0) for number in numbers], axis=1)


def wave(audio: np.ndarray, width: int = 480, height: int = 160) -> Image.Image:
    """The least and greatest sample of each column of pixels."""
    made = Image.new('RGB', (width, height), (255, 255, 255))
    draw = ImageDraw.Draw(made)
    for column, part in enumerate(np.array_split(audio, width)):
        if len(part):
            low, high = (height / 2 * (1 - float(np.clip(each, -1, 1))) for each in (part.max(), part.min()))
            draw.line((column, low, column, high), fill=(40, 80, 200))
    return made
