"""Batches as plain data (tensors, numbers, words, lists and dicts), which a file holds without pickle, and back."""

import importlib
from typing import Any

import numpy as np
import torch
from mmdet.structures.bbox import BaseBoxes
from mmdet.structures.mask import BitmapMasks, PolygonMasks
from mmengine.structures import BaseDataElement

KIND = '__kind__'  # key of what a dict stands for
PACKAGES = ('mmparts', 'mmdet', 'mmengine', 'mmseg')


def plain(value: Any) -> Any:
    """``value`` without classes; what has no plain form becomes its ``repr``."""
    if value is None or isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, torch.Tensor):
        return value.detach().cpu().clone()
    if isinstance(value, np.generic):
        return value.item()
    if isinstance(value, np.ndarray) and value.dtype.kind in 'biuf':
        held = value.astype(np.int64) if value.dtype.kind == 'u' and value.itemsize > 1 else np.ascontiguousarray(value)
        return {KIND: 'array', 'data': torch.from_numpy(held), 'dtype': value.dtype.str}
    if isinstance(value, dict):
        return {key if isinstance(key, (str, int)) else repr(key): plain(item) for key, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    if isinstance(value, tuple):
        return {KIND: 'tuple', 'items': [plain(item) for item in value]}
    if isinstance(value, BaseDataElement):
        return {KIND: name_of(value), 'meta': plain(value.metainfo), 'data': plain(dict(value.items()))}
    if isinstance(value, BaseBoxes):
        return {KIND: name_of(value), 'data': plain(value.tensor)}
    if isinstance(value, BitmapMasks):
        return {KIND: 'bitmap masks', 'data': plain(value.masks), 'size': [value.height, value.width]}
    if isinstance(value, PolygonMasks):
        return {KIND: 'polygon masks', 'data': plain(value.masks), 'size': [value.height, value.width]}
    return repr(value)


def restored(value: Any, device: str | torch.device = 'cpu') -> Any:
    """What :func:`plain` was given.

    Raises:
        ValueError: it asks for a class that is no data sample, boxes or masks of ours or of OpenMMLab's.
    """
    if isinstance(value, torch.Tensor):
        return value.to(device)
    if isinstance(value, list):
        return [restored(item, device) for item in value]
    if not isinstance(value, dict):
        return value
    kind = value.get(KIND)
    if kind is None:
        return {key: restored(item, device) for key, item in value.items()}
    if kind == 'array':
        return value['data'].cpu().numpy().astype(value['dtype'])
    if kind == 'tuple':
        return tuple(restored(item, device) for item in value['items'])
    if kind in ('bitmap masks', 'polygon masks'):
        masks = BitmapMasks if kind == 'bitmap masks' else PolygonMasks
        return masks(restored(value['data']), *value['size'])
    found = class_of(kind)
    if issubclass(found, BaseBoxes):
        return found(restored(value['data'], device))
    meta, data = restored(value['meta'], device), restored(value['data'], device)
    made = found(metainfo=meta)
    for key, item in data.items():
        setattr(made, key, item)
    return made


def name_of(value: Any) -> str:
    return f'{type(value).__module__}.{type(value).__qualname__}'


def class_of(name: str) -> type:
    """The class of that name, if it holds data only."""
    module, _, kind = name.rpartition('.')
    found = None
    if module.split('.')[0] in PACKAGES:
        found = getattr(importlib.import_module(module), kind, None)
    if not isinstance(found, type) or not issubclass(found, (BaseDataElement, BaseBoxes)):
        raise ValueError(f'{name} is no data sample and no boxes; the file was not made by the guard of a training')
    return found
