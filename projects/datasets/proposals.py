"""Boxes that may hold objects, for DETReg's pre-training: where they come from, and which of them are taken.

A source is called as ``source(results)`` with a loaded sample and returns N 4 float32, xyxy as fractions of the image's
width and height, best first. Whatever has that shape can be registered in ``TASK_UTILS`` and named in a config.
"""

import json
import os
from pathlib import Path

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from ..registry import TASK_UTILS, TRANSFORMS
from .annotations import read_json
from .patches import with_boxes


@TASK_UTILS.register_module()
class SelectiveSearch:
    """OpenCV's selective search (https://doi.org/10.1007/s11263-013-0620-5). Its order is random in part, so every call
    gives others first, which DETReg relies on.

    Args:
        fast: the fast mode; else that of quality.
        side: pixels of the square that the image is resized to before; None: the image as it is.

    Raises:
        ImportError: OpenCV was installed without its contributed modules.
    """

    def __init__(self, fast: bool = True, side: int | None = 128):
        if not hasattr(cv2, 'ximgproc'):
            raise ImportError(
                f'SelectiveSearch needs cv2.ximgproc, which OpenCV {cv2.__version__} lacks: pip install '
                'opencv-contrib-python-headless in place of opencv-python; or take RegionProposals, or '
                'ProposalFile with boxes made elsewhere'
            )
        self.fast, self.side = fast, side

    def __call__(self, results: dict) -> np.ndarray:
        image = results['img']
        if self.side is not None:
            image = cv2.resize(image, (self.side, self.side))
        search = cv2.ximgproc.segmentation.createSelectiveSearchSegmentation()
        search.setBaseImage(image)
        search.switchToSelectiveSearchFast() if self.fast else search.switchToSelectiveSearchQuality()
        return fractions(search.process(), image.shape)


@TASK_UTILS.register_module()
class RegionProposals:
    """Boxes around maximally stable regions (MSER), which any OpenCV finds, in random order: a stand-in for selective
    search that is not DETReg's."""

    def __call__(self, results: dict) -> np.ndarray:
        grey = cv2.cvtColor(results['img'], cv2.COLOR_BGR2GRAY)
        _, boxes = cv2.MSER_create().detectRegions(grey)
        found = np.unique(np.reshape(boxes, (-1, 4)), axis=0)
        return fractions(np.random.permutation(found), grey.shape)


def fractions(boxes: np.ndarray, shape: tuple[int, ...]) -> np.ndarray:
    """x, y, width, height in pixels -> xyxy as fractions of an image of (height, width)."""
    boxes = np.asarray(boxes, np.float32).reshape(-1, 4)
    corners = np.concatenate([boxes[:, :2], boxes[:, :2] + boxes[:, 2:]], axis=1)
    return corners / np.float32([shape[1], shape[0]] * 2)


@TASK_UTILS.register_module()
class ProposalFile:
    """Boxes from a json file: image -> boxes, as :func:`write_proposals` writes it. An image goes by its
    ``img_id`` (of `UnlabelledImages`: its path within the folder) or by its file name.

    Raises:
        KeyError: the file does not know the image.
        ValueError: another kind of file (a pickle would run what it says), or boxes that are not fractions of the
            image.
    """

    def __init__(self, path: str):
        self.path = path
        # Three arrays in place of a million: the worker processes of a data loader would copy each object they touch.
        found = sorted((name.encode(), boxes) for name, boxes in read_boxes(path).items())
        self.names = np.array([name for name, _ in found], dtype=bytes)
        self.starts = np.cumsum([0] + [len(boxes) for _, boxes in found])
        self.boxes = np.concatenate(
            [np.empty((0, 4), np.float32)] + [np.asarray(boxes, np.float32).reshape(-1, 4) for _, boxes in found]
        )
        (outside,) = np.nonzero(~((self.boxes >= 0) & (self.boxes <= 1)).all(1))
        if len(outside):
            number = np.searchsorted(self.starts, outside[0], side='right') - 1
            boxes = self._of(number)
            raise ValueError(
                f'{path}: boxes of {self.names[number].decode()} go from {boxes.min():g} to '
                f'{boxes.max():g}; they should be x1 y1 x2 y2 divided by the width and height of the '
                'image, within 0 and 1'
            )

    def __call__(self, results: dict) -> np.ndarray:
        return self._of(self._number(results))

    def another(self, results: dict) -> np.ndarray:
        """The boxes of another image, drawn at random."""
        if len(self.names) < 2:
            raise ValueError(f"{self.path} holds {len(self.names)} images; strategy='random' takes boxes of another")
        number = np.random.randint(len(self.names) - 1)
        return self._of(number + (number >= self._number(results)))

    def _of(self, number: int) -> np.ndarray:
        return self.boxes[self.starts[number] : self.starts[number + 1]]

    def _number(self, results: dict) -> int:
        names = [str(results.get('img_id')), os.path.basename(results.get('img_path', ''))]
        for name in names:
            number = np.searchsorted(self.names, name.encode())
            if number < len(self.names) and self.names[number] == name.encode():
                return number
        known = [name.decode() for name in self.names[:3]]
        raise KeyError(f'{self.path} has no boxes of {" or ".join(names)}; its names are like {known}')


