"""From a folder with annotations to COCO files: what is dropped and why, which images validate."""

import hashlib
import os
import re
import shutil
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from pathlib import Path

from PIL import Image, UnidentifiedImageError

from ..annotations import box_fault
from ..files import dump
from ..loading import ORIENTATION
from .readers import BadSource, reader_of
from .records import AnnotatedImage, Images, split_of
from .split import stratified


@dataclass
class Converted:
    """What a conversion made.

    files, images: by split; root: the folder that the images' names start from; dropped: reason -> names, one for each;
    notes: what else should be known.
    """

    form: str
    classes: list[str]
    root: Path
    files: dict[str, Path] = field(default_factory=dict)
    images: dict[str, list[AnnotatedImage]] = field(default_factory=dict)
    dropped: dict[str, list[str]] = field(default_factory=dict)
    notes: list[str] = field(default_factory=list)


def convert(
    folder: str | Path,
    out: str | Path,
    form: str | None = None,
    images: str | Path | None = None,
    classes: list[str] | None = None,
    val: float | None = None,
    seed: int = 0,
    group: str | None = None,
    background: bool = False,
    copy: bool = False,
) -> Converted:
    """Write ``annotations/instances_{train,val[,test]}.json`` to ``out``.

    Args:
        folder: with annotations in one format, and images there, or somewhere beside it.
        form: the format; None: by looking.
        images: the folder with the images; None: ``folder``, or the one that it lies in.
        classes: names in their order; None: those of the files, in alphabetical order where they give none. Objects of
            other names are dropped.
        val: share of images that validate; None: 0.2, or the split that folders or files called train, val and test
            make.
        group: a regular expression whose first group (or match) in an image's name says what belongs together, such as
            a patient; a group is not split. Images with equal content are one group in any case.
        background: take images without an annotation file, too, as images without objects.
        copy: copy the images to ``out``, so that it can be moved.

    Raises:
        BadSource: nothing that can be read, or nothing is left of it.
    """
    folder, out = Path(folder).resolve(), Path(out)
    if not folder.exists():
        raise FileNotFoundError(f'there is no folder {folder}')
    places = [Path(images).resolve()] if images else [folder if folder.is_dir() else folder.parent, folder.parent]
    finder = Images(places)
    reader = reader_of(folder, finder, form, list(classes) if classes else None)
    found = list(reader.read())
    made = Converted(reader.name, [], Path(), dropped=reader.dropped)
    if background:
        found += [AnnotatedImage(path, path) for path in sorted(finder.all() - {image.path for image in found})]
    kept = keep(found, made, classes)
    if not kept:
        reasons = '; '.join(f'{reason}: {len(names)}' for reason, names in made.dropped.items())
        raise BadSource(f'{folder}: no image with usable annotations is left of {len(found)} ({reasons})')
    note(made, reader, finder, kept)

    names = {each.name for image, _ in kept for each in image.objects}
    order = classes or [name for name in reader.classes or [] if name in names] or sorted(names, key=natural)
    made.classes = list(order)
    made.images = split(kept, made, val, seed, group)
    made.root = Path(os.path.commonpath([image.path.parent for image, _ in kept]))
    if copy:
        copy_images(made, out)
    write(made, out)
    return made


def keep(found: list[AnnotatedImage], made: Converted, classes: list[str] | None) -> list[tuple[AnnotatedImage, str]]:
    """The images that can be used, with the hash of their content, and their usable objects; the rest is noted."""
    kept, seen = [], set()
    for image in found:
        if image.path in seen:
            drop(made, 'image annotated twice', image.path.name)
            continue
        seen.add(image.path)
        reason, digest = look(image)
        if reason:
            drop(made, reason, image.path.name)
            continue
        keep_objects(image, made, classes)
        kept.append((image, digest))
    return kept


def look(image: AnnotatedImage) -> tuple[str | None, str]:
    """Why an image cannot be used, if so, and the hash of its file; its size is set."""
    content = image.path.read_bytes()
    try:
        with Image.open(image.path) as opened:
            opened.load()
            width, height = opened.size
            turned = opened.getexif().get(ORIENTATION, 1)
    except (UnidentifiedImageError, OSError, SyntaxError, ValueError) as error:
        return f'image cannot be read ({type(error).__name__})' if content else 'image file is empty', ''
    if turned in (5, 6, 7, 8):
        width, height = height, width
    if turned in (2, 3, 4) or (turned in (5, 6, 7, 8) and width == height):
        return f'image is turned (EXIF orientation {turned}) and its size does not tell how its boxes lie', ''
    if image.size and tuple(image.size) != (width, height):
        return 'image is of another size than its annotations say', ''
    image.size = (width, height)
    return None, hashlib.sha1(content, usedforsecurity=False).hexdigest()


def keep_objects(image: AnnotatedImage, made: Converted, classes: list[str] | None) -> None:
    """Leave the objects that can be trained on, in pixels, cut at the border."""
    width, height = image.size
    usable, seen = [], set()
    for each in image.objects:
        if image.relative:
            x1, y1, x2, y2 = each.box
            each.box = (x1 * width, y1 * height, x2 * width, y2 * height)
            if each.segmentation:
                each.segmentation = [
                    [v * (height if i % 2 else width) for i, v in enumerate(s)] for s in each.segmentation
                ]
        x1, y1, x2, y2 = each.box
        whole = dict(bbox=[x1, y1, x2 - x1, y2 - y1])
        reason = box_fault(whole, dict(width=width, height=height))
        if reason is None and classes and each.name not in classes:
            reason = f'class {each.name!r} is not among --classes'
        each.box = (max(x1, 0), max(y1, 0), min(x2, width), min(y2, height))
        if reason is None and (each.name, each.box) in seen:
            reason = 'the same box and class twice in an image'
        if reason:
            drop(made, f'object: {reason}', image.path.name)
            continue
        seen.add((each.name, each.box))
        usable.append(each)
    image.objects = usable


