"""The tables paper x parts of README.md, read from the model bases of the configs; nothing is built."""

import inspect
import os
from collections.abc import Callable, Iterator
from pathlib import Path

from mmengine.config import Config, ConfigDict

from ...detr.head import merged
from ...registry import MODELS, TASK_UTILS, resolve

MARKS = (
    '<!-- papers: made by tools/check_configs.py --write-readmes from configs/_base_/models -->',
    '<!-- /papers -->',
)
NONE = '-'


def bases(folder: Path) -> dict[Path, ConfigDict]:
    """The model bases of the family, each behind the one that it is a diff of; small variants are left out."""
    models = {
        path: Config.fromfile(path).get('model', {})
        for path in sorted(folder.glob('*.py'))
        if not path.stem.endswith('small')
    }
    ours = [path for path, model in models.items() if 'queries' in model and 'decoder' in model]

    def behind(base: Path | None) -> Iterator[Path]:
        for path in ours:
            if parent(path) == base:
                yield from (path, *behind(path))

    return {path: models[path] for path in behind(None)}


def parent(path: Path) -> Path | None:
    """The first base of a config."""
    first = [path.parent / name for name in Config._get_base_files(str(path))][:1]
    return first[0].resolve() if first else None


def tables(folder: Path, readme: Path) -> str:
    """Two tables in Markdown, with links from a README to the bases in a folder."""
    models = bases(folder)
    return '\n\n'.join(table(models, columns, readme.parent) for columns in (TRANSFORMER, HEAD))


def table(models: dict[Path, ConfigDict], columns: dict[str, Callable], links_from: Path) -> str:
    rows = [['model', 'a diff of', *columns], ['---'] * (2 + len(columns))]
    for path, model in models.items():
        link = f'[{path.stem}]({os.path.relpath(path, links_from)})'
        above = parent(path)
        rows.append([link, above.stem if above else NONE, *(cell(model) or NONE for cell in columns.values())])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def part(cfg: dict, nested: bool = True) -> str:
    """Name of a part, with the switches and parts that it was given; numbers are left to the configs."""
    kind = kind_of(cfg)
    told = [switch(key, value, nested) for key, value in cfg.items() if key != 'type' and value != default(kind, key)]
    told = ', '.join(filter(None, told))
    return f'{kind.__name__} ({told})' if told else kind.__name__


def switch(key: str, value, nested: bool) -> str:
    """``key`` where it is on, ``key=value`` where it is off or a word or a part of ours; else nothing."""
    if value is True:
        return key
    if value is False or isinstance(value, str):
        return f'{key}={value}'
    inner = value if isinstance(value, (list, tuple)) else [value]
    if nested and inner and all(isinstance(each, dict) and 'mmparts.' in str(each.get('type')) for each in inner):
        return f'{key}={" + ".join(kind_of(each).__name__ for each in inner)}'
    return ''


def kind_of(cfg: dict) -> type:
    try:
        return resolve(cfg, MODELS)
    except KeyError:
        return resolve(cfg, TASK_UTILS)


def default(kind: type, argument: str):
    """What a class, or one that it hands its ``**kwargs`` to, takes an argument for that is not given."""
    for base in kind.__mro__:
        parameters = inspect.signature(vars(base)['__init__']).parameters if '__init__' in vars(base) else {}
        if argument in parameters:
            return parameters[argument].default
    return None


def of(owner: str, argument: str) -> Callable[[ConfigDict], str]:
    """A cell with a part of another part, also where that stands in a default."""

    def cell(model: ConfigDict) -> str:
        cfg = model[owner].get(argument, default(kind_of(model[owner]), argument))
        return part(cfg) if cfg else ''

    return cell


def weighed(cfgs: list[dict]) -> str:
    """Loss terms or costs, each with its weight."""
    return ', '.join(f'{kind_of(cfg).__name__} {cfg.get("weight", default(kind_of(cfg), "weight")):g}' for cfg in cfgs)


def asked(model: ConfigDict) -> str:
    """Query source, and what prompts it."""
    return ', '.join(part(cfg) for cfg in (model.queries, model.get('prompt')) if cfg)


def branches(model: ConfigDict) -> str:
    """Those of the head, with classes and boxes, which need not be written."""
    return ', '.join(part(cfg, nested=False) for cfg in merged(model.head.get('branches', {})).values())


# Heading -> cell of a model.
TRANSFORMER: dict[str, Callable[[ConfigDict], str]] = {
    'encoder': lambda model: part(model.encoder),
    'queries': asked,
    'groups': lambda model: ', '.join(map(part, model.get('groups', []))),
    'decoder': lambda model: part(model.decoder, nested=False),
    'self-attention': of('decoder', 'self_attn'),
    'cross-attention': of('decoder', 'cross_attn'),
    'spatial prior': of('decoder', 'spatial_prior'),
    'query position': of('decoder', 'position'),
    'reference update': of('decoder', 'reference_update'),
}
HEAD: dict[str, Callable[[ConfigDict], str]] = {
    'head': lambda model: part(model.head, nested=False),
    'branches': branches,
    'loss terms': lambda model: weighed(model.head.terms),
    'matcher': lambda model: part(model.head.matcher, nested=False),
    'costs': lambda model: weighed(model.head.matcher.costs),
    'selection': of('head', 'select'),
}
