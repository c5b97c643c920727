"""Hold configs against the code and the files around them: `python tools/check_configs.py [PATHS]`."""

import argparse
import warnings
from collections.abc import Iterator
from pathlib import Path

from mmengine.config import Config
from rich.console import Console
from rich.markup import escape
from rich.table import Table

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.config_checks.config_check import ConfigCheck, Finding
from mmparts.analysis.config_checks.config_files import (
    between,
    check_folder,
    check_header,
    check_index,
    check_levels,
    check_name,
    check_runtime,
    read_metafile,
    shipped,
    with_table,
)
from mmparts.analysis.tables import model_cards, paper_map, paper_table
from mmparts.engine import cli
from mmparts.tasks import task_of

ROOT = Path(__file__).resolve().parents[1]
CONFIGS = ROOT / 'configs'

# Generated parts of documents: file -> the marks around it, and what makes it for that file.
GENERATED = {
    ROOT / 'projects' / 'detr' / 'README.md': (
        paper_table.MARKS,
        lambda file: paper_table.tables(CONFIGS / '_base_' / 'models', file),
    ),
    ROOT / 'README.md': (paper_map.MARKS, lambda file: paper_map.families(ROOT, file)),
    ROOT / 'projects' / 'README.md': (paper_map.MARKS, lambda file: paper_map.table(ROOT, file)),
    ROOT / 'docs' / 'models.md': (
        model_cards.MARKS,
        lambda file: model_cards.table(model_cards.cards(ROOT), ROOT, file),
    ),
}

EPILOG = """
Checked are: every `type` exists in the registry that its place asks for; every keyword is in the signature of its class
(model, data, pipelines, evaluators, hooks, schedules, optimiser); for configs in configs/ also file name, first line,
metafile.yml, README.md and model-index.yml, the tables paper x parts of projects/detr/README.md, the map of papers in
projects/README.md, and docs/models.md. Nothing is built.
Not seen are: values, missing arguments, keywords of a class that takes any (--unseen lists the places), parts that
libraries look up elsewhere (nms, roi_layer). A config is code and is run when it is read, as in training: do not check
one from a source that you do not trust.
"""


def find(paths: list[str]) -> list[Path]:
    """The configs that the arguments name; folders stand for all in them."""
    if not paths:
        return shipped(CONFIGS)
    found = []
    for path in paths:
        found += shipped(Path(path)) if Path(path).is_dir() else [Path(cli.find_config(path))]
    return [path.resolve() for path in found]


def check_code(path: Path) -> tuple[list[Finding], list[str]]:
    """Findings of a config's parts, and the places that cannot be seen."""
    try:
        cfg = Config.fromfile(path)
    except Exception as error:  # a config is code: whatever it raises is a finding
        return [Finding('config', f'cannot be read: {type(error).__name__}: {error}')], []
    check = ConfigCheck(cfg)
    return [*check.findings, *check_task(cfg, path)], check.unseen


def check_task(cfg: Config, path: Path) -> Iterator[Finding]:
    """What its model is, and what that runs in."""
    if not cfg.get('model'):
        return
    try:
        task = task_of(cfg)
    except KeyError as error:
        yield Finding('model.type', error.args[0])
        return
    if path.is_relative_to(CONFIGS):
        yield from check_runtime(path, CONFIGS, task.name)


def check_files(paths: list[Path]) -> dict[Path, list[Finding]]:
    """Findings of what stands around those of the configs that are in configs/."""
    findings = {path: [*check_header(path.read_text(encoding='utf-8'))] for path in paths}
    for path in set(paths) & set(shipped(CONFIGS)):
        findings[path] += [*check_name(path.name), *check_levels(path, CONFIGS)]
    for path in sorted((CONFIGS / '_base_').rglob('*.py')):
        findings[path] = [*check_levels(path, CONFIGS)]
    for folder in sorted({path.parent for path in paths} & {path.parent for path in shipped(CONFIGS)}):
        for file, finding in check_folder(folder, ROOT):
            findings.setdefault(file, []).append(finding)
    findings[ROOT / 'model-index.yml'] = [*check_index(ROOT)]
    for check in (paper_map.check_papers, model_cards.check_cards):
        for file, finding in check(ROOT):
            findings.setdefault(file, []).append(finding)
    for file in GENERATED:
        text = file.read_text(encoding='utf-8')
        if renewed(file, text) != text:
            stale = Finding('generated part', 'is out of date; run tools/check_configs.py --write-readmes')
            findings.setdefault(file, []).append(stale)
    return findings


def renewed(file: Path, text: str) -> str:
    """A document with its generated part brought up to date."""
    marks, made = GENERATED[file]
    return between(marks, text, made(file))


def write_readmes() -> None:
    for metafile in sorted(CONFIGS.glob('*/metafile.yml')):
        readme = metafile.with_name('README.md')
        text = readme.read_text(encoding='utf-8')
        write(readme, text, with_table(text, read_metafile(metafile), readme, ROOT))
    for file in GENERATED:
        text = file.read_text(encoding='utf-8')
        write(file, text, renewed(file, text))


def write(readme: Path, old: str, new: str) -> None:
    if new != old:
        readme.write_text(new, encoding='utf-8')
        print(f'wrote {readme.relative_to(ROOT)}')


def report(findings: dict[Path, list[Finding]]) -> None:
    """One table, a row for each finding."""
    table = Table('where', 'what', show_lines=True)
    for path, ones in findings.items():
        name = path.relative_to(ROOT) if path.is_relative_to(ROOT) else path
        if ones:
            table.add_row(f'[bold]{escape(str(name))}', '')
        for one in ones:
            table.add_row(escape(one.where), escape(one.problem))
    Console().print(table)


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Hold configs against the code, and against metafiles and READMEs. '
        'Exit code 1 when something is wrong.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('paths', nargs='*', help='configs or folders, also your own; default: all of configs/')
    parser.add_argument('--unseen', action='store_true', help='list the places whose keywords cannot be checked')
    parser.add_argument(
        '--write-readmes',
        action='store_true',
        help='first write all that is generated: the tables of configs/*/README.md, the lists of papers in README.md '
        'and projects/README.md, docs/models.md, from metafile.yml; projects/detr/README.md from the model bases',
    )
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    if args.write_readmes:
        write_readmes()

    paths = find(args.paths)
    ours = [path for path in paths if path.is_relative_to(CONFIGS)]
    findings = check_files(ours) if ours else {}
    unseen = []
    for path in paths:
        found, free = check_code(path)
        findings[path] = findings.get(path, []) + found
        unseen += [f'{path.name}: {place}' for place in free]

    number = sum(map(len, findings.values()))
    if number:
        report(findings)
    if args.unseen:
        print('\n'.join(unseen))
    print(
        f'{len(paths)} configs, {number} findings. Not checked: the keywords of {len(unseen)} parts that take any '
        '(--unseen lists them)'
    )
    return 1 if number else 0


if __name__ == '__main__':
    cli.run(main)
