"""What goes with the inputs of a model of several modalities: truths before, predictions after."""

from collections.abc import Iterable, Iterator

from mmengine.structures import BaseDataElement


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


class MultimodalSample(BaseDataElement):
    """Beside it go ``inputs``, a dict of modalities: ``image`` C H W, ``text`` a string, a `TextList`, or ids ...

    Truths:
        gt_texts: what is said of the image, a list of strings.
        gt_label: number of the class; 1 or 0 where a sentence is true or not.
        gt_answers, gt_answer_weights: strings and the share of annotators who gave each.

    Predictions:
        pred_embeddings: dict of modality -> D, of length 1; n D of an item with n texts.
        pred_scores (K), pred_label: of classes.
        pred_text, pred_texts: a caption or an answer; all that a search kept, best first.

    Metainfo: ``img_id, img_path, text_ids, question_id, classes``: of the file and the data set; ids are strings or
    numbers, and two items with one ``img_id`` show the same image.
    """
