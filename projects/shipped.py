"""The configs that are shipped with the package."""

import os.path as osp
from difflib import get_close_matches
from glob import glob

FOLDER = osp.join(osp.dirname(__file__), '.mim', 'configs')


def config(name: str) -> str:
    """Path of a shipped config, e.g. ``config('dino/dino-4scale_r50_8xb2-12e_coco.py')``; the file's own name, without
    its ending, will do.

    The expression form for a ``_base_`` that must resolve before mmparts is imported:
    ``_base_ = __import__('mmparts').config('...')``.
    """
    path = osp.join(FOLDER, name)
    if osp.isfile(path):
        return path
    known = {osp.splitext(osp.basename(file))[0]: file for file in glob(osp.join(FOLDER, '*', '*.py'))}
    word = osp.splitext(osp.basename(name))[0]
    if word in known and '/' not in name:
        return known[word]
    near = get_close_matches(word, known, n=3, cutoff=0.6)
    question = f'; did you mean {" or ".join(osp.relpath(known[one], FOLDER) for one in near)}?' if near else ''
    raise FileNotFoundError(f'mmparts ships no config {name!r} (looked for {path}){question}')
