"""GT U-Net: counts, groups as squares and as raw memory, attention by loops, the outline's descriptor."""

import math

import cv2
import numpy as np
import pytest
import torch
import torch.nn.functional as F
from segmentors import build, converts, count, official_names, on_meta, trains

from mmparts.segment.gt_unet.block import GroupAttention, MemoryGroups, SquareGroups
from mmparts.segment.gt_unet.fourier import FourierTerm, descriptor, distance
from mmparts.segment.gt_unet.weights import GTUNetLayout
from mmparts.segment.structures import Target

GROUP, PLAIN = dict(type='mmparts.GroupTransformer'), dict(type='mmparts.DoubleConv', bias=True)


def level(block):
    return dict(type='mmparts.ConcatLevel', up=dict(type='mmparts.NearestUp', bias=True), block=block)


def gt_unet(in_channels=3, num_classes=1, channels=(64, 128, 256, 512, 1024), tiny=False, **block):
    group = dict(GROUP, **block)
    late = dict(block_after=group, after=2) if tiny else {}
    return dict(
        type='mmparts.Segmentor',
        in_channels=in_channels,
        num_classes=num_classes,
        encoder=dict(type='mmparts.ConvEncoder', channels=channels, block=PLAIN if tiny else group, **late),
        decoder=dict(type='mmparts.UpDecoder', level=[level(group)] * 2 + [level(PLAIN)] * 2 if tiny else level(group)),
        head=dict(type='mmparts.RegionHead', regions={f'class {i}': (i + 1,) for i in range(num_classes)}),
        terms=[dict(type='mmparts.FourierTerm')],
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=64),
    )


def test_counts():
    assert count(gt_unet()) == 26_216_289
    assert count(gt_unet(1, 2)) == 26_214_914
    assert count(gt_unet(tiny=True)) == 26_373_249


@pytest.mark.parametrize('mode', ['window', 'reshape'])
def test_trains(mode):
    model = build(gt_unet(channels=(16, 16, 32, 32, 32), group_mode=mode))
    trains(model, [(64, 100), (50, 64)], num_classes=2)
    with pytest.raises(ValueError, match='image 96x64 is not a multiple of 64, .* pad to 128x64'):
        model(torch.randn(1, 3, 96, 64))


def test_groups_are_squares_of_neighbours():
    image = torch.arange(2 * 3 * 96.0).view(2, 3, 8, 12)
    groups = SquareGroups.split(image, 4)
    assert groups[1].equal(image[0, :, :4, 4:8]) and groups[3].equal(image[0, :, 4:, :4])
    assert groups[6].equal(image[1, :, :4, :4])
    assert SquareGroups.merge(groups, 2, (8, 12)).equal(image)
    groups = MemoryGroups.split(image, 4)
    assert groups[0, 0].equal(torch.arange(16.0).view(4, 4))  # a row of the image and a third
    assert MemoryGroups.merge(groups, 2, (8, 12)).equal(image)


def test_nothing_passes_between_groups_but_by_the_shortcut():
    block = build(dict(GROUP, in_channels=16, out_channels=16)).eval()  # a shortcut without convolution
    x = torch.randn(1, 16, 8, 8, requires_grad=True)
    block(x)[0, :, :4, :4].square().sum().backward()
    reached = x.grad[0].abs().sum(0) > 0
    assert reached[:4, :4].all() and not reached[4:].any() and not reached[:, 4:].any()


def test_attention_by_loops():
    attention = GroupAttention(8, num_heads=2)
    bias = attention.bias
    x = torch.randn(3, 8, 4, 4)
    got = attention(x)
    for head in range(2):
        q, k, v = (
            torch.einsum('gchw,dc->ghwd', x, each.weight[4 * head : 4 * head + 4])
            for each in (attention.query, attention.key, attention.value)
        )
        for row, column in ((0, 3), (2, 1)):
            query = q[:, row, column] / math.sqrt(4)
            logits = torch.stack(
                [
                    (query * (k[:, i, j] + bias.rows[i - row + 3] + bias.columns[j - column + 3])).sum(-1)
                    for i in range(4)
                    for j in range(4)
                ],
                dim=1,
            )
            out = torch.einsum('gp,gpd->gd', logits.softmax(1), v.flatten(1, 2))
            assert torch.allclose(got[:, 4 * head : 4 * head + 4, row, column], out, atol=1e-5)


