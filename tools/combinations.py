"""Try every query source with every cross-attention and extra group: `python tools/combinations.py --write-readme`."""

import argparse
import warnings
from pathlib import Path

from rich.progress import track

from mmparts.analysis.combinations import TOLERANCE, every, table, try_out
from mmparts.analysis.config_files import between
from mmparts.engine import cli

README = Path(__file__).resolve().parents[1] / 'configs' / 'combined' / 'README.md'
MARKS = ('<!-- combinations: made by tools/combinations.py --write-readme -->', '<!-- /combinations -->')

EPILOG = f"""
A tick in the table: the detector builds; a step on two images of unequal sizes, one without objects, has finite losses
and gives every parameter a gradient; and its matching queries predict the same with the extra groups and without, to
{TOLERANCE:g}. A number: it is refused when it is built, for the reason below. Anything else is a bug; exit code 1.
"""


def main() -> int:
    parser = argparse.ArgumentParser(
        description='Build a small detector of every query source, cross-attention and '
        'extra group, train it for a step and print a table of what works.',
        epilog=EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument('--write-readme', action='store_true', help='write the table to configs/combined/README.md')
    args = parser.parse_args()
    warnings.simplefilter('ignore')

    outcomes = {names: try_out(*names) for names in track([*every()], 'combinations', transient=True)}
    if args.write_readme:
        text = README.read_text(encoding='utf-8')
        README.write_text(between(MARKS, text, table(outcomes)), encoding='utf-8')
    else:
        print(table(outcomes))

    problems = {names: each.problem for names, each in outcomes.items() if each.problem}
    for names, problem in problems.items():
        print(f'{" x ".join(names)}: {problem}')
    refused = sum(bool(each.refused) for each in outcomes.values())
    largest = max(each.difference for each in outcomes.values())
    print(
        f'{len(outcomes)} combinations: {len(outcomes) - refused - len(problems)} work, {refused} are refused, '
        f'{len(problems)} fail; extra groups change the matching queries by {largest:.1e} at most'
    )
    return 1 if problems else 0


if __name__ == '__main__':
    cli.run(main)
