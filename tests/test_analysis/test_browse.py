import runpy
from pathlib import Path

import cv2
import numpy as np
import pytest
from mmengine.config import Config

from mmparts.analysis.browse import build_dataset, draw_samples
from mmparts.datasets import set_data_root
from mmparts.tasks import Detection

ROOT = Path(__file__).parents[2]
CONFIG = ROOT / 'configs/_base_/datasets/shapes_detection.py'


def browse(*args) -> int | str | None:
    """Run the tool with these arguments; returns its exit code or the message that it ends with."""
    with pytest.MonkeyPatch.context() as patch, pytest.raises(SystemExit) as stop:
        patch.setattr('sys.argv', ['browse', *map(str, args)])
        runpy.run_path(str(ROOT / 'tools/browse_dataset.py'), run_name='__main__')
    return stop.value.code


@pytest.mark.parametrize(
    ('split', 'config'), [('train', CONFIG), ('val', 'mmparts::_base_/datasets/shapes_detection.py')]
)
def test_the_tool_writes_pictures_and_a_summary(shapes, tmp_path, capsys, split, config):
    assert not browse(config, '--split', split, '--out', tmp_path, '--num', 5, '--cfg-options', f'data_root={shapes}')
    printed = capsys.readouterr().out
    assert 'triangle' in printed and 'images without any' in printed and '16 to 32' in printed
    assert len(list(tmp_path.glob('*.jpg'))) == 5 + 1


def test_boxes_and_masks_are_drawn_on_the_right_half(shapes, tmp_path):
    cfg = set_data_root(Config.fromfile(CONFIG), str(shapes))
    cfg.train_dataloader.dataset.pipeline[1].with_mask = True
    dataset = build_dataset(cfg, 'train')
    *paths, _ = draw_samples(dataset, tmp_path, 12, Detection())
    assert len(paths) == 12
    for path in paths:
        index = int(path.name.split('_')[0])
        left, right = np.split(cv2.imread(str(path)).astype(int), 2, axis=1)
        assert (np.abs(left - right).max() > 60) == bool(dataset.get_data_info(index)['instances'])


def test_the_tool_names_what_is_wrong_in_one_line(shapes, tmp_path):
    assert 'Did you mean' in browse(CONFIG.with_name('shapes_detectio.py'))
    assert 'error: ' in browse(CONFIG, '--cfg-options', f'data_root={tmp_path}/nowhere')
    (tmp_path / 'config.py').write_text('train_dataloader = None')
    assert 'has no train_dataloader' in browse(tmp_path / 'config.py')


def test_a_missing_split_is_named():
    with pytest.raises(ValueError, match='no test_dataloader'):
        build_dataset(Config(dict(train_dataloader=dict())), 'test')
