"""Holds the files around configs against each other: names, first lines, metafiles, READMEs, the model index."""

import os
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from mmengine.config import Config

from ...tasks.base import tasks
from .config_check import Finding

WORD = r'[a-z0-9]+(-[a-z0-9]+)*'
FIELDS = {
    'algorithm': (WORD, 'lower case letters and digits, joined by `-`, as in dino-4scale'),
    'parts': (f'{WORD}(_{WORD})*', 'the parts it differs by, as in r50 or swin-l-p4-w12-384'),
    'training': (
        r'\d+xb\d+(-[a-z0-9]+)*-(\d+(\.\d+)?(e|i|ki|k|m|x)|test)',
        'GPUs x images per GPU, settings, schedule in epochs or iterations, as in 8xb2-12e, 8xb2-amp-160k, 2xb1-25000i',
    ),
    'data': (WORD, 'the data set, as in coco'),
}
RULE = '{algorithm}[_{parts}]_{gpus}xb{per gpu}[-setting]-{schedule}_{data}.py'

MOST_CONFIGS = 2  # above a config
MOST_BASES = 5  # above a base: the longest row of papers that build on each other, see the README of the family

# A result in a first line: a decimal number, or one behind the name of a metric.
RESULT = r'\d+\.\d+|\b(AP|mAP|AP50|PQ|mIoU|Dice)\b\W*\d'
SOURCE = r'\(paper\)|`[^`]+`|tools/\w+\.py'

# What a table of models shows, where a model has it, in this order.
METRICS = tuple(dict.fromkeys(metric for task in tasks() for metric in task.metrics))
PACKAGE = 'projects'
TABLE = ('<!-- models: made by tools/check_configs.py --write-readmes from metafile.yml -->', '<!-- /models -->')


def shipped(configs: Path) -> list[Path]:
    """The configs of a folder and below, without the bases that they are made from."""
    return sorted(path for path in configs.rglob('*.py') if '_base_' not in path.relative_to(configs).parts)


def check_name(name: str) -> Iterator[Finding]:
    """Hold a file name against mmdet's rule; says which field breaks it."""
    fields = name.removesuffix('.py').split('_')
    if len(fields) < 3:
        yield Finding('file name', f'{len(fields)} fields between `_`, at least 3 are needed: {RULE}')
        return
    given = dict(algorithm=fields[0], training=fields[-2], data=fields[-1])
    if len(fields) > 3:
        given['parts'] = '_'.join(fields[1:-2])
    for field in given:
        pattern, advice = FIELDS[field]
        if not re.fullmatch(pattern, given[field]):
            yield Finding('file name', f'{field} is `{given[field]}`; it should be {advice}. The rule: {RULE}')


def check_levels(path: Path, configs: Path) -> Iterator[Finding]:
    """Hold what a config is a diff of against the rules of CONTRIBUTING.md.

    Args:
        path: a config, or one of the bases.
        configs: the folder of all; what lies outside is a library's and ends the way up.
    """
    ours = [base for base in bases_of(path) if base.is_relative_to(configs)]
    if is_base(path, configs):
        for base in ours:
            if not is_base(base, configs):
                yield Finding('_base_', f'is {base.relative_to(configs)}, a config; bases build on bases alone')
        if (depth := levels(path, configs, bases=True)) > MOST_BASES:
            yield Finding('_base_', f'{depth} bases stand above each other; at most {MOST_BASES}')
        return
    if (depth := levels(path, configs, bases=False)) > MOST_CONFIGS:
        yield Finding('_base_', f'{depth} configs stand above this one; at most {MOST_CONFIGS}')
    if len(ours) > 1 and any(not is_base(base, configs) for base in ours[1:]):
        yield Finding('_base_', 'a config builds on one config, which is named first')


def check_runtime(path: Path, configs: Path, task: str) -> Iterator[Finding]:
    """A config builds on the runtime of its task, if there is one, unless it is a library's."""
    wanted = configs / '_base_' / f'{task}_runtime.py'
    above = all_above(path)
    if wanted.is_file() and wanted not in above and any(base.name == 'default_runtime.py' for base in above):
        yield Finding('_base_', f'has no {wanted.name}, what {task} runs in; name it instead of another runtime')


