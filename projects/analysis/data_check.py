"""Data sets of a config held against its model before any training: counts, sizes, unreadable files, doubles."""

import hashlib
from collections import defaultdict
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import matplotlib
import numpy as np
from mmengine.config import Config
from mmengine.dataset import BaseDataset
from rich.progress import track
from rich.table import Table

from ..datasets.loading import BadImage
from ..datasets.survey import EDGES, SMALL, Survey, has_boxes, queries_of, scale_of, survey
from ..visualization.pictures import save
from .browse import beside, build_dataset, loading, overview, task_of_data


@dataclass
class Report:
    """What was found. surveys: of boxes, by split; findings: sentences, the most serious first."""

    surveys: dict[str, Survey] = field(default_factory=dict)
    findings: list[str] = field(default_factory=list)
    unreadable: dict[str, str] = field(default_factory=dict)
    doubles: list[tuple[tuple[str, str], ...]] = field(default_factory=list)
    datasets: dict[str, BaseDataset] = field(default_factory=dict)


def check(cfg: Config, splits: tuple[str, ...] = ('train', 'val'), read: bool = True) -> Report:
    """Check the data sets of a config.

    Args:
        read: open every image, too: what cannot be read, and what is there twice.
    """
    report = Report()
    for split in splits:
        if not cfg.get(f'{split}_dataloader'):
            continue
        dataset = report.datasets[split] = build_dataset(cfg, split)
        if has_boxes(dataset):
            scale = scale_of(cfg[f'{split}_dataloader'].dataset)
            report.surveys[split] = survey(dataset, split, scale)
    for each in report.surveys.values():
        report.findings += each.findings(queries_of(cfg))
    if read:
        read_images(report)
    return report


def read_images(report: Report) -> None:
    """Open every image as the pipeline does; note what fails and what is equal."""
    seen, alike = defaultdict(list), defaultdict(list)
    for split, dataset in report.datasets.items():
        load = loading(dataset)
        for index in track(range(len(dataset)), description=f'reading {split}', transient=True):
            info = dataset.get_data_info(index)
            path = info.get('img_path')
            if not path or '://' in str(path):
                continue
            try:
                image = load(dict(info)).get('img')
            except (BadImage, ValueError, OSError, KeyError) as error:
                report.unreadable[path] = str(error)
                continue
            seen[hashlib.sha1(Path(path).read_bytes(), usedforsecurity=False).digest()].append((split, path))
            if image is not None and image.ndim == 3 and image.shape[2] in (1, 3):
                alike[looks(image)].append((split, path))
    found = {}
    for groups, what in ((seen, 'equal'), (alike, 'alike')):
        for places in groups.values():
            paths = tuple(dict.fromkeys(places))
            if len(paths) > 1:
                found.setdefault(paths, what)
    report.doubles = sorted(found, key=lambda places: -len({split for split, _ in places}))
    across = [places for places in report.doubles if len({split for split, _ in places}) > 1]
    if across:
        report.findings.insert(
            0,
            f'{len(across)} images are in two splits, or look alike, as {name(across[0])}: numbers of validation will '
            'be too good; `mmparts data convert --val` makes a split without',
        )
    if len(report.doubles) > len(across):
        inner = [places for places in report.doubles if places not in across]
        report.findings.append(f'{len(inner)} images are twice in a split, or look alike, as {name(inner[0])}')
    if report.unreadable:
        first = next(iter(report.unreadable.values()))
        report.findings.insert(0, f'{len(report.unreadable)} images cannot be used, the first: {first}')


def name(places) -> str:
    """'train/a.jpg and val/b.jpg'."""
    return ' and '.join(f'{split}/{Path(path).name}' for split, path in places[:3])


