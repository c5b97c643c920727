"""Objects, panoptic and semantic maps against what the definitions say, pixel by pixel."""

import pytest
import torch
from mmdet.evaluation.functional import INSTANCE_OFFSET

from mmparts.detr.segments import PanopticMap, SemanticMap, TopKMasks, sharpened

LOW, HIGH = -9.0, 9.0


def maker(masks: torch.Tensor):
    return lambda queries=slice(None): masks[queries]


def rectangle(left, top, right, bottom, size=(8, 10)) -> torch.Tensor:
    mask = torch.full(size, LOW)
    mask[top:bottom, left:right] = HIGH
    return mask


class TestTopKMasks:
    def test_score_is_class_times_mask(self):
        logits = torch.tensor([[0.0, LOW, 2.0], [1.0, LOW, LOW]])
        masks = torch.stack([rectangle(0, 0, 4, 4), torch.full((8, 10), 0.5)])
        scores, labels, queries, shown = TopKMasks(num=3)(logits, torch.rand(2, 4), maker(masks))
        wanted = torch.tensor([2.0, 1.0, 0.0]).sigmoid() * torch.tensor([HIGH, 0.5, HIGH]).sigmoid()
        torch.testing.assert_close(scores, wanted, rtol=1e-4, atol=1e-5)
        assert labels.tolist() == [2, 0, 0] and queries.tolist() == [0, 1, 0]
        assert shown.equal(masks[[0, 1, 0]] > 0) and shown.dtype == torch.bool

    def test_an_empty_mask_scores_nothing(self):
        scores, *_ = TopKMasks(num=1)(torch.tensor([[5.0]]), torch.rand(1, 4), maker(torch.full((1, 8, 10), LOW)))
        assert scores.item() == 0

    def test_only_things_and_only_classes(self):
        logits = torch.tensor([[0.0, 1.0, 2.0, 3.0]])
        masks = rectangle(0, 0, 4, 4)[None]
        assert TopKMasks(things=2)(logits, torch.rand(1, 4), maker(masks))[1].tolist() == [1, 0]
        scores, labels, *_ = TopKMasks(no_object=True)(logits, torch.rand(1, 4), maker(masks))
        assert labels.tolist() == [2, 1, 0] and scores.sum() < 1


@pytest.mark.parametrize('temperature', [0.06, None])
def test_semantic_map_is_a_vote(temperature):
    torch.manual_seed(0)
    logits, masks = torch.randn(5, 4), torch.randn(5, 8, 10)
    found = SemanticMap(temperature)(logits, maker(masks)).sem_seg
    classes = logits.softmax(-1)[:, :-1] if temperature is None else (logits.sigmoid() / temperature).softmax(-1)
    assert found.shape == (1, 8, 10)
    for row in range(8):
        for column in range(10):
            chances = masks[:, row, column].sigmoid()
            votes = [sum(classes[n, k] * chances[n] for n in range(5)) for k in range(classes.shape[1])]
            assert found[0, row, column] == max(range(len(votes)), key=votes.__getitem__)


class TestPanopticMap:
    """Labels 0 and 1 are objects, 2 is stuff, 3 stands for nothing."""

    part = PanopticMap(things=2, num_classes=3)

    def logits(self, *labels, strength=3.0):
        return torch.full((len(labels), 3), -strength).scatter(1, torch.tensor(labels)[:, None], strength)

    def test_objects_are_numbered_and_stuff_is_one(self):
        masks = torch.stack(
            [rectangle(*corners) for corners in ((0, 0, 3, 3), (5, 0, 8, 3), (0, 4, 4, 8), (6, 4, 10, 8))]
        )
        found = self.part(self.logits(0, 0, 2, 2), maker(masks)).sem_seg[0]
        assert found[0, 0] % INSTANCE_OFFSET == found[0, 5] % INSTANCE_OFFSET == 0 and found[0, 0] != found[0, 5]
        assert found[0, 0] // INSTANCE_OFFSET and found[0, 5] // INSTANCE_OFFSET
        assert found[4, 0] == found[4, 6] == 2
        assert (found == 3).sum() == 80 - 9 - 9 - 16 - 16

    def test_a_pixel_goes_to_the_surer_query(self):
        masks = torch.stack([rectangle(0, 0, 6, 8), rectangle(5, 0, 10, 8)])
        logits = self.logits(0, 1)
        logits[1, 1] = 1.0  # still its best class, less sure
        found = self.part(logits, maker(masks)).sem_seg[0] % INSTANCE_OFFSET
        assert (found[:, :6] == 0).all() and (found[:, 6:] == 1).all()

    def test_a_mask_that_gets_too_little_is_left_out(self):
        masks = torch.stack([rectangle(0, 0, 6, 8), rectangle(2, 0, 7, 8)])
        logits = self.logits(0, 1)
        logits[1, 1] = 1.0
        found = self.part(logits, maker(masks)).sem_seg[0] % INSTANCE_OFFSET
        assert (found[:, :6] == 0).all() and (found[:, 6:] == 3).all()

    @pytest.mark.parametrize('min_share', [0.1, 0.2])
    def test_against_a_loop_over_the_queries(self, min_share):
        """Masks that overlap at random, one that nobody would keep and one that owns no pixel of its own."""
        torch.manual_seed(0)
        part = PanopticMap(things=2, num_classes=3, min_share=min_share)
        logits, masks = torch.randn(7, 3) * 3, torch.randn(7, 8, 10)
        logits[2], masks[4] = -9.0, LOW
        kept = [n for n in range(7) if logits[n].sigmoid().max() > 0.25]
        scores, labels = sharpened(logits[kept], 0.06).max(-1)
        chances = masks[kept].sigmoid()
        owner = (scores[:, None, None] * chances).argmax(0)
        wanted = torch.full((8, 10), 3)
        for place, label in enumerate(labels.tolist()):
            inside = chances[place] >= 0.5
            if (owner == place).sum() >= min_share * inside.sum():
                wanted[inside & (owner == place)] = label + INSTANCE_OFFSET * (place + 1 if label < 2 else 0)
        assert part(logits, maker(masks)).sem_seg.equal(wanted[None]) and len(wanted.unique()) > 2

    def test_weak_queries_take_no_part(self):
        masks = torch.stack([rectangle(0, 0, 6, 8)])
        logits = torch.full((1, 3), -4.0)
        assert (self.part(logits, maker(masks)).sem_seg == 3).all()
        assert (self.part(logits[:0], maker(masks[:0])).sem_seg == 3).all()


def test_sharpening_keeps_the_order():
    logits = torch.randn(5, 7)
    found = sharpened(logits, 0.06)
    torch.testing.assert_close(found.sum(-1), torch.ones(5))
    assert found.argsort(-1).equal(logits.argsort(-1))
    assert (found.max(-1).values > logits.softmax(-1).max(-1).values).all()
