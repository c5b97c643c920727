"""docs/reliability.md promises what tests hold."""

import reliability
from reliability import PAGE, kind, marks, of_row, rows, written

TEXT = PAGE.read_text(encoding='utf-8')


def test_every_row_has_a_test():
    assert len(rows(TEXT)) > 40
    assert [kind(row) for row in rows(TEXT) if not of_row(row)] == []


def test_every_comment_names_one_row():
    kinds = [kind(row) for row in rows(TEXT)]
    lost = [(words, file) for words, file, _ in marks() if sum(each.startswith(words) for each in kinds) != 1]
    assert lost == []


def test_the_page_is_current():
    assert written(TEXT) == TEXT, f'python {reliability.__file__} --write'