def blob(size=96, shift=(0, 0), scale=1.0, turns=0):
    """A lopsided shape."""
    angles = np.linspace(0, 2 * np.pi, 400, endpoint=False)
    radius = scale * (18 + 5 * np.cos(2 * angles) + 3 * np.sin(3 * angles))
    points = np.stack([radius * np.cos(angles), radius * np.sin(angles)], 1) + size / 2 + np.array(shift)
    mask = np.zeros((size, size), np.uint8)
    cv2.fillPoly(mask, [points.round().astype(np.int32)], 1)
    return np.ascontiguousarray(np.rot90(mask, turns))


@pytest.mark.parametrize('normaliser', ['z0', 'z1'])
def test_shape_not_place_size_or_turn_counts(normaliser):
    base = blob()
    rectangle = np.zeros_like(base)
    rectangle[20:70, 40:52] = 1
    far = distance(base, rectangle, normaliser)
    assert distance(base, blob(shift=(9, -7)), normaliser) < 1e-6
    assert distance(base, blob(turns=1), normaliser) < 1e-2 < far
    assert distance(base, blob(scale=1.6), normaliser) < 0.1 * far


def test_descriptor_by_hand():
    mask = np.zeros((9, 9), np.uint8)
    mask[2:6, 3:7] = 1
    outline = cv2.findContours(mask, cv2.RETR_EXTERNAL, cv2.CHAIN_APPROX_NONE)[0][0][:, 0]
    points = [complex(x - 3, y - 2) for x, y in outline.tolist()]
    total = len(points)
    sums = [
        abs(
            sum(
                p * complex(math.cos(a), math.sin(a))
                for p, a in ((p, -2 * math.pi * i * n / total) for n, p in enumerate(points))
            )
        )
        for i in range(6)
    ]
    assert np.allclose(descriptor(mask), [each / sums[0] for each in sums[1:]])
    mask[8, 0] = 1  # a smaller outline beside it changes nothing
    assert np.allclose(descriptor(mask), [each / sums[0] for each in sums[1:]])


def test_what_cannot_be_compared_differs_by_1():
    empty, point = np.zeros((9, 9), np.uint8), np.zeros((9, 9), np.uint8)
    point[4, 4] = 1
    assert distance(empty, blob()) == distance(blob(), empty) == distance(point, blob()) == 1


def test_the_factor_scales_cross_entropy_and_has_no_gradient():
    truth = torch.from_numpy(blob()).long()[None, None]
    logits = torch.randn(1, 1, 96, 96, requires_grad=True)
    term = FourierTerm(beta=2.0)
    loss = term(logits, Target(truth, regions=True), {})
    entropy = F.binary_cross_entropy_with_logits(logits, truth.float())
    factor = 1 / (1 + math.exp(-2 * distance((logits[0, 0] > 0).numpy().astype(np.uint8), blob())))
    assert 0.5 <= factor < 1 and torch.allclose(loss, factor * entropy)
    ours, plain = (torch.autograd.grad(each, logits, retain_graph=True)[0] for each in (loss, entropy))
    assert torch.allclose(ours, factor * plain)
    perfect = term(20 * truth.float() - 10, Target(truth, regions=True), {})
    assert torch.allclose(perfect, 0.5 * F.binary_cross_entropy_with_logits(20 * truth.float() - 10, truth.float()))


def test_official_names():
    assert len(official_names(GTUNetLayout, on_meta(gt_unet()))) == 309
    model = build(gt_unet(channels=(16, 32, 64, 128, 256)))
    names = official_names(GTUNetLayout, model)
    width = {f'Conv{i + 1}': 2**i for i in range(5)} | {f'Up_conv{i + 1}': 2 ** (i - 1) for i in range(1, 5)}
    stored = {name: (4 * width[name.split('.')[0]], 4, width[name.split('.')[0]]) for name in names if '_proj' in name}
    state, ours = converts(GTUNetLayout, model, stored)
    query = ours['encoder.levels.2.within.1.query.weight']
    assert query[6].equal(state['Conv3.0.mhsa.q_proj.w'][:, 1, 2])  # channel 2 of head 1
    assert GTUNetLayout.matches(set(state))
    assert ours['decoder.levels.3.up.conv.bn.weight'].equal(state['Up2.up.2.weight'])
    assert ours['encoder.levels.1.within.1.bias.rows'].equal(state['Conv2.0.mhsa.self_attention.rel_emb_h'])
