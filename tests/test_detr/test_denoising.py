"""Denoising queries: slots, noise, and what is supervised; plain (DN-DETR) and contrastive (DINO)."""

import pytest
import torch
from tiny import prediction_set, samples

from mmparts.detr.denoising import Denoising, jitter_centre_size, jitter_corners, jitter_labels
from mmparts.detr.structures import Matches, PredictionSet, QueryGroup, Targets
from mmparts.detr.terms import BoxL1Term, FocalTerm, GIoUTerm

CLASSES = 80
both = pytest.mark.parametrize('contrastive', [False, True])


def make(targets: Targets, **kwargs) -> QueryGroup:
    """Denoising queries whose content tells their label: label + 1 in every channel, 0 where a slot is empty."""
    torch.manual_seed(0)
    part = Denoising(num_classes=CLASSES, embed_dims=4, **kwargs)
    part.label_embed.weight.data = torch.arange(1.0, CLASSES + 2)[:, None].expand(-1, 4)
    return part(QueryGroup('match', torch.zeros(len(targets.counts), 5, 4)), None, targets)


def noiseless(targets: Targets, **kwargs) -> QueryGroup:
    return make(targets, label_noise=0.0, box_noise=0.0, **kwargs)


def targets_of(*counts: int) -> Targets:
    sizes = [(64, 96), (96, 64), (48, 48)][: len(counts)]
    return Targets.from_samples(samples(sizes, counts, CLASSES))


def middle_boxes(num: int) -> torch.Tensor:
    """Boxes so small and central that no noise can reach the border."""
    return torch.cat([torch.rand(num, 2) * 0.2 + 0.4, torch.rand(num, 2) * 0.1 + 0.05], dim=1)


@both
@pytest.mark.parametrize('counts', [(3, 0), (2, 3, 1)])
def test_slot_layout(contrastive, counts):
    targets = targets_of(*counts)
    made = noiseless(targets, copies=2, contrastive=contrastive)
    most, halves = max(counts), 1 + contrastive
    assert made.content.shape == (len(counts), 2 * halves * most, 4)
    assert made.blocks == 2 and made.see == ('match',) and made.name == 'dn'

    content = torch.zeros(made.content.shape)
    reference = torch.full((*content.shape[:2], 4), 0.5)
    pairs = set()
    for number, (image, slot) in enumerate(zip(targets.image.tolist(), targets.slot.tolist())):
        for copy in range(2):
            for half in range(halves):
                query = (copy * halves + half) * most + slot
                content[image, query] = targets.labels[number] + 1
                reference[image, query] = targets.boxes[number]
                if half == 0:
                    pairs.add((image, query, number))
    assert made.content.equal(content)
    assert made.reference.allclose(reference, atol=1e-6)
    assert set(zip(*(index.tolist() for index in made.known))) == pairs
    assert len(made.known[0]) == len(pairs) == 2 * sum(counts)


@both
def test_budget_of_objects(contrastive):
    def copies_for(most: int, **kwargs) -> int:
        made = make(targets_of(most, 0), contrastive=contrastive, **kwargs)
        assert made.size == made.blocks * most * (1 + contrastive)
        return made.blocks

    assert copies_for(3, num=100) == 33
    assert copies_for(30, num=100) == 3
    assert copies_for(300, num=100) == 1  # never less than one
    assert copies_for(30, copies=5, num=500) == 5  # as many as asked for,
    assert copies_for(300, copies=5, num=500) == 1  # where the budget allows


@both
def test_no_objects_make_a_group_of_size_zero(contrastive):
    made = make(targets_of(0, 0), contrastive=contrastive)
    assert made.size == 0 and made.reference.shape == (2, 0, 4) and len(made.known[0]) == 0


@both
def test_perfect_predictions_without_noise_cost_no_box_loss(contrastive):
    targets = targets_of(3, 1)
    made = noiseless(targets, copies=2, contrastive=contrastive)
    image, query, target = made.known
    matches = Matches(torch.zeros_like(image), image, query, target)
    answer = prediction_set(torch.zeros(1, 2, made.size, CLASSES), made.reference[None], targets, known=made.known)
    for term in (BoxL1Term(), GIoUTerm()):
        assert term(answer, matches, torch.tensor(1.0)).abs().item() < 1e-5
    # Every positive stands for its own object, so that a shift of all boxes is seen by each of them.
    answer.found['boxes'] = answer.boxes + torch.tensor([0.01, 0.0, 0.0, 0.0])
    assert BoxL1Term()(answer, matches, torch.tensor(1.0)).item() == pytest.approx(0.01 * 2 * 4, rel=1e-4)


