"""Folders of generated data: what they were made with stands in them, and they are whole or absent."""

import json
import os
from collections.abc import Callable
from pathlib import Path

from mmengine.logging import print_log

from .files import dump, whole_folder

MANIFEST = 'generated.json'


def generate(out: str | os.PathLike, write: Callable[[Path], None], **manifest) -> bool:
    """Let ``write`` fill a folder that becomes ``out``; do nothing when the same set is there.

    Args:
        manifest: all that decides what is written.

    Returns:
        True if it was written.

    Raises:
        FileExistsError: ``out`` holds something else.
    """
    out = Path(out).absolute()
    if out.exists() and any(out.iterdir()):
        found = json.loads((out / MANIFEST).read_text()) if (out / MANIFEST).is_file() else None
        if found == manifest:
            print_log(f'{out}: the same set is there already', 'current')
            return False
        held = 'what no generator wrote' if found is None else f'a set made with {found}'
        raise FileExistsError(f'{out} holds {held}; remove it, or choose another folder')
    with whole_folder(out) as folder:
        write(folder)
        dump(manifest, folder / MANIFEST)
    print_log(f'{out}: written, {manifest}', 'current')
    return True
