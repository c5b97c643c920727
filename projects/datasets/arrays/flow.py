"""Pairs of frames with optical flow: files of Middlebury (``.flo``) and KITTI (16-bit ``.png``), folders of Sintel,
KITTI and FlyingChairs."""

import re
from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmcv.transforms.utils import cache_randomness
from mmengine.dataset import BaseDataset

from ...registry import DATASETS, TRANSFORMS
from ...structures import FlowSample
from ..folders import images_below

MAGIC = 202021.25  # the first number of a .flo file
UNKNOWN = 1e9  # speeds from here on mean that nobody knows


def read_flow(path: str | Path) -> tuple[np.ndarray, np.ndarray]:
    """Flow H W 2 (right, down; float32, pixels) and H W bool, where it is known.

    Raises:
        ValueError: no such file of flow; the message says what is wrong.
    """
    path = Path(path)
    if path.suffix == '.png':
        image = cv2.imread(str(path), cv2.IMREAD_UNCHANGED)
        if image is None or image.dtype != np.uint16 or image.ndim != 3:
            raise ValueError(f'{path} is no flow of KITTI: that is a PNG of 16 bits and three channels')
        flow = (image[..., 2:0:-1].astype(np.float32) - 2**15) / 64
        return flow, image[..., 0] > 0
    data = path.read_bytes()
    if len(data) < 12 or np.frombuffer(data, '<f4', 1)[0] != np.float32(MAGIC):
        raise ValueError(f'{path} is no .flo file: it does not begin with {MAGIC}')
    width, height = np.frombuffer(data, '<i4', 2, 4)
    if len(data) != 12 + 8 * int(width) * int(height):
        raise ValueError(
            f'{path} should hold {width}x{height} vectors, {12 + 8 * width * height} bytes, and has {len(data)}'
        )
    flow = np.frombuffer(data, '<f4', offset=12).reshape(height, width, 2).copy()
    known = np.abs(flow).max(-1) < UNKNOWN
    return np.where(known[..., None], flow, 0), known


def write_flow(path: str | Path, flow: np.ndarray, known: np.ndarray | None = None) -> None:
    """H W 2 as ``.flo``, or as KITTI's ``.png`` (rounded to 1/64 pixel)."""
    path, flow = Path(path), np.asarray(flow, np.float32)
    height, width = flow.shape[:2]
    known = np.ones((height, width), bool) if known is None else known
    if path.suffix == '.png':
        code = np.clip(np.rint(flow * 64 + 2**15), 0, 2**16 - 1).astype(np.uint16)
        cv2.imwrite(str(path), np.dstack([known.astype(np.uint16), code[..., 1], code[..., 0]]))
        return
    flow = np.where(known[..., None], flow, 2 * UNKNOWN).astype('<f4')
    path.write_bytes(np.float32(MAGIC).tobytes() + np.array([width, height], '<i4').tobytes() + flow.tobytes())


@DATASETS.register_module()
class FlowPairs(BaseDataset):
    """Each frame of a folder with the one after it, in the order of their names within each folder below.

    Takes the arguments of mmengine's ``BaseDataset``. Frames are below ``data_prefix['img']``. With
    ``data_prefix['flow']``, a pair needs a file of flow there, at the path of its first frame with ``flow_name``
    applied; frames without one begin no pair.

    Args:
        flow_name: pattern and replacement that make the name of the flow of the first frame's: of Sintel and the
            generated set the default; of KITTI ``(r'\\.png$', '.png')``; of FlyingChairs ``(r'img1\\.ppm$',
            'flow.flo')``.

    Raises:
        FileNotFoundError: no pair.
    """

    def __init__(self, *args, flow_name: Sequence[str] = (r'\.[^.]+$', '.flo'), **kwargs):
        self.flow_name = tuple(flow_name)
        super().__init__(*args, **kwargs)

    def load_data_list(self) -> list[dict]:
        root = Path(self.data_prefix['img'])
        if not root.is_dir():
            raise FileNotFoundError(f'{root} is no folder of frames; give data_root')
        frames = [Path(path) for path in images_below(root)]
        pairs = []
        for first, second in zip(frames, frames[1:]):
            if first.parent != second.parent:
                continue
            pair = dict(img_path=str(first), next_path=str(second), img_id=str(first.relative_to(root)))
            if self.data_prefix.get('flow'):
                name = re.sub(*self.flow_name, str(first.relative_to(root)))
                pair['flow_path'] = str(Path(self.data_prefix['flow']) / name)
                if not Path(pair['flow_path']).is_file():
                    continue
            pairs.append(pair)
        if not pairs:
            flow = self.data_prefix.get('flow')
            raise FileNotFoundError(
                f'no pair of frames in {root}' + (f' with flow in {flow} (flow_name={self.flow_name})' if flow else '')
            )
        return pairs

    @staticmethod
    def predictable(paths: list[str]) -> list[str]:
        """Of the frames of a folder those that have one after them."""
        return paths[:-1] if len(paths) > 1 else paths


