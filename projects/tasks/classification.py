"""Classification of whole images, pre-training that restores them, and their patches as visual tokens."""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn

from ..registry import TASKS
from ..structures import ImageSample
from .base import Size, Task, image_size, num_classes
from .findings_classification import ClassificationFindings
from .graphs import Graph, LogitsGraph, in_channels


class WholeImage(Task):
    """What both have in common: images of one size in a batch."""

    sample = ImageSample

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        return [image_size(model) or (64, 96)] * 2

    def item(
        self, model: nn.Module, size: Size, count: int | None, random: torch.Generator
    ) -> tuple[Tensor, ImageSample]:
        image = torch.randint(256, (in_channels(model), *size), generator=random, dtype=torch.uint8)
        return image, ImageSample(metainfo=dict(img_shape=size, ori_shape=(2 * size[0], 3 * size[1])))

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        return [(info['gt_label'], None)] if 'gt_label' in info else []


@TASKS.register_module('classification')
class Classification(WholeImage):
    """A record has ``labels``, ``names`` and ``scores`` of the best classes, best first."""

    truths = ('gt_label',)
    predictions = ('pred_scores',)
    metrics = ('top-1', 'top-5')
    annotation = 'images'
    best = 5  # classes in a record

    def item(self, model, size, count, random):
        image, sample = super().item(model, size, count, random)
        if count is not None:
            sample.gt_label = torch.randint(num_classes(model), (), generator=random)
        return image, sample

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        scores = sample.get('pred_scores').detach().cpu().float()
        order = scores.argsort(descending=True, stable=True)[: self.best].tolist()
        order = [label for label in order if scores[label] >= score_thr]
        record = dict(labels=order, scores=[round(scores[label].item(), 5) for label in order])
        if classes is not None:
            record['names'] = [classes[label] for label in order]
        return record

    def graph(self, model: nn.Module, post: bool = False) -> Graph:
        return LogitsGraph(model, post)

    def fuse(self, views: list) -> ImageSample:
        joined = views[0]
        joined.pred_scores = torch.stack([view.pred_scores for view in views]).mean(0)
        return joined

    findings = ClassificationFindings

    def evidence(self, sample: dict, info: dict) -> dict | None:
        """The class and the scores of the best."""
        if 'pred_scores' not in sample or 'gt_label' not in sample:
            return None
        scores = sample['pred_scores'].detach().cpu().float()
        order = scores.argsort(descending=True, stable=True)[: self.best]
        truth = int(sample['gt_label'])
        place = int((scores.argsort(descending=True, stable=True) == truth).nonzero()[0, 0])
        return dict(
            image=sample.get('img_path'),
            truth=truth,
            true_score=float(scores[truth]),
            place=place,
            labels=order.tolist(),
            scores=scores[order].tolist(),
            classes=len(scores),
        )

    def restored(self, evidence: dict) -> ImageSample:
        scores = torch.zeros(evidence['classes'])
        scores[evidence['labels']] = torch.tensor(evidence['scores'])
        sample = ImageSample()
        sample.gt_label, sample.pred_scores = torch.tensor(evidence['truth']), scores
        return sample

    def summary(self, record: dict) -> str:
        said = record.get('names') or record['labels']
        return f'{said[0]} ({record["scores"][0]:.2f})' if said else 'no class above the threshold'

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        if prefix == 'gt':
            label = sample.get('gt_label')
            return [] if label is None else [(f'ground truth: {_name(int(label), classes)}', self.plain(image))]
        record = self.fields(sample, None, score_thr) if 'pred_scores' in sample else dict(labels=[], scores=[])
        said = [f'{_name(label, classes)} {s:.2f}' for label, s in zip(record['labels'][:3], record['scores'])]
        return [(f'prediction: {", ".join(said)}', self.plain(image))] if said else []


def _name(label: int, classes: Sequence[str] | None) -> str:
    return str(label) if classes is None else classes[label]


@TASKS.register_module('reconstruction')
class Reconstruction(WholeImage):
    """Pre-training by masked images. A record has the sides of the image that was made."""

    truths = ('gt_image',)  # no data set has it: the input is what is right
    predictions = ('pred_image',)
    metrics = ('loss',)

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        return dict(restored=list(sample.get('pred_image').shape[1:]))

    def summary(self, record: dict) -> str:
        return 'restored {}x{}'.format(*record['restored'])

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        if prefix == 'gt':
            return [('input', self.plain(image))]
        if 'pred_image' not in sample:
            return []
        made = sample.pred_image.cpu().permute(1, 2, 0).numpy()
        return [('prediction', self.plain(made))]


@TASKS.register_module('visual tokens')
class VisualTokens(WholeImage):
    """Patches as numbers of a codebook. A record has them, row by row, and how many are different."""

    truths = ('gt_tokens',)  # no data set has it: a teacher's features are asked for
    predictions = ('pred_tokens',)
    metrics = ('codes', 'perplexity', 'val/loss')

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        tokens = sample.get('pred_tokens')
        return dict(tokens=tokens.tolist(), different=len(tokens.unique()))

    def summary(self, record: dict) -> str:
        rows = record['tokens']
        return f'{len(rows)}x{len(rows[0])} tokens, {record["different"]} different'

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        """Equal colours are equal codes, of neighbours and of other images; they mean nothing else."""
        if prefix == 'gt':
            return [('input', self.plain(image))]
        if 'pred_tokens' not in sample:
            return []
        tokens = sample.pred_tokens.cpu().numpy()
        mixed = tokens[..., None] * np.array([2654435761, 2246822519, 3266489917])  # multiplicative hashing (Knuth)
        colours = Image.fromarray((mixed >> 11 & 255).astype(np.uint8))
        height, width = image.shape[:2]
        page = np.asarray(colours.resize((width, height), Image.Resampling.NEAREST))
        return [(f'{len(np.unique(tokens))} of {tokens.size} tokens are different', self.plain(page))]
