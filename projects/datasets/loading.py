"""Image loading that looks at what is in a file: its bits, channels, orientation, size; errors name it."""

import io
import os

import cv2
import numpy as np
from mmcv.transforms import LoadImageFromFile
from mmengine.fileio import get
from PIL import Image

from ..registry import TRANSFORMS

# OpenCV's flags for mmcv's words; each keeps the bits of the file, which those of mmcv cut to 8.
FLAGS = {
    'color': cv2.IMREAD_COLOR | cv2.IMREAD_ANYDEPTH,
    'grayscale': cv2.IMREAD_GRAYSCALE | cv2.IMREAD_ANYDEPTH,
    'unchanged': cv2.IMREAD_UNCHANGED,
}
FLAGS |= {f'{name}_ignore_orientation': FLAGS[name] | cv2.IMREAD_IGNORE_ORIENTATION for name in ('color', 'grayscale')}
ORIENTATION = 0x0112  # EXIF's tag


class BadImage(OSError):
    """An image that cannot be used; the message names the file."""


@TRANSFORMS.register_module()
class LoadCheckedImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile`, which does not guess.

    Grey, palette, RGBA (without its alpha) and CMYK files become three channels, as there. ``.npy`` files hold arrays
    H W or H W C of any number of channels (``color_type='unchanged'``).

    Args:
        value_range: black and white of images with other numbers than 8-bit ones, as (0, 4095) of a 12-bit camera;
            they become float32 from 0 to 255, what lies outside is cut off. Without it such images are refused: their
            upper 8 bits, which OpenCV takes, are black for many cameras.
        orientation: how boxes lie on annotated images whose EXIF data turns or flips them and whose size does not tell
            (squares, half turns): 'exif', on the turned image, or 'raw', on the pixels as they are stored. Images that
            are only predicted are turned.

    Raises:
        BadImage: the file is missing, empty, truncated or no image (``ignore_empty=True`` skips it instead); it has
            more than 8 bits and no range is stated; nothing tells how its boxes lie.
        ValueError: the image is not of the size that the annotation file gives, so boxes would not fit.
    """

    def __init__(self, *args, value_range: tuple[float, float] | None = None, orientation: str | None = None, **kwargs):
        super().__init__(*args, **kwargs)
        self.value_range = check_range(value_range)
        if orientation not in (None, 'exif', 'raw'):
            raise ValueError(f"orientation={orientation!r} of LoadCheckedImage; write 'exif', 'raw' or leave it out")
        if self.color_type not in FLAGS:
            raise ValueError(f'color_type={self.color_type!r} of LoadCheckedImage; there are {", ".join(FLAGS)}')
        self.orientation = orientation

    def transform(self, results: dict) -> dict | None:
        path, expected = results['img_path'], (results.get('height'), results.get('width'))
        try:
            content = self._bytes(path)
            image = self._decoded(path, content, annotated=None not in expected)
        except BadImage:
            if self.ignore_empty:
                return None
            raise
        image = as_8_bit_range(image, self.value_range, path)
        if None not in expected:
            check_size(path, image.shape[:2], expected)
        results['img'] = image.astype(np.float32) if self.to_float32 else image
        results['img_shape'] = results['ori_shape'] = image.shape[:2]
        return results

    def _bytes(self, path: str) -> bytes:
        try:
            content = get(path, backend_args=self.backend_args)
        except FileNotFoundError as error:
            raise BadImage(f'cannot load the image {path}: there is no such file') from error
        except Exception as error:
            raise BadImage(f'cannot load the image {path}: {" ".join(str(error).split())}') from error
        if not content:
            raise BadImage(f'cannot load the image {path}: the file is empty')
        return content

    def _decoded(self, path: str, content: bytes, annotated: bool) -> np.ndarray:
        """H W or H W C, in the numbers of the file."""
        if path.lower().endswith('.npy'):
            return from_npy(path, content)
        turned = orientation_of(content)
        flag = FLAGS[self.color_type]
        if turned > 1 and self.orientation == 'raw':
            flag |= cv2.IMREAD_IGNORE_ORIENTATION
        image = decode(content, flag)
        if image is None:
            raise BadImage(
                f'cannot load the image {path}: its {len(content):,} bytes are no image that OpenCV reads, or truncated'
            )
        # Orientations 2, 3 and 4 flip and turn by half, 5 to 8 swap the axes.
        ambiguous = turned > 1 and (turned < 5 or image.shape[0] == image.shape[1])
        if annotated and ambiguous and self.orientation is None and flag != cv2.IMREAD_UNCHANGED:
            raise BadImage(
                f'{path} has EXIF orientation {turned}, and its size does not tell whether its boxes lie on the turned '
                "image or on the stored pixels; write orientation='exif' or orientation='raw' in LoadCheckedImage"
            )
        return image


def decode(content: bytes, flag: int) -> np.ndarray | None:
    """OpenCV's decoding, also of what it reads without conversion only (float and 32-bit TIFF)."""
    raw = np.frombuffer(content, np.uint8)
    try:
        image = cv2.imdecode(raw, flag)
        if image is not None or flag == cv2.IMREAD_UNCHANGED:
            return image
        image = cv2.imdecode(raw, cv2.IMREAD_UNCHANGED)
    except cv2.error:
        return None
    if image is None or image.dtype == np.uint8:
        return None
    return with_channels(image, 3 if flag & cv2.IMREAD_COLOR else 1)


def with_channels(image: np.ndarray, number: int) -> np.ndarray:
    """H W 3 for colours, without alpha, or H W for grey."""
    if number == 3:
        return np.repeat(image[..., None], 3, -1) if image.ndim == 2 else image[..., :3]
    return image if image.ndim == 2 else image.mean(-1).astype(image.dtype)


def from_npy(path: str, content: bytes) -> np.ndarray:
    try:
        image = np.load(io.BytesIO(content), allow_pickle=False)
    except ValueError as error:
        raise BadImage(f'cannot load the image {path}: {error}') from error
    if image.ndim not in (2, 3) or not image.size or image.dtype.kind not in 'uif':
        raise BadImage(
            f'{path} holds {image.dtype} of shape {image.shape}; an image is H W or H W C, of whole or real numbers'
        )
    return image


def orientation_of(content: bytes) -> int:
    """EXIF's number in a JPEG, PNG or WebP; 1 where nothing is turned. (OpenCV does not turn TIFF.)"""
    if not any(mark in content for mark in (b'Exif', b'eXIf', b'EXIF')) or content[:4] in (b'II*\0', b'MM\0*'):
        return 1
    try:
        with Image.open(io.BytesIO(content)) as image:
            turned = image.getexif().get(ORIENTATION, 1)
    except Exception:  # damaged EXIF data, which OpenCV ignores
        return 1
    return turned if turned in range(1, 9) else 1


def check_range(value_range: tuple[float, float] | None) -> tuple[float, float] | None:
    if value_range is None:
        return None
    low, high = (float(value) for value in value_range)
    if not np.isfinite([low, high]).all() or not low < high:
        raise ValueError(f'value_range={value_range}; black and white are needed, as in (0, 4095)')
    return low, high


def as_8_bit_range(image: np.ndarray, value_range: tuple[float, float] | None, name: str) -> np.ndarray:
    """uint8 as it is; other numbers as float32 from 0 to 255 by their stated range.

    Raises:
        BadImage: no range is stated, 8 bits where it says more, or NaN.
    """
    if image.dtype == np.uint8 and (value_range is None or value_range == (0.0, 255.0)):
        return image
    if value_range is None:
        low, high = image.min(), image.max()
        raise BadImage(
            f'{name} holds {image.dtype} from {low:g} to {high:g}, not 8-bit values; say which are black and white, as '
            'value_range=(0, 4095) for a 12-bit camera (in LoadCheckedImage, or in Inferencer for arrays)'
        )
    low, high = value_range
    if image.dtype == np.uint8 and high > 255:
        raise BadImage(f'{name} holds 8-bit values, but value_range={value_range} is stated; its own would be (0, 255)')
    scaled = (image.astype(np.float32) - np.float32(low)) * np.float32(255 / (high - low))
    if np.isnan(scaled).any():
        raise BadImage(f'{name} holds NaN')
    return scaled.clip(0, 255)


def check_size(path: str | os.PathLike, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """Refuse an image (height, width) of another size than its annotations say."""
    if tuple(shape) != tuple(expected):
        (height, width), (h, w) = shape, expected
        raise ValueError(
            f'{path} is {width}x{height} pixels, but its annotations say {w}x{h}; the boxes would be '
            'misplaced. Correct the sizes (or the EXIF rotation) in the annotation file'
        )
