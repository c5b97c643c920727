"""The notebook of the docs runs from its first cell to its last, and is kept with what it says.

`python tests/test_docs/test_notebook.py` runs it and writes its outputs.
"""

import tempfile
from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / 'docs' / 'first_steps.ipynb'


def executed(folder: str):
    """The notebook after a run in a folder; of what it prints, what goes to the error stream is left out."""
    nbformat, nbclient = pytest.importorskip('nbformat'), pytest.importorskip('nbclient')
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources=dict(metadata=dict(path=folder))).execute()
    for cell in code(notebook):
        cell.outputs = [each for each in cell.outputs if each.get('name') != 'stderr']
        for each in cell.outputs:
            each.get('data', {}).pop('image/jpeg', None)  # beside the same as PNG
            if 'text' in each:
                each.text = each.text.replace(f'{folder}/', '')
        cell.metadata.pop('execution', None)  # when it ran
    return notebook


def code(notebook) -> list:
    return [cell for cell in notebook.cells if cell.cell_type == 'code']


def said(notebook) -> list[str]:
    """Text of the outputs of each cell, with the kinds of figures."""
    return [
        ''.join(each.get('text', '') or str(each.get('data', '')) for each in cell.outputs) for cell in code(notebook)
    ]


def holds(outputs: list[str]) -> bool:
    """Whether outputs are those of a good run."""
    expected = {2: 'report.html', 4: 'image/png', 6: 'True', 7: 'pebble'}
    return all(word in outputs[index] for index, word in expected.items())


@pytest.mark.long
def test_the_notebook_runs(tmp_path):
    assert holds(said(executed(str(tmp_path))))


def test_the_notebook_is_kept_with_its_outputs():
    notebook = pytest.importorskip('nbformat').read(NOTEBOOK, as_version=4)
    assert [cell.execution_count for cell in code(notebook)] == list(range(1, len(code(notebook)) + 1))
    assert holds(said(notebook))
    assert 'error' not in {each.output_type for cell in code(notebook) for each in cell.outputs}
    assert NOTEBOOK.stat().st_size < 500_000


if __name__ == '__main__':
    import nbformat

    with tempfile.TemporaryDirectory() as folder:
        nbformat.write(executed(folder), NOTEBOOK)
