"""Cell-DETR: its layers against brute force, counts of the official code, and what holds whatever the weights are."""

import math
from unittest import mock

import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.config import Config
from tiny import base, batch, build, total, without_gradient
from torch import nn

from mmparts.analysis.complexity import build_on_meta
from mmparts.detr.cell_detr import backbone as cell_backbone
from mmparts.detr.cell_detr.backbone import CellBackbone, GreyPreprocessor, standardised
from mmparts.detr.cell_detr.mask_decoder import JointMasks, enlarge
from mmparts.detr.cell_detr.modulated_conv import ModulatedDeformConv
from mmparts.detr.cell_detr.pade import PadeUnit
from mmparts.detr.cell_detr.pixel_adaptive import PixelAdaptiveConv
from mmparts.detr.cell_detr.terms import AreaDiceTerm, ClassWeightTerm
from mmparts.detr.detr_masks.attention_maps import AttentionMaps, SeparateMasks
from mmparts.detr.detr_masks.encoder import LearnedPositions
from mmparts.detr.detr_masks.terms import PixelFocalTerm
from mmparts.detr.structures import ImageSizes, Matches, Memory, PredictionSet, Targets


def cell_detr(variant: str = 'a', **changes):
    """Few channels wide; the tests of counts see the real widths."""
    adaptive = variant == 'b'
    return base(
        f'cell_detr_{variant}',
        **{
            **dict(
                num_queries=6,
                backbone=dict(channels=(4, 6, 8, 8)),
                neck=dict(skip_channels=(4, 8, 8) if adaptive else (2, 4, 4)),
                head=dict(branches=dict(masks=dict(mask_decoder=dict(channels=(8, 8, 4))))),
            ),
            **changes,
        },
    )


def separate(variant: str):
    cfg = cell_detr(variant)
    cfg.head.branches.masks.mask_decoder.output = dict(type='mmparts.SeparateOutput')
    return cfg


MODELS = {'a': cell_detr, 'b': cell_detr, 'a separate': separate, 'b separate': separate}


@pytest.fixture(scope='module', params=MODELS)
def model(request):
    return build(MODELS[request.param](request.param[0]))


# Layers


def test_pade_unit_is_the_quotient_and_starts_near_a_leaky_relu():
    x = torch.linspace(-3, 3, 301)
    unit = PadeUnit()
    assert (unit(x) - F.leaky_relu(x, 0.01)).abs().max() < 0.05

    torch.manual_seed(0)
    for parameter in unit.parameters():
        nn.init.normal_(parameter)
    a, b = unit.numerator.tolist(), unit.denominator.tolist()
    assert (len(a), len(b)) == (6, 4)
    for value in (-2.5, -0.3, 0.0, 0.7, 4.0):
        over = sum(c * value**power for power, c in enumerate(a))
        under = 1 + sum(abs(c * value**power) for power, c in enumerate(b, start=1))
        assert unit(torch.tensor(value)).item() == pytest.approx(over / under, rel=1e-5, abs=1e-6)
    assert torch.autograd.gradcheck(unit.double(), torch.randn(5).double().requires_grad_())


def test_pade_unit_in_half_precision():
    assert PadeUnit()(torch.tensor([-300.0, 300.0], dtype=torch.float16)).isfinite().all()
    with torch.autocast('cpu', torch.bfloat16):
        x = torch.linspace(-3, 3, 50).bfloat16()
        assert (PadeUnit()(x).float() - F.leaky_relu(x.float(), 0.01)).abs().max() < 0.06


