"""One row for each system: what it counts, what it is held against, which official files it takes, what it reached.

All of it stands in the metafiles of the configs. A model's ``System`` names its row (default: its collection); the
first model of a system with a ``Reference``, else the first, gives the row its config; the numbers measured here come
from all of them. Of a collection:
``Licence`` (of the authors' code), ``Layout`` (of their files, `WEIGHT_LAYOUTS`). Of a model:

* ``Reference``: ``Parameters``, what the authors' code or the paper counts, and options of the model for which it does
  (``num_classes: 91``); the options are merged into the config's model before it is counted; ``GMACs: 4.494 (224)``,
  what the authors' rule or README says of an image of so many pixels a side;
* ``Parity``: ``Against`` (what runs beside it with the same weights, or the closed forms that it is held to), ``Test``
  (the file that does so), ``Difference`` (the largest one measured, of the logits) or ``Bound`` (of the test).
"""

import os
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config

from ...registry import WEIGHT_LAYOUTS
from ..complexity import Parameters, build_on_meta
from ..config_checks.config_check import Finding
from ..config_checks.config_files import read_metafile

COLUMNS = (
    'system',
    'config',
    'parameters',
    'reference',
    'GMACs',
    'held_against',
    'max_difference',
    'layout',
    'licence',
    'trained_on',
    'result',
)
MARKS = ('<!-- cards: made by tools/check_configs.py --write-readmes from metafile.yml -->', '<!-- /cards -->')


def systems(root: Path) -> dict[str, list[tuple[dict, dict]]]:
    """(model, its collection) of each system, in the order of the metafiles."""
    found: dict[str, list[tuple[dict, dict]]] = {}
    for path in sorted((root / 'configs').glob('*/metafile.yml')):
        meta = read_metafile(path)
        collections = {one['Name']: one for one in meta.get('Collections') or []}
        for model in meta.get('Models') or []:
            collection = collections.get(model.get('In Collection'), {})
            found.setdefault(model.get('System') or model.get('In Collection'), []).append((model, collection))
    return found


def cards(root: Path, count: bool = False) -> list[dict]:
    """The rows, each with :data:`COLUMNS`.

    Args:
        count: count the parameters anew on the meta device; else they are those of the metafiles, which tests hold.
    """
    return [card(name, members, root, count) for name, members in systems(root).items()]


def card(system: str, members: list[tuple[dict, dict]], root: Path, count: bool = False) -> dict:
    """One row."""
    first, collection = next((member for member in members if 'Reference' in member[0]), members[0])
    models = [model for model, _ in members]
    parity = next((model['Parity'] for model in models if 'Parity' in model), {})
    measured = [
        f'{metric} {value} on {result["Dataset"]} ({Path(model["Config"]).stem})'
        for model in models
        for result in model.get('Results') or []
        for metric, value in list(result['Metrics'].items())[:1]
    ]
    trained = next((model for model in models if model.get('Results')), first)
    return dict(
        system=system,
        config=first['Config'],
        parameters=counted(root / first['Config']) if count else first['Metadata']['Parameters'],
        reference=(first.get('Reference') or {}).get('Parameters'),
        GMACs=(first.get('Reference') or {}).get('GMACs'),
        held_against=parity.get('Against'),
        max_difference=parity.get('Difference', parity.get('Bound')),
        layout=first.get('Layout', collection.get('Layout')),
        licence=collection.get('Licence'),
        trained_on=(trained.get('Metadata') or {}).get('Training Data'),
        result='; '.join(measured) or None,
    )


def counted(config: Path, options: dict | None = None) -> int:
    """Parameters of a config's model with these options, without those of frozen norms."""
    cfg = Config.fromfile(config)
    cfg.merge_from_dict(dict(model=options or {}))
    return Parameters.of(build_on_meta(cfg)).as_papers_count


def reference(model: dict) -> tuple[int, dict] | None:
    """What a model's reference counts, and the options for which it does."""
    given = {key: each for key, each in (model.get('Reference') or {}).items() if key != 'GMACs'}
    return (given.pop('Parameters'), given) if given else None


def check_cards(root: Path) -> Iterator[tuple[Path, Finding]]:
    """Hold what only the cards read against the repository: (file, finding)."""
    for path in sorted((root / 'configs').glob('*/metafile.yml')):
        meta = read_metafile(path)
        for one in (*(meta.get('Collections') or []), *(meta.get('Models') or [])):
            where = str(one.get('Name'))
            layout, parity = one.get('Layout'), one.get('Parity') or {}
            if layout is not None and path.parent.name not in getattr(WEIGHT_LAYOUTS.get(layout), 'papers', ()):
                there = [name for name, kind in WEIGHT_LAYOUTS.module_dict.items() if path.parent.name in kind.papers]
                yield path, Finding(where, f'Layout is {layout}; for {path.parent.name} there is {there or "none"}')
            if parity and not (root / str(parity.get('Test'))).is_file():
                yield path, Finding(where, f'Parity, Test is {parity.get("Test")}: no such file')
            if parity and not parity.get('Against'):
                yield path, Finding(where, 'Parity says nothing of what it is Against')


def table(rows: list[dict], root: Path, links_from: Path) -> str:
    """The rows in Markdown, with links from a folder."""
    shown = [name for name in COLUMNS if name != 'GMACs']  # which stand beside the count that they belong to
    lines = [f'| {" | ".join(name.replace("_", " ") for name in shown)} |', '|---' * len(shown) + '|']
    for row in rows:
        config = Path(row['config'])
        link = f'[{config.stem}]({os.path.relpath(root / config, links_from.parent)})'
        cells = dict(row, config=link, max_difference=scientific(row['max_difference']))
        if row['GMACs']:
            macs, side = row['GMACs'].split()
            cells['reference'] = f'{cell(row["reference"])}; {macs} GMACs {side}'
        lines.append(f'| {" | ".join(cell(cells[name]) for name in shown)} |')
    return '\n'.join(lines)


def scientific(value: float | None) -> str | None:
    return value if value is None else f'{value:.1e}'


def cell(value) -> str:
    return '-' if value is None else f'{value:,}' if isinstance(value, int) else str(value)
