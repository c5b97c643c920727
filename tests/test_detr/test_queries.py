"""Query sources: which tokens become queries, and what they are trained on."""

import pytest
import torch
from tiny import samples

from mmparts.detr.boxes import sine_yxwh
from mmparts.detr.decoder import BoxPosition
from mmparts.detr.queries import LearnedQueries, PointQueries, TopKQueries
from mmparts.detr.structures import Memory, Targets

DIMS = 8
SHAPES = ((4, 6), (2, 3))  # 30 tokens
two_stage = pytest.mark.parametrize(
    'kwargs',
    [dict(), dict(mixed_selection=True), dict(mixed_selection=True, embed_boxes=False, class_agnostic=False)],
    ids=['two-stage', 'mixed', 'dino'],
)


def memory(padded: bool = False, shapes=SHAPES) -> Memory:
    """Random tokens; with padding, the second image fills the left half."""
    torch.manual_seed(0)
    feats = [torch.randn(2, DIMS, h, w) for h, w in shapes]
    keeps = None
    if padded:
        keeps = [torch.ones(2, h, w, dtype=torch.bool) for h, w in shapes]
        for keep in keeps:
            keep[1, :, keep.shape[2] // 2 :] = False
    return Memory.from_levels(feats, feats, keeps)


def top_k(seed: int = 0, **kwargs) -> TopKQueries:
    torch.manual_seed(seed)
    part = TopKQueries(embed_dims=DIMS, **{'num_classes': 5, 'num_queries': 7, **kwargs})
    for parameter in part.box_branch.parameters():
        torch.nn.init.normal_(parameter, std=0.1)
    return part


def test_learned_queries_are_positions_without_reference():
    part = LearnedQueries(num_queries=7, embed_dims=DIMS)
    group, proposals = part(memory(), None)
    assert not group.content.any() and group.reference is None and proposals is None
    assert group.pos[1].equal(part.pos.weight)


def test_point_queries_read_a_point_from_their_position():
    part = PointQueries(num_queries=7, embed_dims=DIMS)
    group, _ = part(memory(), None)
    assert group.reference.shape == (2, 7, 2)
    assert group.reference[0].equal(part.point(part.pos.weight).sigmoid())
    group.reference.sum().backward()  # trained through every layer that starts from it
    assert part.point.weight.grad.any() and part.pos.weight.grad.any()


@two_stage
@pytest.mark.parametrize('padded', [False, True])
def test_the_best_tokens_are_taken_best_first(kwargs, padded):
    part = top_k(**kwargs).eval()
    tokens = memory(padded)
    group, proposals = part(tokens, None)
    assert group.content.shape == (2, 7, DIMS) and group.reference.shape == (2, 7, 4)

    usable = tokens.keep[..., None] if padded else torch.ones(2, 30, 1, dtype=torch.bool)
    logits = part.class_branch(part.output_norm(part.output(tokens.tokens)))
    scores = (logits[..., :1] if part.class_agnostic else logits.amax(-1, keepdim=True)).masked_fill(~usable, -1e9)
    best = scores.squeeze(-1).topk(7, dim=1).indices
    for image in range(2):
        assert proposals.logits[image].allclose(logits[image, best[image]], atol=1e-6)
    assert group.reference.equal(proposals.boxes)


@two_stage
def test_queries_are_cut_from_the_proposals(kwargs):
    group, proposals = top_k(**kwargs).train()(memory(), None)
    assert not group.reference.requires_grad
    assert proposals.boxes.requires_grad and proposals.logits.requires_grad
    assert group.content.requires_grad
    assert (group.pos is None) == (kwargs.get('embed_boxes') is False)


def test_all_tokens_are_trained_where_they_only_tell_objects_from_background():
    targets = Targets.from_samples(samples(num_classes=5))
    for part, tokens, labels in ((top_k(), 30, {0}), (top_k(class_agnostic=False), 7, set(targets.labels.tolist()))):
        _, proposals = part.train()(memory(), None)
        trained = proposals.as_set(targets)
        assert trained.group.name == 'enc' and trained.logits.shape == (1, 2, tokens, 5)
        assert set(trained.targets.labels.tolist()) == labels
        _, proposals = part.eval()(memory(), None)
        assert proposals.logits.shape == (2, 7, 5)


@two_stage
def test_more_queries_than_tokens(kwargs):
    group, _ = top_k(num_queries=100, **kwargs)(memory(padded=True), None)
    assert group.content.shape == (2, 30, DIMS) and group.reference.shape == (2, 30, 4)
    assert group.content.isfinite().all() and group.reference.isfinite().all()


def test_priors_grow_with_the_level_and_stand_at_the_tokens():
    part = top_k(num_queries=30)
    for parameter in part.box_branch.parameters():
        torch.nn.init.zeros_(parameter)
    tokens = memory()
    group, _ = part(tokens, None)
    found = sorted(map(tuple, group.reference[0].tolist()))
    sizes = torch.tensor([0.05] * 24 + [0.1] * 6)[:, None].expand(-1, 2)
    expected = sorted(map(tuple, torch.cat([tokens.centres[0], sizes], dim=1).tolist()))
    assert torch.tensor(found).allclose(torch.tensor(expected), atol=1e-5)


def shy(select_padding: bool) -> TopKQueries:
    """Finds every real token unlikely; a zeroed one (padding) scores the bias, 0."""
    part = top_k(select_padding=select_padding)
    sign = torch.tensor([1.0, -1.0] * (DIMS // 2))
    part.output.weight.data = torch.eye(DIMS)
    part.class_branch.weight.data[:] = -sign
    for bias in (part.output.bias, part.class_branch.bias):
        torch.nn.init.zeros_(bias)
    return part


@pytest.mark.parametrize('select_padding', [False, True])
def test_padding_competes_only_on_request(select_padding):
    tokens = memory(padded=True)
    tokens.tokens = (torch.rand(2, 30, 1) + 1) * torch.tensor([1.0, -1.0] * (DIMS // 2))
    group, _ = shy(select_padding)(tokens, None)
    unusable = (group.reference == 1).all(-1)  # sigmoid of infinity
    assert not unusable[0].any()
    assert unusable[1].all() == unusable[1].any() == select_padding


def test_padding_comes_last_when_there_is_nothing_else():
    tokens = memory(padded=True)
    group, _ = top_k(num_queries=30)(tokens, None)
    real = int(tokens.keep[1].sum())
    unusable = (group.reference[1] == 1).all(-1)
    assert not unusable[:real].any() and unusable[real:].all()


def test_tokens_at_the_very_border_come_last():
    tokens = memory(shapes=((2, 60),))  # centres of the first and last column lie within 1% of the border
    group, _ = top_k(num_queries=120)(tokens, None)
    unusable = (group.reference == 1).all(-1)
    assert unusable.sum(1).tolist() == [4, 4] and unusable[:, -4:].all()


def test_queries_need_content():
    with pytest.raises(ValueError, match='mixed_selection=True.*embed_boxes=True'):
        TopKQueries(mixed_selection=False, embed_boxes=False)


def test_positions_of_boxes_are_scaled_by_content_but_in_the_first_layer():
    """Measured in the padded map of the finest level; DAB-Deformable-DETR's scale."""
    part, content, boxes = BoxPosition(8, scale_positions=True), torch.randn(2, 5, 8), torch.rand(2, 5, 4)
    whole = memory(padded=True)
    ratios = whole.valid_ratios[:, :1].repeat(1, 1, 2)
    plain = part.net(sine_yxwh(boxes * ratios, 8))
    assert not torch.allclose(plain, part.net(sine_yxwh(boxes, 8)))
    assert part(boxes, whole, content, 0).equal(plain)
    for layer in (1, 2):
        assert part(boxes, whole, content, layer).equal(plain * part.scale(content))