@pytest.mark.parametrize(
    ('contrastive', 'pad_as_background', 'looked_at'),
    [(False, None, 'occupied'), (True, None, 'all'), (False, True, 'all'), (True, False, 'occupied')],
)
def test_which_slots_the_class_loss_looks_at(contrastive, pad_as_background, looked_at):
    """Plain denoising leaves empty slots alone; contrastive takes them, like its negatives, for background."""
    targets = targets_of(3, 1)
    made = make(targets, copies=1, contrastive=contrastive, pad_as_background=pad_as_background)
    logits = torch.zeros(1, 2, made.size, CLASSES, requires_grad=True)
    image, query, target = made.known
    predictions = PredictionSet(made, dict(logits=logits, boxes=made.reference[None]), targets)
    FocalTerm()(predictions, Matches(torch.zeros_like(image), image, query, target), torch.tensor(1.0)).sum().backward()
    occupied = torch.zeros(2, made.size, dtype=torch.bool)
    occupied[image, query] = True
    if contrastive:  # negatives stand in the second half
        occupied[image, query + made.size // 2] = True
    expected = occupied if looked_at == 'occupied' else torch.ones_like(occupied)
    assert logits.grad[0].abs().sum(-1).bool().equal(expected)
    assert (~occupied).any()


@pytest.mark.parametrize('scale', [0.4, 1.0])
def test_centre_and_size_noise_is_bounded(scale):
    torch.manual_seed(0)
    boxes = middle_boxes(4000)
    moved = (jitter_centre_size(boxes, scale) - boxes) / boxes[:, [2, 3, 2, 3]] * torch.tensor([2.0, 2.0, 1.0, 1.0])
    assert moved.abs().max() <= scale + 1e-4
    assert moved.abs().amax(0).min() > 0.98 * scale  # all of the range is used,
    assert moved.mean(0).abs().max() < 0.05 * scale  # both ways alike


@pytest.mark.parametrize('scale', [0.4, 1.0])
@pytest.mark.parametrize('negative', [0, 1])
def test_corner_noise_is_bounded(scale, negative):
    torch.manual_seed(0)
    boxes = middle_boxes(4000)
    noised = jitter_corners(boxes, scale, torch.full((4000, 1), negative))
    low, high = [
        moved(noised) - moved(boxes)
        for moved in (lambda box: box[:, :2] - box[:, 2:] / 2, lambda box: box[:, :2] + box[:, 2:] / 2)
    ]
    shift = torch.cat([low, high], dim=1) / boxes[:, [2, 3, 2, 3]] * 2 / scale
    assert shift.abs().min() >= negative - 1e-4 and shift.abs().max() <= negative + 1 + 1e-4
    assert shift.abs().amin(0).max() < negative + 0.02 and shift.abs().amax(0).min() > negative + 0.98
    assert (shift > 0).float().mean(0).sub(0.5).abs().max() < 0.05


def test_negatives_move_further_than_positives_of_the_same_object():
    targets = targets_of(3, 0)
    targets.boxes = middle_boxes(3)
    made = make(targets, num=3000, box_noise=1.0)
    copies = made.reference[0].view(made.blocks, 2, 3, 4)
    furthest = ((copies - targets.boxes) / targets.boxes[:, [2, 3, 2, 3]]).abs().amax((0, 2, 3))
    assert furthest[1] > 1.5 * furthest[0]


@both
def test_references_stay_inside_the_image(contrastive):
    targets = targets_of(3, 1)
    targets.boxes = torch.tensor(
        [[0.0, 0.0, 0.1, 0.1], [1.0, 1.0, 0.2, 0.2], [0.5, 0.5, 1.0, 1.0], [0.01, 0.99, 0.02, 0.02]]
    )
    made = make(targets, copies=50, contrastive=contrastive, logit_eps=1e-3)
    assert made.reference.min() >= 1e-3 and made.reference.max() <= 1 - 1e-3


@pytest.mark.parametrize('probability', [0.0, 0.25, 1.0])
def test_labels_are_drawn_anew_with_the_given_probability(probability):
    torch.manual_seed(0)
    labels = torch.randint(4, (40000,))
    noised = jitter_labels(labels, 4, probability)
    assert (noised != labels).float().mean().item() == pytest.approx(probability * 3 / 4, abs=0.01)
    assert noised.bincount(minlength=4).sub(10000).abs().max() < 500


def test_label_noise_is_drawn_for_every_copy_on_its_own():
    targets = targets_of(3, 0)
    content = make(targets, num=3000, label_noise=0.25).content[0, :, 0].view(-1, 3) - 1
    wrong = content != targets.labels
    assert wrong.float().mean().item() == pytest.approx(0.25 * (CLASSES - 1) / CLASSES, abs=0.03)
    assert content.max() < CLASSES  # the last row of the table is no class
