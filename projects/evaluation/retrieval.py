"""Retrieval between images and texts."""

from collections.abc import Sequence

import torch
from mmengine.evaluator import BaseMetric
from torch import Tensor

from ..registry import METRICS


@METRICS.register_module()
class RetrievalRecall(BaseMetric):
    """Share, in percent, of texts whose image is among the k best (``image_R@k``), and of images one of whose texts is
    (``text_R@k``): the protocol of COCO 5K and Flickr 1K, without folds. ``mean_R`` is their mean.

    Samples have ``pred_embeddings`` with a vector for the image and one or several for its texts, all of length 1.
    Images of one ``img_id`` count once, with all their texts. Of equal scores the first one counts.

    Args:
        ks: the numbers k.
        between: the two modalities, that which has several vectors last.
    """

    def __init__(self, ks: Sequence[int] = (1, 5, 10), between: Sequence[str] = ('image', 'text'), **kwargs):
        super().__init__(**kwargs)
        self.ks, self.between = tuple(ks), tuple(between)

    def names(self) -> list[str]:
        """As the numbers are called, with the prefix."""
        return [f'{self.prefix}/{key}' if self.prefix else key for key in self._keys()]

    def _keys(self) -> list[str]:
        first, second = self.between
        return [*(f'{first}_R@{k}' for k in self.ks), *(f'{second}_R@{k}' for k in self.ks), 'mean_R']

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        first, second = self.between
        for sample in data_samples:
            found = sample['pred_embeddings']
            one, several = found[first].float().cpu(), found[second].float().cpu()
            self.results.append((sample['img_id'], one, several[None] if several.ndim == 1 else several))

    def compute_metrics(self, results: list) -> dict[str, float]:
        images, texts, owner = joined(results)
        return dict(zip(self._keys(), [*recalls(images @ texts.T, owner, self.ks)]))


@METRICS.register_module()
class EqualTextRecall(RetrievalRecall):
    """Recall where images share texts: right for a text are all images that have one reading so, and for an image all
    texts that read as one of its own. Texts that read the same are one query. Samples have ``gt_texts``, too."""

    def process(self, data_batch: dict, data_samples: Sequence[dict]):
        before = len(self.results)
        super().process(data_batch, data_samples)
        for place, sample in enumerate(data_samples, before):
            self.results[place] = (self.results[place], tuple(sample['gt_texts']))

    def compute_metrics(self, results: list) -> dict[str, float]:
        images, texts, owner = joined([found for found, _ in results])
        read = [text for (_, _, rows), said in results for text in checked(said, len(rows))]
        names = list(dict.fromkeys(read))
        first = torch.tensor([read.index(name) for name in names])
        numbers = torch.tensor([names.index(text) for text in read])
        right = torch.zeros(len(images), len(names), dtype=torch.bool)
        right[owner, numbers] = True
        return dict(zip(self._keys(), recalls_of_many(images @ texts[first].T, right, self.ks)))


def checked(said: Sequence[str], rows: int) -> Sequence[str]:
    """The texts of an item, as many as it has embeddings of them."""
    if len(said) != rows:
        raise ValueError(f'an item has {len(said)} texts and embeddings of {rows}; pack all its texts')
    return said


def recalls_of_many(scores: Tensor, right: Tensor, ks: Sequence[int]) -> list[float]:
    """Of N images and T texts, N T, several of which may belong together (``right``, N T): R@k of images for texts, of
    texts for images, and the mean of all, in percent. Of equal scores the first one counts."""
    found = []
    for rows, truth in ((scores.T, right.T), (scores, right)):
        order = rows.argsort(dim=1, descending=True, stable=True)
        hits = truth.gather(1, order)
        found += [100 * hits[:, :k].any(1).float().mean().item() for k in ks]
    return [round(value, 4) for value in (*found, sum(found) / len(found))]


def joined(results: Sequence[tuple]) -> tuple[Tensor, Tensor, Tensor]:
    """Images N D, texts T D, and the image of each text; items of one id are one image."""
    rows: dict[object, int] = {}
    images, texts, owner = [], [], []
    for number, image, own in results:
        if number not in rows:
            rows[number] = len(images)
            images.append(image)
        texts.append(own)
        owner += [rows[number]] * len(own)
    return torch.stack(images), torch.cat(texts), torch.tensor(owner)


def recalls(scores: Tensor, owner: Tensor, ks: Sequence[int], of_images: Tensor | None = None) -> list[float]:
    """Of N images and T texts, N T: R@k of images for texts, of texts for images, and the mean of all, in percent.

    Args:
        owner: T, the image of each text.
        of_images: N T, scores by which images are found for texts; default: ``scores``.
    """
    places = ranks((scores if of_images is None else of_images).T, owner)
    best = torch.full((len(scores),), scores.shape[1]).scatter_reduce(
        0, owner, ranks_of_texts(scores, owner), reduce='amin'
    )
    found = [100 * (each < k).float().mean().item() for each in (places, best) for k in ks]
    return [round(value, 4) for value in (*found, sum(found) / len(found))]


def ranks(scores: Tensor, right: Tensor) -> Tensor:
    """Q: how many keys come before the right one of each query, of scores Q K."""
    own = scores.gather(1, right[:, None])
    before = torch.arange(scores.shape[1]) < right[:, None]
    return ((scores > own) | ((scores == own) & before)).sum(1)


def ranks_of_texts(scores: Tensor, owner: Tensor) -> Tensor:
    """T: how many texts come before each text in the order of its own image."""
    order = scores.argsort(dim=1, descending=True, stable=True)
    place = torch.empty_like(order).scatter_(1, order, torch.arange(order.shape[1]).expand_as(order))
    return place[owner, torch.arange(len(owner))]
