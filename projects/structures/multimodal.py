"""What goes with the inputs of a model of several modalities: truths before, predictions after."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from mmengine.structures import BaseDataElement
from torch import Tensor


class TextList:
    """The texts of one item. No Sequence on purpose: mmengine's collating turns lists within a batch inside out, and
    refuses those of unequal lengths."""

    def __init__(self, texts: Iterable[str]):
        self.texts = tuple(texts)

    def __iter__(self) -> Iterator[str]:
        return iter(self.texts)

    def __len__(self) -> int:
        return len(self.texts)

    def __repr__(self) -> str:
        return f'TextList({list(self.texts)})'


@dataclass
class ItemRegions:
    """What a detector has found in the image of an item, or in its two images. No dict on purpose, see `TextList`.

    Args:
        features: R D.
        boxes: R 4, xyxy in shares of the image's sides.
        types: R, which of several images a region is of.
        words: R A, places of the words that a region is aligned with, -1 for none.
    """

    features: Tensor
    boxes: Tensor | None = None
    types: Tensor | None = None
    words: Tensor | None = None

    def known(self) -> dict[str, Tensor]:
        """Name -> tensor of what is there."""
        return {name: each for name, each in vars(self).items() if each is not None}


class MultimodalSample(BaseDataElement):
    """Beside it go ``inputs``, a dict of modalities: ``image`` C H W, ``text`` a string, a `TextList`, or ids ...

    Truths:
        gt_texts: what is said of the image, a list of strings.
        gt_label: number of the class; 1 or 0 where a sentence is true or not.
        gt_score: K, the share of each class in a mixed image.
        gt_box: 4, left, top, right, bottom in shares of the image's sides: what the text means.
        gt_answers, gt_answer_weights: strings and the share of annotators who gave each.

    Predictions:
        pred_embeddings: dict of modality -> D, of length 1; n D of an item with n texts.
        pred_scores (K), pred_label: of classes.
        pred_box: as gt_box.
        pred_text, pred_texts: a caption or an answer; all that a search kept, best first.

    Metainfo: ``img_id, img_path, text_ids, question_id, classes``: of the file and the data set; ids are strings or
    numbers, and two items with one ``img_id`` show the same image.
    """