@pytest.mark.parametrize('size', [(5, 7), (3, 2)])
def test_pixel_adaptive_convolution_is_the_sum_over_the_window(size):
    torch.manual_seed(0)
    height, width = size
    conv = PixelAdaptiveConv(2, 3, kernel_size=5)
    values, guide = torch.randn(2, 2, *size), torch.randn(2, 4, *size)

    want = torch.zeros(2, 3, *size)
    zero = torch.zeros(4)
    for image in range(2):
        for y in range(height):
            for x in range(width):
                alike, out = 0.0, torch.zeros(3)
                for i in range(5):
                    for j in range(5):
                        row, column = y + i - 2, x + j - 2
                        inside = 0 <= row < height and 0 <= column < width
                        there = guide[image, :, row, column] if inside else zero
                        weight = math.exp(-0.5 * (guide[image, :, y, x] - there).square().sum().item())
                        alike += weight
                        if inside:
                            out = out + weight * conv.weight[:, :, i, j] @ values[image, :, row, column]
                want[image, :, y, x] = out / alike + conv.bias

    torch.testing.assert_close(conv(values, conv.alike(guide)), want, atol=1e-5, rtol=1e-4)


def test_pixel_adaptive_convolution_of_a_flat_guide_is_a_convolution():
    conv = PixelAdaptiveConv(2, 3)
    values = torch.randn(1, 2, 9, 8)
    want = F.conv2d(values, conv.weight / 25, conv.bias, padding=2)
    torch.testing.assert_close(conv(values, conv.alike(torch.zeros(1, 1, 9, 8))), want, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize('size', [(10, 14), (9, 13), (2, 1)])
def test_enlarging_is_bicubic(size):
    maps = torch.randn(2, 3, *((side + 1) // 2 for side in size), requires_grad=True)
    want = F.interpolate(maps, size=size, mode='bicubic', align_corners=False)
    found, weights = enlarge(maps, size), torch.randn(size)
    torch.testing.assert_close(found, want, atol=1e-5, rtol=1e-5)
    slopes = [torch.autograd.grad((out * weights).sum(), maps)[0] for out in (found, want)]
    torch.testing.assert_close(*slopes, atol=1e-5, rtol=1e-5)


def test_deformable_convolution_starts_as_half_a_convolution_and_learns_to_move():
    torch.manual_seed(0)
    conv = ModulatedDeformConv(3, 4, 3, padding=1)
    x = torch.randn(2, 3, 6, 9)
    torch.testing.assert_close(conv(x), F.conv2d(x, conv.weight / 2, conv.bias, padding=1), atol=1e-5, rtol=1e-4)

    with torch.no_grad():  # every tap one pixel to the right (offsets are y, x in turn), factors one
        conv.offset_mask.bias[1:18:2] = 1.0
        conv.offset_mask.bias[18:] = 100.0
    moved = F.pad(x, (0, 1))[..., 1:]
    want = F.conv2d(F.pad(x, (1, 2, 1, 1))[..., 1:], conv.weight, conv.bias)
    assert moved.shape == x.shape
    torch.testing.assert_close(conv(x), want, atol=1e-4, rtol=1e-4)


# The parts


@pytest.mark.parametrize(('variant', 'joint', 'alone'), [('a', 3_986_191, 3_225_158), ('b', 5_346_036, 4_455_451)])
def test_parameter_counts(variant, joint, alone):
    """Those of the official code with 2 classes, with masks by softmax and by sigmoid."""
    cfg = Config.fromfile(tiny.CONFIGS / 'cell_detr' / f'cell-detr_{variant}_1xb10-200e_yeast.py')
    assert sum(each.numel() for each in build_on_meta(cfg).parameters()) == joint
    cfg.model.head.branches.masks.mask_decoder.output = dict(type='mmparts.SeparateOutput')
    assert sum(each.numel() for each in build_on_meta(cfg).parameters()) == alone


def test_parameter_counts_of_the_parts():
    model = build_on_meta(Config.fromfile(tiny.CONFIGS / 'cell_detr' / 'cell-detr_a_1xb10-200e_yeast.py'))

    def count(*parts) -> int:
        return sum(each.numel() for part in parts for each in part.parameters())

    encoder, decoder, head = model.encoder, model.decoder, model.head
    assert count(model.backbone) == 1_781_324
    assert count(model.neck.level) == 32_896
    assert count(encoder.layers, decoder) == 1_124_224
    assert count(encoder.positional_encoding, model.queries) == 7_936
    assert count(head.class_branches) == 8_451 and count(head.box_branches) == 9_364
    assert count(head.mask_branch.attention) == 33_024
    assert count(head.mask_branch.mask_decoder, model.neck.skips) == 988_972


def test_positions_tell_rows_from_columns():
    positions = LearnedPositions(3, size=9)
    grid = positions(None, input=torch.zeros(2, 1, 4, 7))
    assert grid.shape == (2, 6, 4, 7)
    for y, x in ((0, 0), (3, 6), (2, 1)):
        assert grid[1, :, y, x].tolist() == [*positions.columns[x].tolist(), *positions.rows[y].tolist()]
    with pytest.raises(ValueError, match='size=10'):
        positions(None, input=torch.zeros(1, 1, 4, 10))


@pytest.mark.parametrize('as_published', [False, True])
def test_attention_is_one_softmax_over_heads_and_places(as_published):
    torch.manual_seed(0)
    attention = AttentionMaps(8, num_heads=2, relative=not as_published, multiply=as_published)
    state, tokens = torch.randn(1, 3, 8), torch.randn(1, 6, 8)
    keep = torch.tensor([[True, True, False] * 2])
    memory = Memory(tokens, tokens, keep, ((2, 3),), torch.ones(1, 1, 2))

    query, key = attention.query(state)[0], tokens[0] @ attention.key.weight[:, :, 0, 0].T + attention.key.bias
    want = torch.zeros(3, 2, 6)
    for head in range(2):
        products = query[:, 4 * head : 4 * head + 4] @ key[:, 4 * head : 4 * head + 4].T
        want[:, head] = (products * 2 if as_published else products / 2).masked_fill(~keep, -math.inf)
    want = want.flatten(1).softmax(1).view(3, 2, 2, 3)
    if not as_published:
        want = want * 8  # two heads, four places
    torch.testing.assert_close(attention(state, memory)[0], want, atol=1e-6, rtol=1e-5)


def test_attention_tells_queries_apart_on_maps_of_any_size():
    """Of order one, as the features beside it: chances of one in a thousand places left all masks the same."""
    torch.manual_seed(0)
    attention = AttentionMaps(64, num_heads=4, relative=True)
    state = torch.randn(1, 9, 64)
    for side in (4, 32):
        tokens = torch.randn(1, side * side, 64)
        everything = torch.ones(1, side * side, dtype=torch.bool)
        maps = [
            attention(state, Memory(tokens, tokens, keep, ((side, side),), torch.ones(1, 1, 2)))
            for keep in (None, everything)
        ]
        assert maps[0].equal(maps[1])
        torch.testing.assert_close(maps[0].mean((2, 3, 4)), torch.ones(1, 9))
        assert 0.1 < maps[0].std(1).mean() < 1


def test_statistics_of_training_only_as_published():
    def norms(published: bool):
        masks = dict(mask_decoder=dict(channels=(8, 8, 4)), as_published=published)
        head = build(cell_detr(head=dict(branches=dict(masks=masks)))).head
        return [module for module in head.modules() if isinstance(module, nn.InstanceNorm2d)]

    assert all(norm.track_running_stats for norm in norms(True)) and norms(True)
    assert not any(norm.track_running_stats for norm in norms(False))


def test_backbone_strides_also_of_odd_sizes():
    backbone = CellBackbone(channels=(4, 4, 4, 4))
    for height, width in ((32, 48), (33, 50)):
        outputs = backbone(torch.randn(2, 1, height, width))
        assert backbone.strides == (2, 4, 8, 16)
        want = [(math.ceil(height / stride), math.ceil(width / stride)) for stride in backbone.strides]
        assert [out.shape[-2:] for out in outputs] == want


def test_pictures_are_standardised_each_on_its_own():
    grey = standardised(torch.randint(256, (3, 8, 9), dtype=torch.uint8))
    assert grey.shape == (1, 8, 9) and abs(grey.mean()) < 1e-5 and abs(grey.std() - 1) < 1e-4
    assert standardised(torch.zeros(3, 4, 4)).abs().max() == 0


def test_pictures_cross_to_the_device_as_they_are():
    """As bytes, and the means are taken there."""
    inputs = [torch.randint(256, (3, *size), dtype=torch.uint8) for size in ((8, 9), (20, 17))]
    preprocessor = GreyPreprocessor()
    found = preprocessor(dict(inputs=inputs))['inputs']
    assert found.shape == (2, 1, 32, 32) and found[0, :, :8, :9].equal(standardised(inputs[0]))
    with mock.patch.object(cell_backbone, 'standardised', wraps=standardised) as seen:
        preprocessor.to('meta')(dict(inputs=inputs))
    assert [(call.args[0].device.type, call.args[0].dtype) for call in seen.call_args_list] == 2 * [
        ('meta', torch.uint8)
    ]


# Losses


def prediction(found: torch.Tensor, logits: torch.Tensor, targets: Targets) -> PredictionSet:
    """Queries 0, 1 ... of the first image are matched with its objects; ``found`` are their chances."""

    class Given:
        def matched(self, matches, layer, targets):
            return [(found, targets.masks[0].float()), (found[:0], targets.masks[1][:0].float())]

    return tiny.prediction_set(logits, torch.rand(1, 2, logits.shape[2], 4), targets, masks=Given())


def test_losses_are_those_of_the_paper():
    torch.manual_seed(0)
    targets = Targets.from_samples(tiny.samples(sizes=((64, 96), (64, 96)), counts=(2, 0), num_classes=2))
    found, logits = torch.rand(2, 64, 96), torch.randn(1, 2, 3, 3)
    index = torch.arange(2)
    matches = Matches(index * 0, index * 0, index, index)
    each, truth = prediction(found, logits, targets), targets.masks[0].float()

    dice = 1 - (2 * (found * truth).sum() + 1) / (found.sum() + truth.sum() + 1)
    assert AreaDiceTerm()(each, matches, 2).item() == pytest.approx(dice.item() / 2, rel=1e-5)

    chance = torch.where(truth > 0, found, 1 - found)
    focal = torch.where(truth > 0, 0.25, 0.75) * (1 - chance) ** 2 * -chance.log()
    assert PixelFocalTerm()(each, matches, 2).item() == pytest.approx(focal.mean().item(), rel=1e-3)

    labels = torch.tensor([[*targets.labels.tolist(), 2], [2, 2, 2]])
    weights = torch.tensor([0.5, 1.5, 0.25])[labels]
    want = (F.cross_entropy(logits.flatten(0, 2), labels.flatten(), reduction='none') * weights.flatten()).mean()
    term = ClassWeightTerm(class_weights=[0.5, 1.5], no_object_weight=0.25)
    assert term(each, matches, 2).item() == pytest.approx(want.item(), rel=1e-5)
    with pytest.raises(ValueError, match='for 1 classes, the head has 2'):
        ClassWeightTerm(class_weights=[1.0])(each, matches, 2)


# The whole


@pytest.mark.parametrize('counts', [(3, 0), (0, 0), (9, 1)], ids=['one empty', 'no objects', 'more than queries'])
def test_every_parameter_gets_a_gradient(model, counts):
    model.train().zero_grad()
    losses = model(**batch(model, counts=counts), mode='loss')
    total(losses).backward()
    assert set(losses) == {f'loss_{kind}' for kind in ('cls', 'bbox', 'iou', 'dice', 'mask')}
    assert all(value.isfinite() for value in losses.values()), losses
    assert not without_gradient(model)
    if counts == (0, 0):
        assert all(losses[f'loss_{kind}'] == 0 for kind in ('bbox', 'iou', 'dice', 'mask'))


def test_trains_in_bfloat16(model):
    model.train().zero_grad()
    data = batch(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model(**data, mode='loss')
        total(losses).backward()
    assert all(value.isfinite() for value in losses.values()) and not without_gradient(model)


def test_masks_of_the_original_size(model):
    """Unequal sizes, none of them square or a multiple of 16."""
    model.eval()
    data = batch(model, sizes=((50, 90), (84, 37)))
    with torch.no_grad():
        results = model(**data, mode='predict')
    for sample in results:
        found = sample.pred_instances
        assert found.masks.dtype == torch.bool and found.masks.shape[1:] == sample.ori_shape
        assert len(found.masks) == len(found.bboxes) == len(found.scores) == len(found.labels) == 6 * 2
        assert (found.scores.diff() <= 0).all() and found.labels.max() < 2


def test_joint_masks_give_every_pixel_to_one_query():
    torch.manual_seed(0)
    maps = torch.randn(2, 5, 4, 6)
    masks = JointMasks(torch.zeros(1, 2, 5, 1, 1, 1), [], ImageSizes((4, 6), 2 * ((4, 6),)), lambda *_: maps)
    image, query = torch.arange(2).repeat_interleave(5), torch.arange(5).repeat(2)
    owner = F.one_hot(maps.argmax(1), 5).permute(0, 3, 1, 2).bool()
    assert ((masks.logits(image, query) > 0).view_as(maps) == owner).all()
    torch.testing.assert_close(masks.chances(image, query).view_as(maps).sum(1), torch.ones(2, 4, 6))


@pytest.mark.parametrize('variant', 'ab')
def test_separate_masks_are_the_same_alone_and_together(variant):
    model = build(separate(variant)).eval()
    data = batch(model)
    with torch.no_grad():
        masks = model(**data, mode='tensor')['masks']
        image, query = torch.arange(2).repeat_interleave(6), torch.arange(6).repeat(2)
        together, alone = masks.logits(image, query), masks.logits(image[[8, 3]], query[[8, 3]])
    assert isinstance(masks, SeparateMasks) and together.std() > 0
    torch.testing.assert_close(alone, together[[8, 3]], atol=1e-5, rtol=1e-4)


def test_extra_queries_are_refused():
    head = build(cell_detr()).head
    with pytest.raises(ValueError, match='built for 6 queries and got 9'):
        head([torch.zeros(1, 9, 32)], [None], memory=None)


@pytest.mark.parametrize('output', [{}, dict(type='mmparts.SeparateOutput', mid_channels=4)], ids=['joint', 'separate'])
def test_learns_one_picture(output):
    """A small model overfits two ellipses: masks overlap them."""
    cfg = cell_detr(num_classes=2, backbone=dict(channels=(8, 16, 16, 16)))
    cfg.head.branches.masks.mask_decoder.output.update(output)
    torch.manual_seed(0)
    model = build(cfg).train()
    data = batch(model, sizes=((48, 64),), counts=(2,))
    optimizer = torch.optim.AdamW(model.parameters(), lr=5e-3)
    for _ in range(80):
        optimizer.zero_grad()
        total(model(**data, mode='loss')).backward()
        optimizer.step()

    with torch.no_grad():
        found = model.eval()(**data, mode='predict')[0].pred_instances
    truth = data['data_samples'][0].gt_instances.masks.to_tensor(torch.bool, 'cpu')
    large = F.interpolate(truth[None].float(), size=found.masks.shape[1:])[0].bool()
    overlap = (found.masks[:, None] & large).flatten(2).sum(2) / (found.masks[:, None] | large).flatten(2).sum(2)
    assert overlap.max(0).values.min() > 0.7
