"""The report of a run: what its validation found, curves beside those of other runs, its data, config and commands.

`ReportHook` keeps all that a report is made of in ``report.json.gz`` of the work dir; :func:`write_report` makes the
page.
"""

import base64
import gzip
import json
import os.path as osp
from collections.abc import Sequence

from mmengine.config import Config

from ...registry import TASKS
from ...tasks import Task
from ...visualization.curves import loss_terms, metrics_of, read_scalars, smooth
from ...visualization.report import (
    Album,
    Bars,
    Chart,
    Code,
    Gallery,
    Lines,
    Section,
    Table,
    Text,
    Tiles,
    draw_bars,
    draw_lines,
    render,
)
from ...visualization.report.blocks import Example
from ..checkpoints.checkpoint import write_atomically
from .data_summary import SMALL

PAGE, RECORD, SUMMARY = 'report.html', 'report.json.gz', 'report.json'
METRICS = 6  # charts of them
FOLDED = 15  # rows of a table that opens at a click
# What of a config a run reads; all else are words of the config itself.
READ = (
    'model',
    'train_dataloader',
    'val_dataloader',
    'test_dataloader',
    'val_evaluator',
    'test_evaluator',
    'train_cfg',
    'val_cfg',
    'test_cfg',
    'optim_wrapper',
    'param_scheduler',
    'default_hooks',
    'custom_hooks',
    'auto_scale_lr',
    'randomness',
    'env_cfg',
    'runner_type',
)


class NoReport(FileNotFoundError):
    """A work dir without what a report is made of."""


def save_record(work_dir: str, record: dict) -> None:
    """Keep what a report is made of."""
    write_atomically(gzip.compress(json.dumps(record).encode(), 3), osp.join(work_dir, RECORD))


def read_record(work_dir: str) -> dict:
    """What `save_record` kept.

    Raises:
        NoReport: there is none.
    """
    path = osp.join(work_dir, RECORD)
    if not osp.isfile(path):
        raise NoReport(
            f'{work_dir} has no {RECORD}, which a validation writes (mmparts.ReportHook in default_hooks); '
            'with --checkpoint FILE the validation is run now'
        )
    with gzip.open(path, 'rt', encoding='utf-8') as file:
        return json.load(file)


def write_report(work_dir: str, others: Sequence[str] = (), out: str | None = None) -> str:
    """Write the page of a work dir.

    Args:
        others: work dirs of runs to compare with, whose curves are grey.
        out: where; default: ``report.html`` in the work dir.

    Returns:
        The file.
    """
    record = read_record(work_dir)
    out = out or osp.join(work_dir, PAGE)
    task = task_named(record['task'])
    findings = task.findings(task, record['evidence'], record['classes'])
    write_atomically(make_page(record, findings, work_dir, others).encode(), out)
    told = dict(metrics=record['metrics'], when=record['when'], threshold=findings.threshold, says=findings.verdict())
    write_atomically(json.dumps(told, indent=1).encode(), osp.join(work_dir, SUMMARY))
    return out


def threshold_beside(checkpoint: str) -> float | None:
    """The best threshold by the report of the run that wrote a checkpoint, where it left one."""
    path = osp.join(osp.dirname(checkpoint), SUMMARY)
    if not osp.isfile(path):
        return None
    with open(path, encoding='utf-8') as file:
        return json.load(file).get('threshold')


def make_page(record: dict, findings, work_dir: str, others: Sequence[str] = ()) -> str:
    """The text of the page."""
    task = findings.task
    album = Album()
    train, val = read_scalars(work_dir)
    sections = [
        summary(record, val),
        data(record, task),
        training(train, val, {name_of(other): read_scalars(other) for other in others}),
        runs(record, work_dir, others),
        *findings.sections(album),
        layers(record, album),
        config(record),
        commands(record, work_dir, findings.threshold),
    ]
    verdict = ' '.join(filter(None, [progress(val), findings.verdict()])) or 'A validation without predictions to show.'
    subtitle = f'{record["when"]}, {record["model"]}, {record["config"]}'
    return render(name_of(work_dir), verdict, sections, album, subtitle)


