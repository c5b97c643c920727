"""Writing data sets: files that are whole or raise, folders that are whole or absent."""
import json
import os
import shutil
from pathlib import Path

import cv2
import numpy as np


def save(path: Path, image: np.ndarray, options: list | None = None):
    # cv2.imwrite reports a full disk by returning False.
    if not cv2.imwrite(str(path), image, options or []):
        raise OSError(f'cannot write {path}')


def dump(content: dict, path: Path):
    path.write_text(json.dumps(content, separators=(',', ':'), sort_keys=True) + '\n', encoding='utf-8')


def publish(partial_dir: Path, out: Path):
    """Give the finished folder its name; at every moment ``out`` is whole or absent."""
    old = out.with_name(f'.{out.name}.{os.getpid()}.old')
    if out.exists():
        out.rename(old)
    partial_dir.rename(out)
    shutil.rmtree(old, ignore_errors=True)
