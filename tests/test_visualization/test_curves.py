"""Curves of a run: read, summed, smoothed, drawn."""

import json

import numpy as np
import pytest
from PIL import Image

from mmparts.visualization import CurveHook, draw_curves, read_scalars
from mmparts.visualization.curves import loss_terms, smooth, table


def write(work_dir, run: str, records: list[dict]) -> None:
    folder = work_dir / run / 'vis_data'
    folder.mkdir(parents=True)
    (folder / 'scalars.json').write_text('\n'.join(map(json.dumps, records)))


def train(step: int, epoch: int, loss: float) -> dict:
    return {
        'loss': loss,
        'loss_cls': loss / 2,
        'd0.loss_cls': loss / 4,
        'd1.loss_cls': loss / 4,
        'lr': 0.1,
        'epoch': epoch,
        'iter': step,
        'step': step,
    }


def val(step: int, score: float) -> dict:
    return {'coco/bbox_mAP': score, 'coco/bbox_mAP_l': -1.0, 'coco/bbox_mAP_copypaste': 'x', 'time': 0.1, 'step': step}


@pytest.fixture
def work_dir(tmp_path):
    """Two runs: the second resumed after epoch 1 and repeats step 20."""
    write(tmp_path, '20260101_000000', [train(10, 1, 8.0), val(1, 0.1), train(20, 2, 99.0)])
    write(tmp_path, '20260102_000000', [train(20, 2, 4.0), val(2, 0.3)])
    return tmp_path


def test_resumed_run_replaces_what_it_repeats(work_dir):
    records, scores = read_scalars(str(work_dir))
    assert [record['loss'] for record in records] == [8.0, 4.0]
    assert [score['coco/bbox_mAP'] for score in scores] == [0.1, 0.3]


def test_terms_are_summed_over_layers(work_dir):
    terms = loss_terms(read_scalars(str(work_dir))[0])
    assert list(terms) == ['loss_cls']
    np.testing.assert_allclose(terms['loss_cls'], [8.0, 4.0])


def test_smoothing_keeps_a_straight_line():
    np.testing.assert_allclose(smooth(np.full(100, 3.0)), 3.0)
    noisy = np.random.default_rng(0).normal(size=400)
    assert smooth(noisy).std() < 0.4 * noisy.std()


def test_table_has_a_row_for_each_validation(work_dir):
    assert table(*read_scalars(str(work_dir))).splitlines() == [
        '| epoch | loss | coco/bbox_mAP |',
        '|---|---|---|',
        '| 1 | 8.0000 | 0.1000 |',
        '| 2 | 4.0000 | 0.3000 |',
    ]


def test_the_table_says_whether_it_counts_epochs_or_iterations():
    assert table([train(10, 1, 8.0)], [val(10, 0.1)]).startswith('| iteration |')
    assert table([], []).startswith('| iteration |')


@pytest.mark.parametrize('records', [[train(10, 1, 8.0)], [train(10, 1, float('nan')), val(1, 0.0)], [val(1, 0.2)]])
def test_picture_is_drawn_from_little(tmp_path, records):
    write(tmp_path, 'run', records)
    assert np.asarray(Image.open(draw_curves(str(tmp_path)))).std() > 5
    assert (tmp_path / 'curves.md').read_text().startswith(('| iteration | loss |', '| epoch | loss |'))


def test_nothing_to_draw(tmp_path):
    assert draw_curves(str(tmp_path)) is None


def test_hook_does_not_stop_training(tmp_path):
    from types import SimpleNamespace

    warnings = []
    runner = SimpleNamespace(work_dir=str(tmp_path), logger=SimpleNamespace(warning=warnings.append))
    write(tmp_path, 'run', [])
    (tmp_path / 'run' / 'vis_data' / 'scalars.json').write_text('{broken')
    CurveHook().after_val_epoch(runner)
    assert 'were not drawn' in warnings[0]
