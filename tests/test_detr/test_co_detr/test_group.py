"""Co-DETR: what each head takes for objects, which of it becomes queries, and that the matching queries stay alone."""

import math

import loops
import pytest
import torch
from mmdet.models.losses import QualityFocalLoss
from mmdet.models.task_modules.assigners import ATSSAssigner
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from mmengine.config import Config
from mmengine.structures import InstanceData
from tiny import CONFIGS, base, batch, build, prediction_set, samples, total, without_gradient

from mmparts.detr.co_detr.collaborators import BACKGROUND, IGNORED, Places
from mmparts.detr.co_detr.group import Collaborative
from mmparts.detr.groups import isolated
from mmparts.detr.selection import SoftNMSSelection
from mmparts.detr.structures import Matches, QueryGroup, Targets
from mmparts.detr.terms import QualityFocalTerm
from mmparts.registry import MODELS

CO = ['co_deformable_detr_r50', 'co_dino_r50']
STRIDES = [8, 16, 32, 64, 128]
HEADS = Config.fromfile(CONFIGS / '_base_' / 'models' / 'co_heads.py')
every = pytest.mark.parametrize('name', CO)


def collaborator(kind: str, **kwargs):
    torch.manual_seed(0)
    return MODELS.build(dict(HEADS[kind], embed_dims=32, num_classes=80, strides=STRIDES, **kwargs))