def task_named(name: str | None) -> Task:
    TASKS.import_from_location()
    kind = TASKS.get(name) if name else None
    return (kind or Task)()


def name_of(work_dir: str) -> str:
    return osp.basename(osp.abspath(work_dir))


def progress(val: list[dict]) -> str:
    """How far the run is, and whether more of it would help."""
    if len(val) < 2 or not (names := list(metrics_of(val[-1]))):
        return ''
    values = [(record.get(names[0], float('-inf')), record['step']) for record in val]
    best, step = max(values)
    if step == values[-1][1]:
        return f'The last validation is the best one ({names[0]} {best:.3f}): longer training may help.'
    return f'{names[0]} was best at {step} ({best:.3f}) and is {values[-1][0]:.3f} now.'


def summary(record: dict, val: list[dict]) -> Section:
    """Every number of the validation."""
    numbers = metrics_of(record['metrics'])
    tiles = [(f'{value:.3f}', name) for name, value in numbers.items()]
    best = Table(
        'Best validation of each number',
        ('number', 'best', 'at', 'now'),
        [
            [name, *max((one[name], one['step']) for one in val if name in one), numbers.get(name)]
            for name in (metrics_of(val[-1]) if val else ())
            if 'loss' not in name
        ],
    )
    return Section('numbers', 'Numbers', [best] if len(val) > 1 and best.rows else [Tiles(tiles)])


def data(record: dict, task: Task) -> Section:
    """Images and annotations of the sets."""
    sets = record.get('data') or {}
    if not sets:
        return Section('data', 'Data')
    head = ('set', 'images', task.annotation, 'images without any', 'most in one')
    rows = [[name, one['images'], one['annotations'], one['empty'], one['most']] for name, one in sets.items()]
    blocks: list = [Table('Sets', head, rows, beside=True)]
    classes = next(iter(sets.values()))['classes']
    by_class = [
        [name, *(one[key][label] if label < len(one[key]) else 0 for one in sets.values() for key in KEYS)]
        for label, name in enumerate(classes)
    ]
    columns = [f'{name}: {what}' for name in sets for what in (task.annotation, 'images')]
    blocks.append(Table('By class', ('class', *columns), by_class, beside=True))
    octaves = sorted({int(key) for one in sets.values() for key in one['octaves']})
    if octaves:
        names = [f'{2**key}–{2 ** (key + 1)}' for key in octaves]
        bars = []
        for name, one in sets.items():
            total = max(sum(one['octaves'].values()), 1)
            bars.append(Bars(name, [one['octaves'].get(str(key), 0) / total for key in octaves]))
        resized = all(one['resized'] for one in sets.values())
        what = 'pixels after resizing' if resized else 'pixels of the files'
        blocks.append(draw_bars(f'Sizes: sides in {what}', names, bars, 'share'))
        blocks.append(Text(small(sets, what)))
    twice = [places for one in sets.values() for places in one.get('doubles', ())]
    if twice:
        blocks.append(Text(twice_said(twice)))
        rows = [[', '.join(f'{name}: {osp.basename(path)}' for name, path in places)] for places in twice[:FOLDED]]
        blocks.append(Table('Images that are there twice', ('files of the same content',), rows, folded=len(rows) > 5))
    broken_off = [name for name, one in sets.items() if one['seen'] < one['images']]
    if broken_off:
        counted = ', '.join(f'{name} ({sets[name]["seen"]} images)' for name in broken_off)
        blocks.append(Text(f'Counted in part: {counted}.'))
    return Section('data', 'Data', blocks)


def twice_said(twice: list) -> str:
    """How many images are there twice, and what it means."""
    across = sum(len({name for name, _ in places}) > 1 for places in twice)
    if not across:
        return f'{len(twice)} images are there twice, byte by byte, within one set.'
    return (
        f'{len(twice)} images are there twice, byte by byte, {across} of them in training and validation: the numbers '
        'of the validation are too good by them.'
    )


