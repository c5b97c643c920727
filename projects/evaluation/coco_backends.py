"""Programs that compute COCO's average precisions: pycocotools, and two that do it several times faster.

All are used through pycocotools' interface: made of truth, detections and 'bbox' or 'segm', then ``evaluate``,
``accumulate``, ``summarize``, with ``params`` before and ``stats`` and ``eval`` after.
"""

import contextlib
import importlib.util
import io
import warnings
from collections.abc import Callable

from mmdet.datasets.api_wrappers import COCO
from mmengine.logging import MMLogger, print_log
from pycocotools.cocoeval import COCOeval


def _hotcoco(truth: COCO, detections: COCO, iou_type: str):
    from hotcoco import COCO as HotCOCO
    from hotcoco import COCOeval as HotEval

    # mmdet asks for up to 1,000 detections an image, and reads the recalls accordingly.
    warnings.filterwarnings('ignore', 'hotcoco: max_dets differ')
    return HotEval(_copied(HotCOCO, truth, truth), _copied(HotCOCO, detections, truth), iou_type)


def _faster_coco_eval(truth: COCO, detections: COCO, iou_type: str):
    from faster_coco_eval import COCO as FasterCOCO
    from faster_coco_eval import COCOeval_faster

    with contextlib.redirect_stdout(io.StringIO()):
        return COCOeval_faster(_copied(FasterCOCO, truth, truth), _copied(FasterCOCO, detections, truth), iou_type)


def _copied(kind: type, coco: COCO, truth: COCO):
    """Its images and annotations, with the categories of the truth (which our metric completes)."""
    return kind(
        dict(
            images=list(coco.imgs.values()), annotations=list(coco.anns.values()), categories=list(truth.cats.values())
        )
    )


# Fastest first; the name is that of the package to import.
BACKENDS: dict[str, Callable] = {'hotcoco': _hotcoco, 'faster_coco_eval': _faster_coco_eval, 'pycocotools': COCOeval}


def choose(name: str = 'auto') -> str:
    """The backend of that name, or the fastest that is installed.

    Raises:
        ValueError: there is no backend of that name.
        ImportError: it is not installed.
    """
    if name == 'auto':
        return next(each for each in BACKENDS if importlib.util.find_spec(each))
    if name not in BACKENDS:
        raise ValueError(
            f"backend={name!r} of the COCO metric is unknown; choose from 'auto', {', '.join(map(repr, BACKENDS))}"
        )
    if not importlib.util.find_spec(name):
        raise ImportError(
            f'backend={name!r} of the COCO metric is not installed: pip install '
            f"{name.replace('_', '-')}, or leave backend='auto'"
        )
    return name


def evaluator(name: str, truth: COCO, detections: COCO, iou_type: str):
    """An evaluator of the backend ``name``, and a line in the log that says so."""
    print_log(f'COCO evaluation of {iou_type} by {name}', MMLogger.get_current_instance())
    return BACKENDS[name](truth, detections, iou_type)
