"""What each system counts, is held against and reached: `python tools/model_cards.py`."""

import argparse
import json
import warnings
from pathlib import Path

import mmparts  # noqa: F401  makes mmparts configs and parts known
from mmparts.analysis.tables.model_cards import COLUMNS, cards, cell, scientific
from mmparts.engine import cli

ROOT = Path(__file__).resolve().parents[1]


def main() -> None:
    parser = argparse.ArgumentParser(
        description='One row for each system, from the metafiles of the configs; parameters are counted anew, on the '
        'meta device. docs/models.md is the same as a page; tools/check_configs.py --write-readmes writes it.'
    )
    parser.add_argument('--json', metavar='FILE', help='write the rows to FILE instead; `-` prints them')
    args = parser.parse_args()
    warnings.simplefilter('ignore')
    rows = cards(ROOT, count=True)
    if args.json is None:
        for row in rows:
            print('\t'.join(cell(scientific(row[name]) if name == 'max_difference' else row[name]) for name in COLUMNS))
    elif args.json == '-':
        print(json.dumps(rows, indent=2))
    else:
        Path(args.json).write_text(json.dumps(rows, indent=2) + '\n', encoding='utf-8')


if __name__ == '__main__':
    cli.run(main)