KEYS = ('objects', 'images_of')


def small(sets: dict, what: str) -> str:
    """How much is smaller than the finest stride of most models."""
    said = []
    for name, one in sets.items():
        few = sum(number for key, number in one['octaves'].items() if 2 ** int(key) < SMALL)
        said.append(f'{few} of {sum(one["octaves"].values())} in {name}')
    return f'Under {SMALL} {what} a side, the finest stride of most models: {", ".join(said)}.'


def training(train: list[dict], val: list[dict], others: dict[str, tuple[list, list]]) -> Section:
    """Curves, those of other runs in grey."""
    charts: list[Chart] = []
    losses = [Lines(name, *loss_line(records)) for name, (records, _) in others.items() if records]
    for line in losses:
        line.grey = True
    if train:
        losses.append(Lines('loss', *loss_line(train)))
        charts.append(draw_lines('Loss', losses, 'step', 'loss', log=True))
        steps = [record['step'] for record in train]
        terms = [Lines(name, steps, smooth(values)) for name, values in loss_terms(train, METRICS).items()]
        if len(terms) > 1:
            charts.append(draw_lines('Terms of the loss, summed over layers', terms, 'step', 'loss', log=True))
    names = [name for name in (metrics_of(val[-1]) if val else ())][:METRICS]
    for name in names:
        lines = []
        for other, (_, records) in others.items():
            points = [(one['step'], one[name]) for one in records if name in metrics_of(one)]
            lines += [Lines(other, *zip(*points), grey=True, marker='.')] if points else []
        points = [(one['step'], one[name]) for one in val if name in metrics_of(one)]
        charts.append(draw_lines(name, [*lines, Lines('', *zip(*points), marker='o')], x_of(val), name, whole=True))
    if train and 'lr' in train[-1]:
        rates = [(one['step'], one['lr']) for one in train if 'lr' in one]
        charts.append(draw_lines('Learning rate', [Lines('', *zip(*rates))], 'step', 'rate'))
    return Section('training', 'Training', charts)


def loss_line(records: list[dict]) -> tuple[list, list]:
    return [one['step'] for one in records], list(smooth([float(one['loss']) for one in records]))


def x_of(val: list[dict]) -> str:
    """What validations are counted in."""
    return 'epoch' if val and val[-1]['step'] <= 1000 else 'step'


def runs(record: dict, work_dir: str, others: Sequence[str]) -> Section:
    """This run beside others: numbers, and where the configs differ."""
    if not others:
        return Section('runs', 'Other runs')
    named = {name_of(one): one for one in (work_dir, *others)}
    last = {name: (read_scalars(one)[1] or [{}]) for name, one in named.items()}
    metrics = list(metrics_of(last[name_of(work_dir)][-1]))[:METRICS]
    rows = [
        [name, *(max((one[key] for one in val if key in one), default=None) for key in metrics)]
        for name, val in last.items()
    ]
    blocks: list = [Table('Best of each run', ('run', *metrics), rows)]
    flats = {name: flat(saved_config(one)) for name, one in named.items()}
    keys = telling(sorted(set().union(*flats.values())), list(flats.values()))
    if keys:
        rows = [[key, *(short(one.get(key, '-')) for one in flats.values())] for key in keys]
        blocks.append(Table('Where the configs differ', ('entry', *flats), rows, folded=len(rows) > FOLDED))
    return Section('runs', 'Other runs', blocks)


def saved_config(work_dir: str) -> dict:
    """The config that a run left, as read by its report."""
    try:
        return read_record(work_dir).get('whole_config', {})
    except NoReport:
        return {}


def flat(cfg, prefix: str = '') -> dict:
    """Entries by their path: ``model.num_classes`` -> 3."""
    items = cfg.items() if isinstance(cfg, dict) else enumerate(cfg)
    found = {}
    for key, value in items:
        name = f'{prefix}.{key}' if prefix else str(key)
        inner = value if isinstance(value, (list, tuple)) else [value]
        found.update(flat(value, name) if any(isinstance(one, dict) and one for one in inner) else {name: value})
    return found


