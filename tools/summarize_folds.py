"""Mean and deviation over the folds of a cross-validation, from the tables of cases of tools/test.py or predict.py."""

import argparse

import mmparts  # noqa: F401  registers the parts
from mmparts.engine import cli
from mmparts.evaluation.volumetric.folds import fold_table


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument('tables', nargs='+', help='cases.csv of each fold')
    print(fold_table(parser.parse_args().tables))


if __name__ == '__main__':
    cli.run(main, OSError, ValueError)
