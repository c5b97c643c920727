"""Where a paper is: its file or folder in the package, and its configs; read from the metafiles.

A collection of a metafile names its ``Files``: what the paper added to the package. The folder of its configs has the
name of one of them; a paper that added none, because it is a choice of parts that were there, says so in ``Note``.
"""

import os
from collections.abc import Iterator
from pathlib import Path

from ..config_checks.config_check import Finding
from ..config_checks.config_files import PACKAGE, files, link, read_metafile

MARKS = ('<!-- papers: made by tools/check_configs.py --write-readmes from metafile.yml -->', '<!-- /papers -->')


def collections(root: Path) -> list[tuple[Path, dict]]:
    """(metafile, collection) of all papers."""
    found = [(path, read_metafile(path)) for path in sorted((root / 'configs').glob('*/metafile.yml'))]
    return [(path, one) for path, meta in found for one in meta.get('Collections') or []]


def table(root: Path, links_from: Path) -> str:
    """Paper, files and configs in Markdown, with links from a README; by the year of the paper."""
    rows = ['| paper | files | configs |', '|---|---|---|']
    for path, one in sorted(collections(root), key=lambda pair: year(pair[1])):
        configs = link(path.parent, root, links_from)
        rows.append(f'| {one["Name"]} | {files(one, root, links_from) or one.get("Note", "-")} | {configs} |')
    return '\n'.join(rows)


def families(root: Path, links_from: Path) -> str:
    """The papers of each folder of the package in a line, with links to their configs."""
    found: dict[str, list[str]] = {}
    for path, one in sorted(collections(root), key=lambda pair: year(pair[1])):
        first = (one.get('Files') or [''])[0].split('/')
        family = first[1] if len(first) > 1 else 'others'
        found.setdefault(family, []).append(f'[{one["Name"]}]({os.path.relpath(path.parent, links_from.parent)})')
    rows = [f'| {family} | {", ".join(papers)} |' for family, papers in sorted(found.items(), key=lambda pair: pair[0])]
    return '\n'.join(['| family | papers |', '|---|---|', *rows])


def year(collection: dict) -> str:
    """What papers are ordered by: their number at arXiv, which begins with year and month."""
    return str((collection.get('Paper') or {}).get('URL', '')).rstrip('/').rpartition('/')[2]


def check_papers(root: Path) -> Iterator[tuple[Path, Finding]]:
    """Hold the files that metafiles name against the package: (metafile, finding)."""
    for path, one in collections(root):
        where, named = f'Collections, {one.get("Name")}', one.get('Files') or []
        for name in named:
            if not (root / name).exists():
                yield path, Finding(where, f'Files names {name}: no such file or folder')
        own = [each for each in named if Path(each).stem == path.parent.name]
        there = [str(each.relative_to(root)) for each in same_name(root / PACKAGE, path.parent.name)]
        if there and not own:
            yield path, Finding(where, f'Files should name {there[0]}, which is called as its configs')
        if not own and not there and not one.get('Note'):
            advice = 'call what the paper added so, or say in Note that it is a choice of parts that were there'
            yield path, Finding(where, f'no file or folder of {PACKAGE} is called {path.parent.name}; {advice}')


def same_name(package: Path, name: str) -> list[Path]:
    """Folders and files of the package with the name of a paper."""
    found = [*package.rglob(name), *package.rglob(f'{name}.py')]
    return sorted(path for path in found if '.mim' not in path.parts)