def short(value, most: int = 80) -> str:
    text = str(value)
    return text if len(text) <= most else text[: most - 1] + '…'


def config_diff(cfg: Config) -> list[list[str]]:
    """[entry, its value, that of the bases] of all that a config and the command line say otherwise than the bases."""
    bases: dict = {}
    try:
        for base in Config._get_base_files(cfg.filename):
            path, _ = Config._get_cfg_path(base, cfg.filename)
            bases.update(flat(Config.fromfile(path, import_custom_modules=False).to_dict()))
    except Exception:  # a config that was made in Python has no file, a base may be gone
        return []
    if not bases:
        return []
    own = flat(cfg.to_dict())
    keys = telling(list({**own, **bases}), [own, bases])
    return [[key, short(own.get(key, '-')), short(bases.get(key, '-'))] for key in keys]


def telling(keys: list[str], configs: list[dict]) -> list[str]:
    """The entries that a run reads and in which configs differ; what tests do as validations is said once."""

    def values(key: str) -> list[str]:
        return [plain(one.get(key)) for one in configs]

    keys = [key for key in keys if key.split('.')[0] in READ and len(set(values(key))) > 1]
    return [
        key for key in keys if not key.startswith('test_') or values(key) != values(key.replace('test_', 'val_', 1))
    ]


def plain(value) -> str:
    return repr(list(value) if isinstance(value, tuple) else value)


def config(record: dict) -> Section:
    rows = record.get('config_diff') or []
    if not rows:
        return Section('config', 'Config')
    note = 'What the config and the command line say otherwise than the files that the config is based on.'
    table = Table('Config as a difference', ('entry', 'here', 'bases'), rows, folded=len(rows) > FOLDED)
    return Section('config', 'Config', [table], note)


def layers(record: dict, album: Album) -> Section:
    """What the layers of a decoder add, and where it looks."""
    seen = record.get('inspection') or {}
    blocks: list = []
    if seen.get('layers'):
        steps = list(range(1, len(seen['layers']) + 1))
        lines = [Lines(name, steps, [one[name] for one in seen['layers']], marker='o') for name in seen['layers'][0]]
        blocks.append(draw_lines(f'AP by decoder layer ({seen["images"]} images)', lines, 'layer', 'AP', whole=True))
    for number, (webp, caption) in enumerate(seen.get('attention', ())):
        if album.add_encoded(f'attention-{number}', base64.b64decode(webp), caption):
            if not isinstance(blocks[-1] if blocks else None, Gallery):
                blocks.append(Gallery('Where the last layer looks', []))
            blocks[-1].examples.append(Example(f'attention-{number}', caption))
    return Section('layers', 'Layers and attention', blocks)


def commands(record: dict, work_dir: str, threshold: float | None) -> Section:
    """Lines to copy. The config that a run left in its folder holds what the command line said, too."""
    checkpoint = record.get('checkpoint') or osp.join(work_dir, 'CHECKPOINT.pth')
    saved = osp.join(work_dir, osp.basename(record['config']))
    at = f' --score-thr {threshold:g}' if threshold is not None else ''
    lines = [
        (f'mmparts test {saved} {checkpoint}', 'Evaluate the checkpoint'),
        (f'mmparts predict IMAGES {saved} {checkpoint}{at}', 'Predict images of your own'),
        (f'mmparts train {saved} --work-dir {work_dir} --resume', 'Go on with the training'),
        (f'mmparts report {work_dir} OTHER_WORK_DIR', 'Compare with other runs'),
    ]
    return Section('commands', 'Commands', [Code(lines)])


def plain_config(cfg: Config) -> dict:
    """A config as plain data; what is none (a class, a tensor) by its name."""
    return json.loads(json.dumps(cfg.to_dict(), default=str))
