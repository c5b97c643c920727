"""What every reader gives: images with objects, in pixels; and the images themselves, found by name."""

import os
from collections import defaultdict
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from ..unlabelled import SUFFIXES

SPLITS = {'train': 'train', 'training': 'train', 'val': 'val', 'valid': 'val', 'validation': 'val', 'test': 'test'}


@dataclass
class Annotated:
    """An object: class name, box (x1, y1, x2, y2) in pixels, polygons or other masks of COCO's where there are any.

    crowd: a region that counts neither as hit nor as mistake (COCO's crowd, VOC's difficult).
    """

    name: str
    box: tuple[float, float, float, float]
    segmentation: list | dict | None = None
    crowd: bool = False


@dataclass
class AnnotatedImage:
    """An image with its objects.

    size: (width, height) as the annotations say; None: they do not. relative: boxes are shares of the image's sides.
    """

    path: Path
    source: Path
    objects: list[Annotated] = field(default_factory=list)
    size: tuple[int, int] | None = None
    relative: bool = False


class Images:
    """The images below some folders, by name: annotations name them in many ways.

    Args:
        folders: the first of them that has an image counts, and no other: a name that is missing there must not be
            taken from a data set that lies beside it.
    """

    def __init__(self, folders: list[Path]):
        self.folders = folders

    @cached_property
    def known(self) -> dict[str, list[Path]]:
        """Stem -> images."""
        return next(filter(None, map(index, self.folders)), {})

    def find(self, name: str, source: Path) -> Path | str:
        """The image that an annotation file means, or why there is none.

        Args:
            name: as the file says it: a path, a name or a stem.
            source: the annotation file. Of several images with one name, that in a folder called as its own counts.
        """
        name = name.replace('\\', '/')
        beside = source.parent / name
        if beside.suffix.lower() in SUFFIXES and beside.is_file():
            return beside.resolve()
        base = os.path.basename(name)
        stem, ending = os.path.splitext(base)
        stem = stem if ending.lower() in SUFFIXES else base
        found = self.known.get(stem, [])
        if len(found) > 1:
            found = [path for path in found if path.name == base] or found
        if len(found) > 1:
            found = [path for path in found if path.parent.name == source.parent.name] or found
        if len(found) != 1:
            return 'several images of this name' if found else 'no image of this name'
        return found[0]

    def all(self) -> set[Path]:
        """Every image."""
        return {path for paths in self.known.values() for path in paths}


def index(folder: Path) -> dict[str, list[Path]]:
    """Stem -> images below a folder; hidden folders are left out."""
    found = defaultdict(list)
    for place, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith('.'))
        for name in sorted(names):
            stem, ending = os.path.splitext(name)
            if ending.lower() in SUFFIXES and not name.startswith('.'):
                found[stem].append(Path(place, name).resolve())
    return found


def split_of(path: Path) -> str | None:
    """'train', 'val' or 'test' where a folder of the path, or the file's own name, begins so (train2017, valid ...)."""
    for part in reversed(path.parts):
        word = part.lower().split('.')[0].rstrip('0123456789')
        for piece in (word, *word.replace('-', '_').split('_')):
            if piece.rstrip('0123456789') in SPLITS:
                return SPLITS[piece.rstrip('0123456789')]
    return None