def all_above(path: Path) -> set[Path]:
    """All files that a config is made from, of this package."""
    named = bases_of(path)
    return {*named, *(each for base in named for each in all_above(base))}


def is_base(path: Path, configs: Path) -> bool:
    return '_base_' in path.relative_to(configs).parts


def bases_of(path: Path) -> list[Path]:
    """The files that a config names in ``_base_``; those of other packages are left out."""
    named = [name for name in Config._get_base_files(str(path)) if '::' not in name]
    return [(path.parent / name).resolve() for name in named]


def levels(path: Path, configs: Path, bases: bool) -> int:
    """How many bases, or configs, stand above a file, along the longest way."""
    above = [base for base in bases_of(path) if base.is_relative_to(configs) and is_base(base, configs) is bases]
    return max((1 + levels(base, configs, bases) for base in above), default=0)


def check_header(text: str) -> Iterator[Finding]:
    """Hold the comment that a config starts with against the house rule."""
    lines = text.splitlines() or ['']
    if not re.match(r'# \S.{8,}', lines[0]):
        yield Finding('first line', f'is `{lines[0][:40]}`; it should be a comment that says what the config is')
        return
    header = '\n'.join(lines[: next((i for i, line in enumerate(lines) if not line.startswith('#')), len(lines))])
    if re.search(RESULT, lines[0]) and not re.search(SOURCE, header):
        yield Finding('first line', 'states a number; say where from: `(paper)`, or the command that measured it')


def check_folder(folder: Path, root: Path) -> Iterator[tuple[Path, Finding]]:
    """Hold configs, metafile.yml and README.md of a folder against each other: (file, finding).

    Args:
        folder: a folder with configs, e.g. ``configs/dino``.
        root: where paths in metafiles start.
    """
    metafile, readme = folder / 'metafile.yml', folder / 'README.md'
    for path in (metafile, readme):
        if not path.is_file():
            yield folder, Finding('files', f'has no {path.name}')
    if metafile.is_file():
        for finding in check_metafile(folder, root, read_metafile(metafile)):
            yield metafile, finding
    if readme.is_file():
        text = readme.read_text(encoding='utf-8')
        for config in sorted(folder.glob('*.py')):
            if f']({config.name})' not in text:
                yield readme, Finding('configs', f'does not link {config.name}')
        if metafile.is_file() and with_table(text, read_metafile(metafile), readme, root) != text:
            yield (
                readme,
                Finding('table of models', 'is not what metafile.yml says; run tools/check_configs.py --write-readmes'),
            )


def read_metafile(path: Path) -> dict:
    return yaml.safe_load(path.read_text(encoding='utf-8')) or {}


def check_metafile(folder: Path, root: Path, meta: dict) -> Iterator[Finding]:
    """Every config is listed once, every entry is complete and true to the first line of its config."""
    collections = {one.get('Name') for one in meta.get('Collections') or []}
    models = meta.get('Models') or []
    files = [one.get('Config') for one in models]
    for config in sorted(folder.glob('*.py')):
        if files.count(str(config.relative_to(root))) != 1:
            yield Finding('Models', f'lists {config.name} {files.count(str(config.relative_to(root)))} times, not once')
    for one in meta.get('Collections') or []:
        if not (root / str(one.get('README'))).is_file():
            yield Finding(f'Collections, {one.get("Name")}', f'README is {one.get("README")}: no such file')
    for one in models:
        where = f'Models, {one.get("Name")}'
        config = root / str(one.get('Config'))
        if one.get('In Collection') not in collections:
            there = sorted(map(str, collections))
            yield Finding(where, f'In Collection is {one.get("In Collection")}; there is {there}')
        if not config.is_file():
            yield Finding(where, f'Config is {one.get("Config")}: no such file')
            continue
        if one.get('Name') != config.stem:
            yield Finding(where, f'Name should be that of its config, {config.stem}')
        if not isinstance((one.get('Metadata') or {}).get('Parameters'), int):
            yield Finding(
                where,
                'Metadata.Parameters should be the number that `tools/benchmark.py CONFIG --params` '
                'prints as papers count',
            )
        yield from check_numbers(where, one, config.read_text(encoding='utf-8').splitlines()[0])


