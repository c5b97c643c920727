"""The notebook of the docs runs from its first cell to its last."""

from pathlib import Path

import pytest

NOTEBOOK = Path(__file__).resolve().parents[2] / 'docs' / 'first_steps.ipynb'


@pytest.mark.long
def test_the_notebook_runs(tmp_path):
    nbformat, nbclient = pytest.importorskip('nbformat'), pytest.importorskip('nbclient')
    notebook = nbformat.read(NOTEBOOK, as_version=4)
    nbclient.NotebookClient(notebook, timeout=600, resources=dict(metadata=dict(path=str(tmp_path)))).execute()
    cells = [cell for cell in notebook.cells if cell.cell_type == 'code']
    outputs = [''.join(each.get('text', '') or str(each.get('data', '')) for each in cell.outputs) for cell in cells]
    assert 'report.html' in outputs[2] and 'image/png' in outputs[4] and 'True' in outputs[6] and 'pebble' in outputs[7]