@TRANSFORMS.register_module()
class LoadFlowPair(BaseTransform):
    """Both frames, RGB, as ``frames`` 2 H W 3, and the flow if the data set names it. Where the second frame is not
    named it is the image after the first in its folder."""

    def transform(self, results: dict) -> dict:
        first = results['img_path']
        second = results.get('next_path') or self.after(first)
        frames = [self._read(path) for path in (first, second)]
        if frames[0].shape != frames[1].shape:
            shapes = ' and '.join('x'.join(map(str, each.shape[:2])) for each in frames)
            raise ValueError(f'{first} and {second} are frames of {shapes} pixels; both must be of one size')
        results['frames'] = np.stack(frames)
        results['ori_shape'] = results['img_shape'] = frames[0].shape[:2]
        if 'flow_path' in results:
            results['gt_flow'], results['gt_valid'] = read_flow(results['flow_path'])
            if results['gt_flow'].shape[:2] != results['ori_shape']:
                raise ValueError(
                    f'{results["flow_path"]} is of {results["gt_flow"].shape[:2]} pixels, its frames of '
                    f'{results["ori_shape"]}'
                )
        return results

    @staticmethod
    def after(path: str) -> str:
        frames = [each for each in images_below(Path(path).parent) if Path(each).parent == Path(path).parent]
        later = [each for each in frames if each > str(path)]
        if not later:
            raise ValueError(f'{path} is the last frame of its folder; flow needs the one after it')
        return later[0]

    @staticmethod
    def _read(path: str) -> np.ndarray:
        image = cv2.imread(str(path), cv2.IMREAD_COLOR)
        if image is None:
            raise ValueError(f'{path} cannot be read as an image')
        return image[..., ::-1]


@TRANSFORMS.register_module()
class FlowCrop(BaseTransform):
    """The same part of both frames and of the flow.

    Args:
        size: height and width.
        flip: chances that the crop is mirrored left to right, and top to bottom.
    """

    def __init__(self, size: Sequence[int], flip: Sequence[float] = (0.5, 0.1)):
        self.size, self.flip = tuple(size), tuple(flip)

    @cache_randomness
    def draw(self, height: int, width: int) -> tuple[int, int, bool, bool]:
        top, left = (np.random.randint(side - part + 1) for side, part in zip((height, width), self.size))
        return top, left, np.random.rand() < self.flip[0], np.random.rand() < self.flip[1]

    def transform(self, results: dict) -> dict:
        height, width = results['frames'].shape[1:3]
        if height < self.size[0] or width < self.size[1]:
            raise ValueError(
                f'{results.get("img_path")} of {height}x{width} pixels is smaller than the crop '
                f'{self.size[0]}x{self.size[1]}'
            )
        top, left, mirror, turn = self.draw(height, width)
        place = (slice(top, top + self.size[0]), slice(left, left + self.size[1]))
        turned = (slice(None, None, -1 if turn else 1), slice(None, None, -1 if mirror else 1))
        results['frames'] = results['frames'][:, place[0], place[1]][:, turned[0], turned[1]]
        if 'gt_flow' in results:
            sign = np.float32([-1 if mirror else 1, -1 if turn else 1])
            results['gt_flow'] = results['gt_flow'][place][turned] * sign
            results['gt_valid'] = results['gt_valid'][place][turned]
        results['img_shape'] = self.size
        return results


@TRANSFORMS.register_module()
class PackFlow(BaseTransform):
    """``inputs``: 3 2 H W, uint8; a `FlowSample`, with the flow if it is known."""

    def transform(self, results: dict) -> dict:
        meta = {
            key: results[key] for key in ('img_id', 'img_path', 'next_path', 'ori_shape', 'img_shape') if key in results
        }
        sample = FlowSample(metainfo=meta)
        if 'gt_flow' in results:
            sample.gt_flow = torch.from_numpy(np.ascontiguousarray(results['gt_flow'].transpose(2, 0, 1)))
            sample.gt_valid = torch.from_numpy(np.ascontiguousarray(results['gt_valid']))
        frames = np.ascontiguousarray(results['frames'].transpose(3, 0, 1, 2))
        return dict(inputs=torch.from_numpy(frames), data_samples=sample)
