"""Where DETReg's boxes come from, and which of them are taken."""

import json
import math

import cv2
import numpy as np
import pytest

from mmparts.datasets import ProposalBoxes, ProposalFile, RegionProposals, SelectiveSearch, write_proposals
from mmparts.datasets.proposals import fractions, monte_carlo, random, top
from mmparts.registry import TASK_UTILS


@TASK_UTILS.register_module(force=True)
class Ranked:
    """Box number r has the left edge r / 1000."""

    def __init__(self, num: int = 400):
        left = np.arange(num, dtype=np.float32)[:, None] / 1000
        self.boxes = np.concatenate([left, left * 0, left + 0.5, left * 0 + 0.5], axis=1)

    def __call__(self, results: dict) -> np.ndarray:
        return self.boxes


def loaded(height: int = 40, width: int = 60, **more) -> dict:
    image = np.full((height, width, 3), 200, np.uint8)
    image[10:30, 20:40] = (0, 0, 250)
    return dict(img=image, img_shape=(height, width), **more)


def test_top_are_the_first():
    assert np.array_equal(top(Ranked(), {}, 30), Ranked().boxes[:30])
    assert len(top(Ranked(5), {}, 30)) == 5


def test_monte_carlo_follows_its_formula():
    np.random.seed(0)
    runs = 2000
    counts = np.zeros(400)
    for _ in range(runs):
        counts[np.round(monte_carlo(Ranked(), {}, 30)[:, 0] * 1000).astype(int)] += 1
    assert not counts[300:].any()
    for rank in (1, 10, 100, 299):
        expected = -math.log(rank / 301) / 10
        assert counts[rank - 1] / runs == pytest.approx(expected, abs=4 * math.sqrt(expected / runs) + 1e-9)
    assert counts.sum() / runs == pytest.approx(30, abs=1.5)


def test_random_takes_those_of_another_picture(tmp_path):
    path = tmp_path / 'boxes.json'
    path.write_text(json.dumps({'a.jpg': [[0, 0, 0.5, 0.5]], 'b.jpg': [[0.5, 0.5, 1, 1]]}))
    source = ProposalFile(str(path))
    assert source(dict(img_path='x/a.jpg')).tolist() == [[0, 0, 0.5, 0.5]]
    for _ in range(10):
        assert random(source, dict(img_id='a.jpg'), 30).tolist() == [[0.5, 0.5, 1, 1]]
    with pytest.raises(ValueError, match='which Ranked does not know; take ProposalFile'):
        random(Ranked(), {}, 30)
    with pytest.raises(KeyError, match=r'no boxes of None or c.jpg; its names are like'):
        source(dict(img_path='c.jpg'))


def test_file_of_pixels_is_refused(tmp_path):
    (tmp_path / 'boxes.json').write_text('{"a.jpg": [[0, 0, 50, 20]]}')
    with pytest.raises(ValueError, match='boxes of a.jpg go from 0 to 50; .* divided by the width and height'):
        ProposalFile(str(tmp_path / 'boxes.json'))


def test_file_is_held_in_few_objects_and_every_picture_keeps_its_boxes(tmp_path):
    """Worker processes copy what they touch: a dict of a million arrays as a whole."""
    random, path = np.random.default_rng(0), tmp_path / 'boxes.json'
    boxes = {f'{name}.jpg': random.random((name % 4, 4), np.float32) for name in (2, 10, 1, 31)}
    boxes['ä/b.jpg'] = random.random((2, 4), np.float32)
    path.write_text(json.dumps({name: each.tolist() for name, each in boxes.items()}))
    source = ProposalFile(str(path))
    for name, each in boxes.items():
        assert np.array_equal(source(dict(img_id=name)), each) and source(dict(img_id=name)).shape == each.shape
    assert all(isinstance(value, str) or value.dtype != object for value in vars(source).values())
    assert len({source.another(dict(img_id='2.jpg')).tobytes() for _ in range(200)}) == len(boxes) - 1
    path.write_text('{}')
    with pytest.raises(KeyError, match='no boxes of None or c.jpg'):
        ProposalFile(str(path))(dict(img_path='c.jpg'))


def test_boxes_are_pixels_of_the_picture():
    results = ProposalBoxes(dict(type=Ranked), num=3)(loaded())
    assert results['gt_bboxes'].tensor.numpy() == pytest.approx(
        np.array([[0, 0, 30, 20], [0.06, 0, 30.06, 20], [0.12, 0, 30.12, 20]]), abs=1e-4
    )
    assert results['gt_bboxes_labels'].tolist() == [1, 1, 1]
    assert ProposalBoxes(dict(type=Ranked, num=1))(loaded()) is None
    with pytest.raises(ValueError, match="strategy is 'best'; there are topk, mc, random"):
        ProposalBoxes(dict(type=Ranked), strategy='best')


def test_fractions():
    assert fractions([[6, 10, 30, 20]], (40, 60)) == pytest.approx(np.array([[0.1, 0.25, 0.6, 0.75]]))


def test_regions_and_the_file_made_of_them(tmp_path):
    """Blobs are found, each once, and read back the same but for their order."""
    blobs = np.random.default_rng(0).integers(256, size=(8, 12, 3), dtype=np.uint8)
    image = cv2.resize(blobs, (120, 80), interpolation=cv2.INTER_CUBIC)
    (tmp_path / 'in').mkdir()
    cv2.imwrite(str(tmp_path / 'in/a.png'), image)
    boxes = RegionProposals()(dict(img=image))
    assert len(boxes) > 3 and len(np.unique(boxes, axis=0)) == len(boxes)
    assert boxes.min() >= 0 and boxes.max() <= 1 and (boxes[:, 2:] > boxes[:, :2]).all()
    assert write_proposals(tmp_path / 'in', RegionProposals(), tmp_path / 'boxes.json') == 1
    read = ProposalFile(str(tmp_path / 'boxes.json'))(dict(img_id='a.png'))
    distance = np.abs(read[:, None] - boxes).max(-1)
    assert len(read) == len(boxes) and distance.min(0).max() < 1e-4 and distance.min(1).max() < 1e-4


@pytest.mark.skipif(hasattr(cv2, 'ximgproc'), reason='OpenCV has it')
def test_missing_selective_search_says_what_helps():
    with pytest.raises(ImportError, match='pip install opencv-contrib-python-headless in place of opencv-python'):
        SelectiveSearch()


@pytest.mark.skipif(not hasattr(cv2, 'ximgproc'), reason='needs opencv-contrib-python-headless')
def test_selective_search_finds_the_square():
    """In an image that is resized to a square for it."""
    boxes = SelectiveSearch()(loaded(80, 240))
    assert boxes.min() >= 0 and boxes.max() <= 1
    assert np.abs(boxes - [[20 / 240, 10 / 80, 40 / 240, 30 / 80]]).max(1).min() < 0.04
