"""Images that are in memory already: arrays of a named order of channels, and PIL's."""

from collections.abc import Sequence

import cv2
import numpy as np
from PIL import Image, ImageOps

from ..datasets.loading import BadImage, as_8_bit_range, with_channels

ORDERS = ('bgr', 'rgb')


def from_memory(
    image: np.ndarray | Image.Image,
    order: str = 'bgr',
    value_range: Sequence[float] | None = None,
    color_type: str = 'color',
    name: str = 'the array',
) -> np.ndarray:
    """What `LoadCheckedImage` would have loaded of a file with these pixels.

    Args:
        image: H W, H W 1, or H W C with C of 2 (grey and alpha), 3 or 4 (colours and alpha); or an image of PIL.
        order: of colours in an array, 'bgr' or 'rgb'; PIL's have an order of their own.
        value_range: black and white of an array that is not of 8 bits.
        color_type: of the loader: 'color' gives H W 3 in BGR, 'grayscale' H W, 'unchanged' what it was given.

    Raises:
        BadImage: another shape or kind of numbers.
    """
    if isinstance(image, Image.Image):
        image = ImageOps.exif_transpose(image)
        if image.mode in ('P', 'CMYK', '1', 'PA', 'YCbCr', 'LAB', 'HSV', 'RGBX'):
            image = image.convert('RGB')
        image, order = np.asarray(image), 'rgb'
    array = np.asarray(image)
    if array.ndim not in (2, 3) or not array.size or array.dtype.kind not in 'buif':
        raise BadImage(f'{name} is {array.dtype} of shape {array.shape}; an image is H W, H W 1 or H W C of numbers')
    array = array.astype(np.uint8) * 255 if array.dtype == bool else array
    array = as_8_bit_range(array, None if value_range is None else tuple(map(float, value_range)), name)
    if color_type == 'unchanged':
        return array
    array = array[..., 0] if array.ndim == 3 and array.shape[-1] <= 2 else array
    if array.ndim == 3 and array.shape[-1] not in (3, 4):
        raise BadImage(
            f'{name} has {array.shape[-1]} channels (shape {array.shape}, read as H W C), the model wants colours; '
            "C H W is turned by np.moveaxis(array, 0, -1), more bands take color_type='unchanged' in LoadCheckedImage"
        )
    if color_type == 'grayscale' and array.ndim == 3:
        return cv2.cvtColor(np.ascontiguousarray(array[..., :3]), COLOURS_TO_GREY[order])
    array = with_channels(array, 1 if color_type == 'grayscale' else 3)
    return np.ascontiguousarray(array[..., ::-1] if order == 'rgb' and array.ndim == 3 else array)


COLOURS_TO_GREY = dict(bgr=cv2.COLOR_BGR2GRAY, rgb=cv2.COLOR_RGB2GRAY)
