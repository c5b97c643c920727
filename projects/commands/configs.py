"""List and search the configs that are shipped: `mmparts configs [WORDS]`."""

import argparse
import os.path as osp
import sys
from glob import glob

from ..options import Parser, near
from ..shipped import FOLDER

CONFIGS = FOLDER
LIGHT = True


def parser() -> Parser:
    parser = Parser(description='List the configs that are shipped, or those whose name or first line has all words.')
    parser.add_argument('words', nargs='*', help='as `dino swin coco`')
    parser.add_argument('--path', action='store_true', help='print the paths of their files alone')
    return parser


def main(args: argparse.Namespace) -> int:
    found = search(args.words)
    for name, first_line in found:
        print(osp.join(CONFIGS, name) if args.path else f'mmparts::{name}\n    {first_line}')
    if found:
        return 0
    known = sorted({word for name, _ in shipped() for word in osp.splitext(name)[0].replace('/', '_').split('_')})
    questions = ''.join(near(word, known) for word in args.words if not search([word]))
    print(f'no config has all of {args.words} in its name or first line{questions}', file=sys.stderr)
    return 1


def search(words: list[str]) -> list[tuple[str, str]]:
    """(name, first line) of the configs that have all words."""
    return [(name, line) for name, line in shipped() if all(word.lower() in f'{name} {line}'.lower() for word in words)]


def shipped() -> list[tuple[str, str]]:
    """(name, first line) of every config that can be trained or tested, bases left out."""
    paths = sorted(glob(osp.join(CONFIGS, '*', '*.py')))
    return [(osp.relpath(path, CONFIGS), first_line(path)) for path in paths if '_base_' not in path[len(CONFIGS) :]]


def first_line(path: str) -> str:
    """What the first lines of a config say, without their marks."""
    with open(path, encoding='utf-8') as file:
        lines = [file.readline().strip() for _ in range(4)]
    comment = []
    for line in lines:
        if not line.startswith('#'):
            break
        comment.append(line.lstrip('# '))
    return ' '.join(comment) or lines[0].strip('"')
