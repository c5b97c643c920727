"""Try every query source with every cross-attention and extra group, and every backbone under every head:
`python tools/combinations.py --write-readme`."""

import argparse
import warnings
from pathlib import Path

from rich.progress import track

from mmparts.analysis.comparisons import backbone_combinations
from mmparts.analysis.comparisons.combinations import TOLERANCE, every, table, try_out
from mmparts.analysis.config_checks.config_files import between
from mmparts.engine import cli

README = Path(__file__).resolve().parents[1] / 'configs' / 'combined' / 'README.md'
BACKBONE_MARKS = ('<!-- backbones: made by tools/combinations.py --write-readme -->', '<!-- /backbones -->')
MARKS = ('<!-- combinations: made by tools/combinations.py --write-readme -->', '<!-- /combinations -->')

EPILOG = f"""
A tick in the table: the detector builds; a step on two images of unequal sizes, one without objects, has finite losses
and gives every parameter a gradient; and its matching queries predict the same with the extra groups and without, to
{TOLERANCE:g}. Of a backbone under a head: it builds, a step reaches every parameter, two images are predicted.
A number: it is refused when it is built, for the reason below. Anything else is a bug; exit code 1.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Build a small detector of every query source, cross-attention and '
        'extra group, and every backbone under every head, train them for a step and print tables of what works.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--write-readme', action='store_true', help='write the table to configs/combined/README.md')
    parser.add_argument('--only', choices=['queries', 'backbones'], help='one of the two tables')
    args = parser.parse_args()
    warnings.simplefilter('ignore')

    failed = 0
    if args.only != 'backbones':
        failed += of_queries(args.write_readme)
    if args.only != 'queries':
        failed += of_backbones(args.write_readme)
    return 1 if failed else 0


def show(made: str, marks: tuple[str, str], write: bool):
    if write:
        text = README.read_text(encoding='utf-8')
        README.write_text(between(marks, text, made), encoding='utf-8')
    else:
        print(made)


def of_backbones(write: bool) -> int:
    """How many backbones fail under a head."""
    combinations = [*backbone_combinations.every()]
    outcomes = {
        names: backbone_combinations.try_out(*names) for names in track(combinations, 'backbones', transient=True)
    }
    show(backbone_combinations.table(outcomes), BACKBONE_MARKS, write)
    problems = {names: each.problem for names, each in outcomes.items() if each.problem}
    for names, problem in problems.items():
        print(f'{" x ".join(names)}: {problem}')
    refused = sum(bool(each.refused) for each in outcomes.values())
    works = len(outcomes) - refused - len(problems)
    print(f'{len(outcomes)} backbones under heads: {works} work, {refused} are refused, {len(problems)} fail')
    return len(problems)


def of_queries(write: bool) -> int:
    """How many combinations of queries, cross-attention and groups fail."""

    outcomes = {names: try_out(*names) for names in track([*every()], 'combinations', transient=True)}
    show(table(outcomes), MARKS, write)

    problems = {names: each.problem for names, each in outcomes.items() if each.problem}
    for names, problem in problems.items():
        print(f'{" x ".join(names)}: {problem}')
    refused = sum(bool(each.refused) for each in outcomes.values())
    largest = max(each.difference for each in outcomes.values())
    print(
        f'{len(outcomes)} combinations: {len(outcomes) - refused - len(problems)} work, {refused} are refused, '
        f'{len(problems)} fail; extra groups change the matching queries by {largest:.1e} at most'
    )
    return len(problems)


if __name__ == '__main__':
    cli.run(main)