def read_boxes(path: str) -> dict[str, list]:
    if not path.endswith('.json'):
        raise ValueError(
            f'{path}: proposals are read from JSON only, image -> boxes; a pickle runs whatever its maker wrote. '
            'Convert it where you trust it'
        )
    content = read_json(path, path)
    for name, boxes in content.items():
        if not isinstance(boxes, list) or not all(isinstance(box, list) and len(box) == 4 for box in boxes):
            raise ValueError(f'{path}: boxes of {name} are {boxes!r:.60}; a list of x1 y1 x2 y2 is needed')
    return content


def write_proposals(folder: str | os.PathLike, source, out: str | os.PathLike) -> int:
    """Write the boxes that a source finds in every image of a folder to a json file; returns the images."""
    from .unlabelled import UnlabelledImages

    found = {}
    for sample in UnlabelledImages(data_prefix=dict(img=str(folder)), pipeline=[]).load_data_list():
        boxes = source(dict(sample, img=cv2.imread(sample['img_path'])))
        found[sample['img_id']] = np.round(boxes.clip(0, 1), 5).tolist()
    Path(out).write_text(json.dumps(found, separators=(',', ':')) + '\n', encoding='utf-8')
    return len(found)


def top(source, results: dict, num: int) -> np.ndarray:
    """The first ones."""
    return source(results)[:num]


def monte_carlo(source, results: dict, num: int) -> np.ndarray:
    """Each of the first ``10 num`` with a chance that falls with its rank r: -ln(r / (10 num + 1)) / 10."""
    boxes = source(results)[: 10 * num]
    chance = -np.log(np.arange(1, len(boxes) + 1) / (10 * num + 1)) / 10
    return boxes[np.random.rand(len(boxes)) < chance]


def random(source, results: dict, num: int) -> np.ndarray:
    """The first ones of another picture: what is learned when the boxes mean nothing."""
    if not hasattr(source, 'another'):
        raise ValueError(
            f"strategy='random' takes boxes of another image, which {type(source).__name__} does not "
            'know; take ProposalFile'
        )
    return source.another(results)[:num]


STRATEGIES = dict(topk=top, mc=monte_carlo, random=random)


@TRANSFORMS.register_module()
class ProposalBoxes(BaseTransform):
    """Proposals as the objects of an image (DETReg, section 3.1).

    Args:
        source: config of a source, see above.
        strategy: 'topk', 'mc' or 'random'. The paper's results are of the first, over `SelectiveSearch` anew in every
            epoch; the second asks for a source whose order means something.
        num: boxes, of 'mc' on average.
        minimum: an image with fewer is skipped.
        label: of all boxes; the official code gives the second class.
    """

    def __init__(self, source: dict, strategy: str = 'topk', num: int = 30, minimum: int = 2, label: int = 1):
        if strategy not in STRATEGIES:
            raise ValueError(f'strategy is {strategy!r}; there are {", ".join(STRATEGIES)}')
        self.source = TASK_UTILS.build(source)
        self.choose = STRATEGIES[strategy]
        self.num, self.minimum, self.label = num, minimum, label

    def transform(self, results: dict) -> dict | None:
        boxes = self.choose(self.source, results, self.num)
        height, width = results['img_shape'][:2]
        boxes = boxes * np.float32([width, height, width, height])
        boxes = boxes[(boxes[:, 2:] - boxes[:, :2] > 0).all(1)]
        return with_boxes(results, boxes, self.label) if len(boxes) >= self.minimum else None