def check_numbers(where: str, model: dict, header: str) -> Iterator[Finding]:
    """What the first line of a config takes from a paper is what its metafile says, and the other way round."""
    paper = paper_of(model, 'box AP')
    stated = re.search(r'box AP:? (\d+(?:\.\d+)?) \(paper\)', header)
    if (float(stated[1]) if stated else None) != paper:
        yield Finding(
            where, f'Paper, box AP is {paper}; the first line of the config says {stated[1] if stated else "nothing"}'
        )
    for result in model.get('Results') or []:
        if not result.get('Command'):
            yield Finding(where, 'Results are what was measured here; add the Command that did')


def check_index(root: Path) -> Iterator[Finding]:
    """model-index.yml imports every metafile, and nothing else."""
    imported = yaml.safe_load((root / 'model-index.yml').read_text(encoding='utf-8')).get('Import') or []
    there = [str(path.relative_to(root)) for path in sorted((root / 'configs').glob('*/metafile.yml'))]
    yield from (Finding('Import', f'does not list {path}') for path in there if path not in imported)
    yield from (Finding('Import', f'lists {path}: no such file') for path in imported if path not in there)


def table(meta: dict) -> str:
    """The table of a README: configs, exact parameter counts, numbers of the paper, numbers of ours."""
    models = meta.get('Models') or []
    shown = [metric for metric in METRICS if any(paper_of(model, metric) or ours_of(model, metric) for model in models)]
    shown = shown or METRICS[:1]
    rows = [
        '| config | parameters |' + ''.join(f' {metric} (paper) | {metric} (ours) |' for metric in shown),
        '|---|---|' + '---|---|' * len(shown),
    ]
    for model in models:
        count = (model.get('Metadata') or {}).get('Parameters')
        count = f'{count:,}' if isinstance(count, int) else count
        name = Path(model['Config']).name
        rows.append(
            f'| [{name.removesuffix(".py")}]({name}) | {count} |'
            + ''.join(f' {paper_of(model, metric) or "-"} | {ours_of(model, metric) or "-"} |' for metric in shown)
        )
    return '\n'.join(rows)


def paper_of(model: dict, metric: str) -> float | None:
    return (model.get('Paper') or {}).get(metric)


def ours_of(model: dict, metric: str) -> str:
    """Our numbers, each with the command that measured it."""
    return '; '.join(
        f'{result["Metrics"][metric]} (`{result["Command"]}`)'
        for result in model.get('Results') or []
        if metric in result['Metrics']
    )


def with_table(text: str, meta: dict, readme: Path, root: Path) -> str:
    """A README with links to its code and its table of models renewed; unchanged where it has no place for them."""
    code = ', '.join(filter(None, (files(one, root, readme) for one in meta.get('Collections') or [])))
    return between(TABLE, text, f'Code: {code}\n\n{table(meta)}' if code else table(meta))


def files(collection: dict, root: Path, links_from: Path) -> str:
    """Links to the files of a paper, from a README."""
    return ', '.join(link(root / name, root, links_from) for name in collection.get('Files') or [])


def link(path: Path, root: Path, links_from: Path) -> str:
    shown = path.relative_to(root / PACKAGE) if path.is_relative_to(root / PACKAGE) else path.relative_to(root)
    return f'[{shown}]({os.path.relpath(path, links_from.parent)})'


def between(marks: tuple[str, str], text: str, new: str) -> str:
    """A text with what stands between two marks replaced; unchanged where it has no marks."""
    start, end = map(re.escape, marks)
    return re.sub(f'({start}).*?({end})', lambda match: f'{match[1]}\n{new}\n{match[2]}', text, flags=re.DOTALL)
