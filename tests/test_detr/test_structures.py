"""Memory and targets: where padding ends, where tokens stand, how objects are counted."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmengine.structures import InstanceData
from tiny import samples

from mmparts.detr.structures import Matches, Memory, Targets


def two_levels(keeps):
    feats = [torch.arange(2.0 * 3 * h * w).view(2, 3, h, w) for h, w in ((2, 4), (1, 2))]
    return feats, Memory.from_levels(feats, [feat + 0.5 for feat in feats], keeps)


def left_half():
    """What the second image fills."""
    keeps = [torch.ones(2, 2, 4, dtype=torch.bool), torch.ones(2, 1, 2, dtype=torch.bool)]
    keeps[0][1, :, 2:] = False
    keeps[1][1, :, 1:] = False
    return keeps


def test_tokens_stand_row_by_row_level_by_level():
    feats, memory = two_levels(None)
    assert memory.shapes == ((2, 4), (1, 2))
    assert memory.tokens.shape == (2, 10, 3)
    assert memory.tokens[1, 6].equal(feats[0][1, :, 1, 2])
    assert memory.tokens[1, 9].equal(feats[1][1, :, 0, 1])
    assert memory.pos.equal(memory.tokens + 0.5)
    assert memory.keep is None and memory.valid_ratios.equal(torch.ones(2, 2, 2))


def test_valid_ratios_are_shares_of_width_and_height():
    _, memory = two_levels(left_half())
    assert memory.valid_ratios[0].equal(torch.ones(2, 2))
    assert memory.valid_ratios[1].equal(torch.tensor([[0.5, 1.0], [0.5, 1.0]]))
    assert memory.keep[1].tolist() == [True, True, False, False] * 2 + [True, False]


def test_centres_are_measured_in_the_unpadded_image():
    _, memory = two_levels(left_half())
    assert memory.centres[0, :4].allclose(torch.tensor([[0.125, 0.25], [0.375, 0.25], [0.625, 0.25], [0.875, 0.25]]))
    assert memory.centres[1, :2].allclose(torch.tensor([[0.25, 0.25], [0.75, 0.25]]))
    assert memory.centres[1, 8].allclose(torch.tensor([0.5, 0.5]))
    assert (memory.centres[~memory.keep][:, 0] > 1).all()  # padding lies outside


def test_targets_are_normalised_by_their_own_image():
    gts = [
        InstanceData(
            bboxes=torch.tensor([[0.0, 0.0, 50.0, 20.0], [50.0, 0.0, 100.0, 40.0]]), labels=torch.tensor([4, 2])
        ),
        InstanceData(bboxes=torch.zeros(0, 4), labels=torch.zeros(0, dtype=torch.long)),
        InstanceData(bboxes=torch.tensor([[20.0, 50.0, 60.0, 150.0]]), labels=torch.tensor([7])),
    ]
    sizes = [(40, 100), (30, 30), (200, 80)]
    targets = Targets.from_samples(
        [DetDataSample(gt_instances=gt, metainfo=dict(img_shape=size)) for gt, size in zip(gts, sizes)]
    )
    assert targets.boxes.allclose(torch.tensor([[0.25, 0.25, 0.5, 0.5], [0.75, 0.5, 0.5, 1.0], [0.5, 0.5, 0.5, 0.5]]))
    assert targets.labels.tolist() == [4, 2, 7]
    assert targets.counts == [2, 0, 1]
    assert targets.image.tolist() == [0, 0, 2] and targets.slot.tolist() == [0, 1, 0]
    assert targets.names == ['image 0 of the batch', 'image 1 of the batch', 'image 2 of the batch']


def test_padded_targets_hold_the_real_ones_first():
    targets = Targets.from_samples(samples(counts=(3, 1)))
    labels, boxes = targets.padded
    assert labels.shape == (2, 3) and boxes.shape == (2, 3, 4)
    assert labels[0].equal(targets.labels[:3]) and labels[1, 0] == targets.labels[3]
    assert boxes[0].equal(targets.boxes[:3]) and boxes[1, 0].equal(targets.boxes[3])
    assert targets.names == ['image_0.png', 'image_1.png']


def test_no_objects_at_all():
    targets = Targets.from_samples(samples(counts=(0, 0)))
    labels, boxes = targets.padded
    assert labels.shape == (2, 0) and boxes.shape == (2, 0, 4)
    assert targets.image.shape == targets.slot.shape == (0,)


def test_class_agnostic_targets_keep_boxes_and_leave_the_original():
    targets = Targets.from_samples(samples(counts=(3, 1)))
    labels = targets.labels.clone()
    agnostic = targets.class_agnostic()
    assert not agnostic.labels.any() and agnostic.boxes.equal(targets.boxes)
    assert not agnostic.padded[0].any()
    assert targets.labels.equal(labels)


@pytest.mark.parametrize('known', [True, False])
def test_matches_of_a_layer_and_of_each_image(known):
    """In their order, also where layers and images alternate; an image may have none."""
    rows = torch.tensor([[1, 2, 5, 0], [0, 0, 3, 1], [1, 0, 4, 2], [1, 0, 0, 1], [0, 2, 1, 0]]).T
    matches = Matches(*rows, rows if known else None)

    def shown(found: Matches) -> list:
        return torch.stack([*found.where, found.target]).T.tolist()

    last = matches.of_layer(1)
    assert shown(last) == [[1, 2, 5, 0], [1, 0, 4, 2], [1, 0, 0, 1]]
    assert [shown(own) for own in last.by_image(3)] == [[[1, 0, 4, 2], [1, 0, 0, 1]], [], [[1, 2, 5, 0]]]
    assert [shown(own) for own in matches.by_image(3)] == [
        [[0, 0, 3, 1], [1, 0, 4, 2], [1, 0, 0, 1]],
        [],
        [[1, 2, 5, 0], [0, 2, 1, 0]],
    ]
