"""Which tests hold each row of docs/reliability.md: a comment before a test says it, `# holds: THE ROW'S FIRST WORDS`.

`python tests/reliability.py --write` writes the last column of the tables; `python tests/reliability.py WORDS` lists
the tests of a row. tests/test_reliability.py fails where the column is old, a row has no test, or a comment no row.
"""

import re
import sys
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).parent
PAGE = TESTS.parent / 'docs' / 'reliability.md'
MARK = re.compile(r'((?:^# holds: .+\n)+)(?:^(?!def ).*\n)*?^def (test_\w+)', re.MULTILINE)


def marks() -> Iterator[tuple[str, str, str]]:
    """(first words of a row, file, test) of every comment."""
    for path in sorted(TESTS.rglob('test_*.py')):
        for comments, test in MARK.findall(path.read_text(encoding='utf-8')):
            for line in comments.splitlines():
                yield line.removeprefix('# holds: '), path.relative_to(TESTS).as_posix(), test


def rows(text: str) -> list[str]:
    """The lines of the page that are rows of a table with the column `held by`."""
    found, inside = [], False
    for line in text.splitlines():
        if not line.startswith('|'):
            inside = False
        elif line.rstrip('| ').endswith('held by'):
            inside = True
        elif inside and not line.startswith('|---'):
            found.append(line)
    return found


def kind(row: str) -> str:
    return row.split('|')[1].strip()


def of_row(row: str) -> list[tuple[str, str]]:
    """(file, test) of those that hold it."""
    return [(file, test) for words, file, test in marks() if kind(row).startswith(words)]


def cell(row: str) -> str:
    """Its last column: files, each with the number of its tests."""
    files = [file for file, _ in of_row(row)]
    shown = [f'`{file}` ({files.count(file)})' for file in dict.fromkeys(files)]
    return ', '.join(shown) or 'nothing'


def written(text: str) -> str:
    """The page with the column as the tests say."""
    for row in rows(text):
        *front, _, end = row.split('|')
        text = text.replace(row, '|'.join([*front, f' {cell(row)} ', end]))
    return text


if __name__ == '__main__':
    page = PAGE.read_text(encoding='utf-8')
    if sys.argv[1:] == ['--write']:
        PAGE.write_text(written(page), encoding='utf-8')
    else:
        words = ' '.join(sys.argv[1:])
        for each in (row for row in rows(page) if kind(row).startswith(words)):
            print(kind(each), *(f'  tests/{file}::{test}' for file, test in of_row(each)), sep='\n')
