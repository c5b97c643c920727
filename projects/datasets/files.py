"""Writing data sets: files that are whole or raise, folders that are whole or absent."""

import json
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import cv2
import numpy as np
from pycocotools import mask as rle


def save(path: Path, image: np.ndarray, options: list | None = None):
    # cv2.imwrite reports a full disk by returning False.
    if not cv2.imwrite(str(path), image, options or []):
        raise OSError(f'cannot write {path}')


def dump(content: dict, path: Path):
    path.write_text(json.dumps(content, separators=(',', ':'), sort_keys=True) + '\n', encoding='utf-8')


def refuse_inputs(out: str | Path, inputs: dict[str, str | Path | None], replaces: bool = False) -> None:
    """Refuse to write to what is read or into a folder of it.

    Args:
        out: the file or folder to be written.
        inputs: what it is made of, by what a message calls it; None: nothing.
        replaces: the folder is written anew as a whole, so it may not hold an input either.

    Raises:
        FileExistsError: naming both.
    """
    target = Path(os.path.realpath(out))
    for what, path in inputs.items():
        source = None if path is None else Path(os.path.realpath(path))
        if source is None:
            continue
        if target == source or source in target.parents or (replaces and target in source.parents):
            raise FileExistsError(
                f'{out} is, holds or lies in the {what}, which is read ({path}); choose another place to write to'
            )


@contextmanager
def whole_folder(out: Path) -> Iterator[Path]:
    """A folder to write, which gets the name ``out`` at the end; at every moment ``out`` is whole or absent."""
    partial, old = (out.with_name(f'.{out.name}.{os.getpid()}.{kind}') for kind in ('partial', 'old'))
    try:
        partial.mkdir(parents=True, exist_ok=True)
        yield partial
        if out.exists():
            out.rename(old)
        partial.rename(out)
        shutil.rmtree(old, ignore_errors=True)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def coco_mask(mask: np.ndarray) -> dict:
    """What COCO says of a mask H W: ``segmentation`` (compressed RLE), ``bbox``, ``area``."""
    code = rle.encode(np.asfortranarray(mask.astype(np.uint8)))
    return dict(
        segmentation=dict(size=code['size'], counts=code['counts'].decode()),
        bbox=rle.toBbox(code).tolist(),
        area=int(rle.area(code)),
    )