def drop(made: Converted, reason: str, name: str) -> None:
    made.dropped.setdefault(reason, []).append(name)


def note(made: Converted, reader, finder: Images, kept: list) -> None:
    """What is no fault, and should be known."""
    if reader.name == 'yolo' and reader.classes is None:
        made.notes.append(
            'no names of classes were found (names: in a .yaml, classes.txt, obj.names): they are called by their '
            'numbers; --classes gives names'
        )
    crowds = sum(each.crowd for image, _ in kept for each in image.objects)
    if crowds:
        made.notes.append(f'{crowds} objects are crowds or "difficult": they count neither as hits nor as mistakes')
    used = {image.path for image, _ in kept}
    folders = {image.path.parent for image, _ in kept}
    rest = [path for path in finder.all() if path.parent in folders and path not in used]
    if rest:
        made.notes.append(f'{len(rest)} images beside them have no annotations and are left out, as {rest[0].name}')


def split(
    kept: list[tuple[AnnotatedImage, str]], made: Converted, val: float | None, seed: int, group: str | None
) -> dict[str, list[AnnotatedImage]]:
    """Images by split: the given one, or a new one."""
    given = [split_of(image.source) or split_of(image.path) for image, _ in kept] if val is None else []
    if 'train' in given and 'val' in given:
        parts = {'train': [], 'val': []}
        for (image, _), part in zip(kept, given):
            parts.setdefault(part or 'train', []).append(image)
        made.notes.append('the split is the one that the names of folders or files make; --val makes a new one')
        warn_of_doubles(kept, [part or 'train' for part in given], made)
        return parts

    belong = defaultdict(list)
    for image, digest in kept:
        belong[key_of(image, digest, group)].append(image)
    belong = merged(belong, kept)
    groups = [
        Counter({None: len(images)}) + Counter(each.name for image in images for each in image.objects)
        for images in belong
    ]
    validates = stratified(groups, 0.2 if val is None else val, seed)
    parts = {'train': [], 'val': []}
    for images, is_val in zip(belong, validates):
        parts['val' if is_val else 'train'] += images
    if len(belong) < len(kept):
        made.notes.append(f'{len(kept)} images are {len(belong)} groups (equal content{", or --group" * bool(group)})')
    return {part: sorted(images, key=lambda image: image.path) for part, images in parts.items()}


def key_of(image: AnnotatedImage, digest: str, group: str | None) -> str:
    """What an image belongs to."""
    if not group:
        return digest
    match = re.search(group, image.path.name)
    if match is None:
        raise BadSource(f'--group {group!r} does not match the name {image.path.name}')
    return match[1] if match.re.groups else match[0]


def merged(belong: dict[str, list[AnnotatedImage]], kept: list[tuple[AnnotatedImage, str]]) -> list[list]:
    """Groups of which two hold an equal image are one."""
    digests = {id(image): digest for image, digest in kept}
    groups: list[tuple[set, list]] = []
    for images in belong.values():
        held, members = {digests[id(image)] for image in images}, list(images)
        for other in [other for other in groups if other[0] & held]:
            groups.remove(other)
            held, members = held | other[0], other[1] + members
        groups.append((held, members))
    return [members for _, members in groups]


def warn_of_doubles(kept: list[tuple[AnnotatedImage, str]], parts: list[str], made: Converted) -> None:
    """A given split that has the same image on both sides."""
    sides = defaultdict(set)
    for (_, digest), part in zip(kept, parts):
        sides[digest].add(part)
    both = [digest for digest, names in sides.items() if len(names) > 1]
    if both:
        made.notes.append(
            f'{len(both)} images with equal content lie in two parts of the split: --val makes a clean one'
        )


def natural(name: str) -> tuple:
    """Sorts 2 before 10."""
    return tuple((0, int(part), '') if part.isdigit() else (1, 0, part) for part in re.split(r'(\d+)', name) if part)


def copy_images(made: Converted, out: Path) -> None:
    """Copy the images below ``out``, which becomes their root."""
    for images in made.images.values():
        for image in images:
            target = out / 'images' / image.path.relative_to(made.root)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copyfile(image.path, target)
            image.path = target.resolve()
    made.root = (out / 'images').resolve()


def write(made: Converted, out: Path) -> None:
    """A COCO file for each split."""
    (out / 'annotations').mkdir(parents=True, exist_ok=True)
    labels = {name: label for label, name in enumerate(made.classes, 1)}
    for part, images in made.images.items():
        made.files[part] = out / 'annotations' / f'instances_{part}.json'
        objects = [(i, each) for i, image in enumerate(images, 1) for each in image.objects]
        content = dict(
            images=[
                dict(id=i, file_name=image.path.relative_to(made.root).as_posix(), width=width, height=height)
                for i, image in enumerate(images, 1)
                for width, height in [image.size]
            ],
            annotations=[dict(as_coco(each, labels, i), id=number) for number, (i, each) in enumerate(objects, 1)],
            categories=[dict(id=label, name=name) for name, label in labels.items()],
        )
        dump(content, made.files[part])


def as_coco(each, labels: dict[str, int], image: int) -> dict:
    x1, y1, x2, y2 = (round(value, 2) for value in each.box)
    made = dict(image_id=image, category_id=labels[each.name], bbox=[x1, y1, round(x2 - x1, 2), round(y2 - y1, 2)])
    made |= dict(area=round((x2 - x1) * (y2 - y1), 2), iscrowd=int(each.crowd))
    return made | (dict(segmentation=each.segmentation) if each.segmentation else {})