def looks(image: np.ndarray) -> bytes:
    """A fingerprint that survives another size or compression: the signs of differences of 16 x 15 cells, and the mean
    brightness in steps of 16."""
    grey = image.mean(-1).astype(np.float32)
    cells = cv2.resize(grey, (17, 16), interpolation=cv2.INTER_AREA)
    return np.packbits(cells[:, 1:] > cells[:, :-1]).tobytes() + bytes([int(min(max(grey.mean(), 0), 255)) // 16])


def tables(report: Report) -> list[Table]:
    """Counts by class, and sides against strides."""
    if not report.surveys:
        return []
    surveys = report.surveys
    by_class = Table('class', title='objects (images)', title_justify='left')
    sizes = Table('side after resizing', title=f'sides against strides, px (below {SMALL}: less than a cell)')
    sizes.title_justify = 'left'
    for split in surveys:
        by_class.add_column(split, justify='right')
        sizes.add_column(split, justify='right')
    classes = dict.fromkeys(name for each in surveys.values() for name in each.classes)
    for each in classes:
        by_class.add_row(each, *(f'{one.objects[each]} ({one.images_with[each]})' for one in surveys.values()))
    by_class.add_row('all', *(f'{sum(one.objects.values())} ({one.images})' for one in surveys.values()), style='bold')
    empty = [str(one.per_image.count(0)) for one in surveys.values()]
    by_class.add_row('images without objects', *empty)
    by_class.add_row('most objects in an image', *(str(max(one.per_image, default=0)) for one in surveys.values()))
    bounds = (0, *EDGES, float('inf'))
    for low, high in zip(bounds, bounds[1:]):
        label = f'below {high}' if not low else f'{low} to {high}' if high < float('inf') else f'from {low}'
        counts = [sum(low <= side < high for sides in one.sides.values() for side in sides) for one in surveys.values()]
        sizes.add_row(label, *map(str, counts))
    return [by_class, sizes]


def draw(cfg: Config, report: Report, out: str | Path) -> list[Path]:
    """Pictures: sides of objects against strides; the images with most and with the smallest objects; doubles."""
    out, made = Path(out), []
    out.mkdir(parents=True, exist_ok=True)
    if report.surveys:
        made.append(draw_sides(report, out / 'sides.png'))
    for split, each in report.surveys.items():
        dataset = report.datasets[split]
        task = task_of_data(cfg, dataset)
        crowded = np.argsort([-count for count in each.per_image])[:6]
        smallest = np.argsort([least(dataset.get_data_info(index)) for index in range(len(dataset))])[:6]
        tiles = []
        for index in dict.fromkeys([*crowded.tolist(), *smallest.tolist()]):
            if dataset.get_data_info(index).get('img_path') in report.unreadable:
                continue
            sample = dataset[index]
            image = task.image(sample['inputs'])
            tiles += [view for _, view in task.views(image, sample['data_samples'], 'gt', each.classes, 0.0)][:1]
        if tiles:
            made.append(out / f'{split}_crowded_and_small.jpg')
            save(overview(tiles), str(made[-1]))
    pairs = [[picture(path) for _, path in places[:2]] for places in report.doubles[:6]]
    if pairs:
        made.append(out / 'doubles.jpg')
        save(overview([beside(pair) for pair in pairs]), str(made[-1]))
    return made


def least(info: dict) -> float:
    """The smallest area of an image's objects."""
    boxes = [each['bbox'] for each in info.get('instances', ()) if not each.get('ignore_flag')]
    return min(((x2 - x1) * (y2 - y1) for x1, y1, x2, y2 in boxes), default=float('inf'))


def picture(path: str):
    from PIL import Image

    with Image.open(path) as image:
        small = image.convert('RGB')
    small.thumbnail((320, 320))
    return small


def draw_sides(report: Report, path: Path) -> Path:
    """How many objects have which side, by class, over all splits."""
    with matplotlib.rc_context({'backend': 'Agg'}):
        import matplotlib.pyplot as plt

        figure, axis = plt.subplots(figsize=(7, 4))
        bins = 2 ** np.arange(1, 10.25, 0.5)
        classes = dict.fromkeys(name for each in report.surveys.values() for name in each.classes)
        sides = {
            name: [side for each in report.surveys.values() for side in each.sides.get(name, ())]
            for name in [*classes][:12]
        }
        axis.hist([np.maximum(values, 2) for values in sides.values()], bins=bins, stacked=True, label=list(sides))
        for edge in EDGES[:4]:
            axis.axvline(edge, color='0.6', linewidth=0.8, linestyle='--')
        axis.set(xscale='log', xlabel='side after resizing, px (dashed: strides)', ylabel='objects')
        axis.set_xticks([4, 8, 16, 32, 64, 128, 256], ['4', '8', '16', '32', '64', '128', '256'])
        axis.legend(fontsize=8)
        figure.tight_layout()
        figure.savefig(path, dpi=120)
        plt.close(figure)
    return path
