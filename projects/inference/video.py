"""Predictions of the frames of a video or a camera, as a video with what was found drawn in, and as records."""

import os
import os.path as osp
from collections.abc import Iterator

import cv2
import numpy as np
from mmcv.transforms import Compose

from ..tasks import Task
from .arrays import from_memory
from .detector import Detector
from .predictions import Records

SUFFIXES = ('.mp4', '.avi', '.mov', '.mkv', '.webm', '.m4v')


def is_video(source: str) -> bool:
    """Whether this is a file of moving images, or the number of a camera."""
    return source.lower().endswith(SUFFIXES) or (source.isdigit() and not osp.exists(source))


def frames(source: str, most: int | None = None) -> Iterator[np.ndarray]:
    """H W 3, BGR.

    Raises:
        ValueError: nothing can be read.
    """
    video = cv2.VideoCapture(int(source) if source.isdigit() else source)
    if not video.isOpened():
        raise ValueError(
            f'{source} cannot be opened as a video; OpenCV reads {", ".join(SUFFIXES)} and cameras 0, 1 ...'
        )
    try:
        number = 0
        while most is None or number < most:
            good, frame = video.read()
            if not good:
                break
            number += 1
            yield frame
    finally:
        video.release()
    if not number:
        raise ValueError(f'{source} has no frame that can be read')


def rate_of(source: str) -> float:
    """Frames a second."""
    video = cv2.VideoCapture(int(source) if source.isdigit() else source)
    rate = video.get(cv2.CAP_PROP_FPS)
    video.release()
    return rate if 1 <= rate <= 240 else 25.0


def predict_video(
    source: str, detector: Detector, task: Task, out: str, score_thr: float, most: int | None = None, rate: float = 0
) -> tuple[int, str]:
    """Write ``predictions.mp4`` and ``predictions.json`` to a folder.

    Args:
        most: frames; None: all, of a camera until Ctrl-C.

    Returns:
        number of frames, path of the video.
    """
    os.makedirs(out, exist_ok=True)
    path, writer, number = osp.join(out, 'predictions.mp4'), None, 0
    pipeline = Compose(detector.pipeline.transforms[1:])  # the frame is loaded
    head = dict(video=source, classes=detector.classes)
    try:
        with Records(osp.join(out, 'predictions.json'), head) as records:
            for frame in frames(source, most):
                image, shape = from_memory(frame), frame.shape[:2]
                given = dict(img=image, img_path=f'frame {number}', img_id=number, img_shape=shape, ori_shape=shape)
                (result,) = detector.predict_batch([pipeline(given)])
                records.add(dict(task.record(result, detector.classes, score_thr), frame=number))
                drawn = task.draw(frame[..., ::-1], result, detector.classes, score_thr)
                page = np.asarray(drawn)[..., ::-1]
                page = page[: page.shape[0] // 2 * 2, : page.shape[1] // 2 * 2]  # coders want even sides
                if writer is None:
                    writer = cv2.VideoWriter(
                        path, cv2.VideoWriter_fourcc(*'mp4v'), rate or rate_of(source), page.shape[1::-1]
                    )
                    size = page.shape
                if page.shape != size:
                    page = cv2.resize(page, size[1::-1])
                writer.write(np.ascontiguousarray(page))
                number += 1
    except KeyboardInterrupt:
        print(f'stopped after {number} frames')
    finally:
        if writer is not None:
            writer.release()
    return number, path