def maps_and_targets(counts=(3, 0), sizes=((128, 192), (160, 128))) -> tuple[list, Targets]:
    height, width = (max(side) for side in zip(*sizes))
    made = samples(sizes, counts)
    for sample in made:
        sample.set_metainfo(dict(batch_input_shape=(height, width), pad_shape=sample.img_shape))
    torch.manual_seed(1)
    maps = [torch.randn(len(sizes), 32, -(-height // stride), -(-width // stride)) for stride in STRIDES]
    return maps, Targets.from_samples(made)


def squares(maps, strides, side) -> torch.Tensor:
    """Boxes around every place of every level, whose centres are at multiples of the stride."""
    boxes = []
    for each, stride in zip(maps, strides):
        for y in range(each.shape[-2]):
            for x in range(each.shape[-1]):
                boxes.append(
                    [
                        x * stride - side(stride) / 2,
                        y * stride - side(stride) / 2,
                        x * stride + side(stride) / 2,
                        y * stride + side(stride) / 2,
                    ]
                )
    return torch.tensor(boxes)


class TestPlaces:
    """What a head took for what, against its rule written out or the assigner called by hand."""

    def test_atss(self):
        maps, targets = maps_and_targets()
        _, found = collaborator('atss')(maps, targets)
        anchors = squares(maps, STRIDES, lambda stride: 8 * stride)
        for image, places in enumerate(found):
            sample = targets.samples[image]
            assert places.boxes.equal(anchors)
            height, width = sample.img_shape  # anchors on padding do not take part: their cells begin outside
            levels = [len(each[0, 0].flatten()) for each in maps]
            stride = torch.tensor(STRIDES).repeat_interleave(torch.tensor(levels))
            middle = (anchors[:, :2] + anchors[:, 2:]) / 2
            x, y = middle.T
            valid = (x < (width / stride).ceil() * stride) & (y < (height / stride).ceil() * stride)
            given = [int(part.sum()) for part in valid.split(levels)]
            result = ATSSAssigner(topk=9).assign(InstanceData(priors=anchors[valid]), given, sample.gt_instances)
            assert places.target[valid].equal(result.gt_inds - 1)
            assert (places.target[~valid] == IGNORED).all() and (~valid).any()
            assert (places.target >= 0).any() == (targets.counts[image] > 0)

    def test_retina(self):
        maps, targets = maps_and_targets(sizes=((128, 192), (128, 192)))
        _, found = collaborator('retina')(maps, targets)
        for image, places in enumerate(found):
            gt = targets.samples[image].gt_instances.bboxes
            overlaps = torch.tensor([[loops.iou(place, box) for box in gt.tolist()] for place in places.boxes.tolist()])
            if not len(gt):
                assert (places.target == BACKGROUND).all()
                continue
            best, expected = overlaps.max(1)
            expected[best < 0.5] = IGNORED
            expected[best < 0.4] = BACKGROUND
            for column in range(len(gt)):  # an object that no anchor fits takes those that fit best
                expected[(overlaps[:, column] - overlaps[:, column].max()).abs() < 1e-6] = column
            assert (places.target == expected).float().mean() > 0.9995  # ties, rounded otherwise
            assert len(places.boxes) == 9 * len(places.features)

    def test_fcos(self):
        maps, targets = maps_and_targets()
        part = collaborator('fcos')
        _, found = part(maps, targets)
        for image, places in enumerate(found):
            gt = targets.samples[image].gt_instances.bboxes.tolist()
            height, width = targets.samples[image].img_shape
            middles, sides = bbox_xyxy_to_cxcywh(places.boxes).split(2, 1)
            for (x, y), side, target in zip(middles.tolist(), sides[:, 0].tolist(), places.target.tolist()):
                stride = side / 8
                low, high = part.head.regress_ranges[STRIDES.index(int(stride))]
                fits = {}
                for number, (left, top, right, bottom) in enumerate(gt):
                    cx, cy = (left + right) / 2, (top + bottom) / 2
                    near = abs(x - cx) < 1.5 * stride and abs(y - cy) < 1.5 * stride
                    reach = max(x - left, y - top, right - x, bottom - y)
                    if near and left < x < right and top < y < bottom and low <= reach <= high:
                        fits[(right - left) * (bottom - top)] = number
                outside = IGNORED if x >= width or y >= height else BACKGROUND
                assert target == (fits[min(fits)] if fits else outside)

    def test_rcnn(self):
        maps, targets = maps_and_targets(counts=(3, 2))
        part = collaborator('rcnn')
        part.init_weights()
        _, found = part(maps, targets)
        for image, places in enumerate(found):
            gt = targets.samples[image].gt_instances.bboxes.tolist()
            assert 0 < len(places.boxes) <= 512 and (places.target >= 0).sum() >= len(gt)  # objects are proposals too
            for box, target in zip(places.boxes.tolist(), places.target.tolist()):
                overlaps = [loops.iou(box, other) for other in gt]
                assert (target == overlaps.index(max(overlaps))) if target >= 0 else max(overlaps) < 0.5

    @pytest.mark.parametrize(('kind', 'share'), [('atss', 1), ('retina', 9), ('fcos', 1)])
    def test_features_are_those_of_the_cell(self, kind, share):
        maps, targets = maps_and_targets()
        _, found = collaborator(kind)(maps, targets)
        centres = [
            (level, y, x)
            for level, each in enumerate(maps)
            for y in range(each.shape[-2])
            for x in range(each.shape[-1])
        ]
        for image, places in enumerate(found):
            assert len(places.boxes) == share * len(centres)
            index = torch.randperm(len(places.boxes))[:50]
            for place, feature in zip(index.tolist(), places.features_of(index)):
                level, y, x = centres[place // share]
                assert feature.equal(maps[level][image, :, y, x])

    def test_losses_are_those_of_the_head(self):
        maps, targets = maps_and_targets()
        part = collaborator('atss')
        losses, _ = part(maps, targets)
        expected = part.head.loss(tuple(maps), targets.samples)
        assert losses.keys() == expected.keys()
        assert all(torch.stack(losses[name]).allclose(torch.stack(expected[name])) for name in losses)


def places(num_positive: int, num_background: int, num_ignored: int = 5) -> Places:
    target = torch.cat(
        [torch.arange(num_positive) % 3, torch.full((num_background,), BACKGROUND), torch.full((num_ignored,), IGNORED)]
    )
    target = target[torch.randperm(len(target))]
    boxes = torch.arange(len(target))[:, None] + torch.tensor([0.0, 0.0, 20.0, 10.0])
    return Places(boxes, target, target[:, None].float())


@pytest.mark.parametrize(
    ('positives', 'fill', 'size'),
    [
        ((3, 0), True, 9),
        ((20, 3), True, 20),
        ((500, 40), True, 300),
        ((3, 0), False, 3),
        ((0, 0), False, 0),
        ((0, 0), True, 9),
    ],
)
def test_which_places_become_queries(positives, fill, size):
    part = Collaborative([], embed_dims=32, fill=fill)
    made = [places(count, 400) for count in positives]
    targets = Targets.from_samples(samples(counts=(3, 3)))
    chosen = part._choose(made, targets)
    group = part._group('atss', chosen, Two(), targets)
    assert group.size == size
    for image, count in enumerate(positives):
        taken = min(count, 300)
        assert len(chosen[image].target) == taken and (chosen[image].target >= 0).all()
        kinds = chosen[image].features[:, 0]
        assert kinds[:taken].equal(chosen[image].target.float()) and (kinds[taken:] == BACKGROUND).all()
        assert len(kinds) == (size if fill else taken)
        height, width = targets.samples[image].img_shape
        assert chosen[image].boxes[:, 2:].allclose(torch.tensor([20 / width, 10 / height]))
        assert len(set(chosen[image].boxes[:, 0].tolist())) == len(kinds)  # none twice
        if group.filled is not None:
            assert group.filled[image].tolist() == [slot < len(kinds) for slot in range(size)]
            assert group.valid.equal(group.filled)
    image, query, target = group.known
    assert targets.image[target].equal(image)
    assert targets.slot[target].equal(torch.cat([each.target for each in chosen]))
    assert query.tolist() == [slot for count in positives for slot in range(min(count, 300))]
    assert group.divisor == max(sum(min(count, 300) for count in positives), 1)
    assert (group.filled is not None) == (not fill and len(set(positives)) > 1)


def test_a_group_is_divided_by_the_mean_over_the_processes(monkeypatch):
    """This process has 3 positives, the others so many that the mean is 8."""
    monkeypatch.setattr('mmparts.detr.co_detr.group.reduce_mean', lambda own: own * 8 / 3)
    part, targets = Collaborative([], embed_dims=32), Targets.from_samples(samples(counts=(3, 3)))
    group = part._group('rcnn', part._choose([places(2, 4), places(1, 400)], targets), Two(), targets)
    assert group.divisor == 8


class Two(torch.nn.Module):
    def forward(self, boxes, features):
        return features, None


def test_too_few_negatives_leave_slots_empty():
    part = Collaborative([], embed_dims=32)
    targets = Targets.from_samples(samples(counts=(3, 3)))
    group = part._group('rcnn', part._choose([places(2, 4), places(1, 400)], targets), Two(), targets)
    assert group.size == 9 and group.filled.sum(1).tolist() == [6, 9]


def trained(name: str, **changes):
    model = build(base(name, **changes)).train()
    return model, batch(model)


def groups_of(model, data) -> tuple:
    torch.manual_seed(0)
    memory = model.encode(data['inputs'], data['data_samples'])
    match, _ = model.queries(memory, model.head)
    targets, groups = Targets.from_samples(data['data_samples']), [match]
    for part in model.groups:
        made = part(match, memory, targets)
        groups += made if isinstance(made, list) else [made]
    return memory, groups


@every
def test_matching_queries_do_not_see_them(name):
    model, data = trained(name)
    with torch.no_grad():
        memory, groups = groups_of(model, data)
        assert [group.name for group in groups[-2:]] == ['rcnn', 'atss']
        assert all(run.keep is None for run in isolated(groups)[-2:])
        alone, together = model.decode(groups[:-2], memory), model.decode(groups, memory)
        for each in alone:
            assert together[each][:, :, : alone[each].shape[2]].allclose(alone[each], atol=5e-6)
        for group in groups[-2:]:
            group.content, group.reference = torch.randn_like(group.content), torch.rand_like(group.reference)
        after = model.decode(groups, memory)
        for each in alone:
            assert together[each][:, :, : alone[each].shape[2]].equal(after[each][:, :, : alone[each].shape[2]])


def test_empty_slots_change_nothing():
    """Neither for the queries beside them nor in the losses."""
    model, data = trained('co_dino_r50')
    with torch.no_grad():
        memory, (*_, group) = groups_of(model, data)
        padded = QueryGroup(
            'atss',
            torch.cat([group.content, torch.randn(2, 3, 32)], 1),
            torch.cat([group.reference, torch.rand(2, 3, 4)], 1),
            known=group.known,
            divisor=group.divisor,
            filled=torch.arange(group.size + 3).expand(2, -1) < group.size,
        )
        padded.valid = padded.filled
        found, expected = model.decode([padded], memory), model.decode([group], memory)
        assert all(found[each][:, :, : group.size].allclose(expected[each], atol=1e-5) for each in expected)
        targets = Targets.from_samples(data['data_samples'])
        losses = [model.head.loss(*each, None, targets) for each in ((found, [padded]), (expected, [group]))]
        assert all(losses[0][each].allclose(losses[1][each], rtol=1e-4) for each in losses[1])


@every
def test_inference_is_the_main_branch_alone(name):
    model, data = trained(name)
    model.eval()
    with torch.no_grad():
        full, found = model(**data, mode='tensor'), model(**data, mode='predict')
        model.groups = None
        assert all(full[each].equal(value) for each, value in model(**data, mode='tensor').items())
        assert found[0].pred_instances.bboxes.equal(model(**data, mode='predict')[0].pred_instances.bboxes)


@every
@pytest.mark.parametrize(
    ('counts', 'fill', 'dtype'),
    [
        ((0, 0), True, None),
        ((0, 0), False, None),
        ((3, 0), False, None),
        ((300, 2), True, None),
        ((3, 0), True, torch.bfloat16),
    ],
)
def test_any_number_of_objects(name, counts, fill, dtype):
    model = build(base(name)).train()
    model.groups[-1].fill = fill
    with torch.autocast('cpu', dtype, enabled=dtype is not None):
        losses = model(**batch(model, counts=counts), mode='loss')
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values())
    assert not without_gradient(model)


def test_heads_train_the_encoder():
    model, data = trained('co_dino_r50')
    losses = model(**data, mode='loss')
    sum(value for name, value in losses.items() if name.startswith('atss_head.loss')).backward()
    assert model.encoder.layers[0].self_attn.value_proj.weight.grad.abs().sum() > 0
    assert model.decoder.layers[0].self_attn.in_proj_weight.grad is None


def test_losses_are_weighed():
    found = []
    for weight, query_weight in ((12.0, 1.0), (6.0, 0.5)):
        model, data = trained('co_dino_r50')
        model.groups[-1].weight, model.groups[-1].query_weight = weight, query_weight
        torch.manual_seed(0)
        with torch.no_grad():
            found.append(model(**data, mode='loss'))
    halved = {name for name in found[0] if ('rcnn' in name or 'atss' in name) and not name.endswith('acc')}
    assert len(halved) == 12 + 4 + 3
    for name, value in found[0].items():
        assert (0.5 * value if name in halved else value).allclose(found[1][name], rtol=1e-5)


def test_a_wrong_stride_is_refused():
    model, data = trained('co_dino_r50')
    model.groups[-1].strides = STRIDES
    with pytest.raises(ValueError, match='finest map of .* columns: write finest_stride=4, got 8'):
        model(**data, mode='loss')


def test_heads_are_initialised_with_the_detector():
    model = build(base('co_dino_r50'))
    model.init_weights()
    head = model.groups[-1].heads[1].head
    assert head.atss_cls.bias.allclose(torch.tensor(-math.log(99)), atol=1e-4) and head.atss_reg.weight.std() < 0.02


@pytest.mark.parametrize('name', ['co_deformable_detr_r50', 'co_dino_r50'])
def test_state_dicts_go_round(name):
    first, second = (build(base(name), seed=seed) for seed in (0, 1))
    second.load_state_dict(first.state_dict())
    assert all(tensor.equal(second.state_dict()[key]) for key, tensor in first.state_dict().items())


@pytest.mark.parametrize('valid', [None, torch.tensor([[True] * 5, [True, True, True, False, False]])])
def test_quality_focal_term_is_mmdets(valid):
    torch.manual_seed(0)
    targets = Targets(torch.tensor([2, 0, 1]), torch.rand(3, 4) * 0.3 + 0.2, [2, 1], ['a', 'b'])
    logits, boxes = torch.randn(2, 2, 5, 3), torch.rand(2, 2, 5, 4) * 0.3 + 0.2
    boxes[0, 0, 1] = targets.boxes[0] + 0.02
    matches = Matches(*torch.tensor([[0, 0, 0, 1, 1], [0, 0, 1, 0, 1], [1, 4, 0, 3, 2], [0, 1, 2, 1, 2]]))
    found = QualityFocalTerm(weight=1.5)(prediction_set(logits, boxes, targets, valid=valid), matches, 3.0)

    for layer in range(2):
        labels, quality = torch.full((2, 5), 3), torch.zeros(2, 5)
        for one, image, query, target in zip(*(part.tolist() for part in (*matches.where, matches.target))):
            if one == layer:
                labels[image, query] = targets.labels[target]
                quality[image, query] = loops.iou(
                    *(bbox_cxcywh_to_xyxy(box).tolist() for box in (boxes[layer, image, query], targets.boxes[target]))
                )
        weight = torch.ones(10) if valid is None else valid.flatten().float()
        expected = QualityFocalLoss(use_sigmoid=True, beta=2.0, loss_weight=1.5)(
            logits[layer].flatten(0, 1), (labels.flatten(), quality.flatten()), weight=weight, avg_factor=3.0
        )
        assert found[layer].allclose(expected, rtol=1e-4)


def test_soft_nms_lowers_doubles_of_one_class():
    torch.manual_seed(0)
    boxes = torch.tensor([0.4, 0.4, 0.5, 0.5]) + 0.05 * torch.rand(12, 4)
    logits = torch.randn(12, 2)
    scores, labels, kept = SoftNMSSelection(num=20, iou_threshold=0.8)(logits, boxes)

    expected, top = [], logits.sigmoid().flatten().topk(20).indices.tolist()
    for label in range(2):
        own = [index // 2 for index in top if index % 2 == label]
        corners = bbox_cxcywh_to_xyxy(boxes[own]).tolist()
        expected += [
            (score, label, own[place])
            for place, score in loops.soft_nms(
                corners, logits.sigmoid()[own, label].tolist(), lambda iou: 1 - iou if iou >= 0.8 else 1.0, 1e-3, 0
            )
        ]
    expected.sort(reverse=True)
    assert [label for _, label, _ in expected] == labels.tolist()
    assert scores.allclose(torch.tensor([score for score, _, _ in expected]), atol=1e-5)
    assert kept.tolist() == [query for _, _, query in expected]
