"""What can be wrong with a mask in COCO's forms: polygons, run lengths as a list, run lengths as a string.

pycocotools takes what it is given: run lengths that do not fill the image leave the rest to chance, a NaN in a polygon
ends the process. So masks are looked at here before it sees them.
"""

import math

import numpy as np


class MaskForm(ValueError):
    """Something that is no mask in any form."""


def mask_fault(mask, height: int, width: int) -> str | None:
    """Why an object's ``segmentation`` cannot be used in an image of that size, if so.

    Raises:
        MaskForm: it is neither polygons nor run lengths; the message says what would be.
    """
    if mask is None or mask == [] or mask == {}:
        return 'no mask'
    if isinstance(mask, list):
        return polygons_fault(mask, height, width)
    if isinstance(mask, dict):
        return runs_fault(mask, height, width)
    raise MaskForm(f'is {type(mask).__name__}; polygons [[x1, y1, x2, y2, x3, y3 ...], ...] or run lengths are needed')


def polygons_fault(polygons: list, height: int, width: int) -> str | None:
    left, right, top, bottom = math.inf, -math.inf, math.inf, -math.inf
    for polygon in polygons:
        if not isinstance(polygon, list):
            raise MaskForm(f'is a list of {type(polygon).__name__}; polygons [[x1, y1, x2, y2 ...], ...] are needed')
        try:
            finite = math.isfinite(sum(polygon))
        except TypeError as error:
            raise MaskForm('has a polygon with something that is no number; x1, y1, x2, y2 ... are needed') from error
        if not finite:
            return 'NaN or infinite in a polygon'
        if len(polygon) % 2:
            return 'a polygon with an odd number of values'
        if len(polygon) < 6:
            return 'a polygon of fewer than three points'
        xs, ys = polygon[0::2], polygon[1::2]
        left, right, top, bottom = min(left, *xs), max(right, *xs), min(top, *ys), max(bottom, *ys)
    if right <= 0 or bottom <= 0 or left >= width or top >= height:
        return 'a mask outside the image'
    return None


def runs_fault(mask: dict, height: int, width: int) -> str | None:
    counts = mask.get('counts')
    if not isinstance(mask.get('size'), list) or not isinstance(counts, (list, str, bytes)):
        raise MaskForm(f'has {sorted(map(str, mask))}; run lengths are a dict with `size` [height, width] and `counts`')
    if mask['size'] != [height, width]:
        return 'run lengths of another size than the image'
    if not isinstance(counts, list):
        counts = unpacked(counts)
        if counts is None:
            return 'run lengths that are no valid string'
    elif not all(type(count) is int for count in counts):
        raise MaskForm('has run lengths that are no whole numbers')
    counts = np.asarray(counts, np.float64)  # a sum of wrong numbers may be large
    if (counts < 0).any() or counts.sum() != height * width:
        return 'run lengths that do not fill the image'
    return None if counts[1::2].any() else 'a mask without a pixel'


def unpacked(text: str | bytes) -> np.ndarray | None:
    """The run lengths in COCO's string: five bits a character, the sixth says that the number goes on, and from the
    third number on the difference to the one before the last. None where it is none."""
    raw = (
        np.frombuffer(text.encode('latin-1', 'replace') if isinstance(text, str) else text, np.uint8).astype(np.int64)
        - 48
    )
    if not raw.size or (raw < 0).any() or (raw > 63).any() or raw[-1] & 32:
        return None
    last = np.flatnonzero(raw & 32 == 0)  # of each number
    first = np.concatenate([[0], last[:-1] + 1])
    place = np.arange(raw.size) - np.repeat(first, last - first + 1)
    if place.max() > 6:  # 35 bits: no image has so many pixels
        return None
    numbers = np.add.reduceat((raw & 31) << 5 * place, first)
    negative = raw[last] & 16 != 0
    numbers = numbers - np.where(negative, 1 << 5 * (last - first + 1), 0)
    # Numbers 1, 3, 5 ... and 2, 4, 6 ... add up on their own; number 0 stands alone.
    for start in (1, 2):
        numbers[start::2] = np.cumsum(numbers[start::2])
    return numbers
