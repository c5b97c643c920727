"""Panoptic quality against the paper's definition, segment by segment."""

import numpy as np
import pytest
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET as STEP

from mmparts.evaluation import PanopticQuality
from mmparts.evaluation.panoptic_quality import compare

THINGS, CLASSES = 2, 4  # 0 and 1 are objects, 2 and 3 stuff; 4 stands for nothing


def by_definition(found, truth, segments):
    """{label: [matched, overlap, only predicted, only annotated]}; no crowds, no void."""
    tally = {label: [0, 0.0, 0, 0] for label in range(CLASSES)}
    predictions = [(number, number % STEP, found == number) for number in np.unique(found) if number % STEP < CLASSES]
    annotations = [(each['id'], each['category'], truth == each['id']) for each in segments]
    taken = set()
    for _, label, mask in predictions:
        ious = {
            number: (mask & other).sum() / (mask | other).sum() for number, kind, other in annotations if kind == label
        }
        best = max(ious, key=ious.get, default=None)
        if best is not None and ious[best] > 0.5:
            tally[label][0] += 1
            tally[label][1] += ious[best]
            taken.add(best)
        else:
            tally[label][2] += 1
    for number, label, _ in annotations:
        tally[label][3] += number not in taken
    return tally


@pytest.mark.parametrize('seed', range(5))
def test_against_the_definition(seed):
    random = np.random.default_rng(seed)
    truth = np.kron(random.integers(1, 7, (4, 4)), np.ones((3, 3), int))
    segments = [
        dict(id=number, category=number % CLASSES, is_thing=number % CLASSES < THINGS)
        for number in np.unique(truth).tolist()
    ]
    found = truth % CLASSES + STEP * truth
    wrong = random.random(found.shape) < 0.25
    found[wrong] = random.permutation(found.ravel())[: wrong.sum()]
    found[0, :3] = CLASSES
    tally = compare(found, truth, segments, CLASSES, THINGS)
    for label, wanted in by_definition(found, truth, segments).items():
        mine = [tally.matched[label], tally.overlap[label], tally.predicted[label], tally.annotated[label]]
        assert mine == pytest.approx(wanted), label


def test_void_and_crowds_are_forgiven():
    truth = np.zeros((4, 8), int)
    truth[:, :4] = 7  # a crowd of objects of class 0; the rest is void
    segments = [dict(id=7, category=0, is_thing=False)]
    found = np.full((4, 8), CLASSES)
    found[:, 1:4] = 0 + STEP  # of the crowd's class
    found[0, 4:] = 1 + 2 * STEP  # in the void
    found[:, :1] = 1 + 3 * STEP  # in the crowd, of another class
    tally = compare(found, truth, segments, CLASSES, THINGS)
    assert tally.predicted.tolist() == [0, 1, 0, 0] and not tally.annotated.any() and not tally.matched.any()


def test_void_is_no_part_of_the_overlap():
    truth = np.zeros((4, 8), int)
    truth[:, :4] = 7
    found = np.full((4, 8), STEP)  # half of it in the void
    tally = compare(found, truth, [dict(id=7, category=0, is_thing=True)], CLASSES, THINGS)
    assert tally.matched.tolist() == [1, 0, 0, 0] and tally.overlap[0] == 1


def test_as_a_metric():
    metric = PanopticQuality(things=THINGS)
    metric.dataset_meta = dict(classes=('cat', 'dog', 'sky', 'sea'))
    truth = np.array([[1, 1, 2, 2], [3, 3, 2, 2]])
    segments = [
        dict(id=1, category=0, is_thing=True),
        dict(id=2, category=2, is_thing=False),
        dict(id=3, category=1, is_thing=True),
    ]
    found = torch.tensor([[[STEP, STEP, 2, 2], [4, 4, 2, 2]]])
    sample = dict(panoptic_map=truth, segments_info=segments, pred_panoptic_seg=dict(sem_seg=found))
    metric.process({}, [sample])
    result = metric.evaluate(size=1)
    assert result['panoptic/PQ'] == pytest.approx(200 / 3) and result['panoptic/SQ'] == pytest.approx(200 / 3)
    assert result['panoptic/PQ_th'] == 50 and result['panoptic/PQ_st'] == 100
    with pytest.raises(KeyError, match="needs 'panoptic_map' of each sample; name it in the meta_keys"):
        metric.process({}, [dict(segments_info=[])])
