"""U-Net: counts, the sizes of the paper, cropping, border weights, a net that sees what it should through mirrored
tiles."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from segmentors import build, count, trains

from mmparts.segment.structures import Target
from mmparts.segment.u_net.border_weights import BorderWeightTerm, border_weights, instances

CONV = dict(type='mmparts.DoubleConv', norm=None)


def u_net(channels=(64, 128, 256, 512, 1024), crops=True, dims=2, in_channels=1, **changes):
    sizes = dict(size_divisor=16, size_offset=12, size=188) if crops else {}
    return {
        **dict(
            type='mmparts.Segmentor',
            dims=dims,
            in_channels=in_channels,
            num_classes=2,
            encoder=dict(type='mmparts.ConvEncoder', channels=channels, block=CONV, crops=crops, dropout=0.5),
            decoder=dict(type='mmparts.UpDecoder', level=dict(type='mmparts.ConcatLevel', block=CONV), crops=crops),
            terms=[dict(type='mmparts.BorderWeightTerm')],
            inference=dict(type='mmparts.MirroredInference', margin=92, divisor=16, offset=12)
            if crops
            else dict(type='mmparts.WholeInference'),
            data_preprocessor=dict(type='mmparts.SegmentPreprocessor', **sizes),
        ),
        **changes,
    }


def test_counts():
    assert count(u_net()) == 31_030_658


@pytest.mark.parametrize(('size', 'out'), [((572, 572), (388, 388)), ((188, 204), (4, 20))])
def test_sizes_of_the_paper(size, out):
    model = build(u_net((1, 1, 1, 1, 1))).eval()
    with torch.no_grad():
        assert tuple(model(torch.randn(1, 1, *size)).shape[2:]) == out
    with pytest.raises(ValueError, match='image 190x200: .* pad to 204x204'):
        model(torch.randn(1, 1, 190, 200))


def test_valid_convolutions_train_and_cover_the_whole_image():
    trains(build(u_net((4, 4, 4, 4, 4))), [(190, 200), (100, 188)])


@pytest.mark.parametrize('dims', [2, 3])
def test_padded_convolutions_train_at_odd_sizes(dims):
    cfg = u_net((4, 4, 4), crops=False, dims=dims)
    trains(build(cfg), [(17, 21, 9)[:dims], (12, 26, 11)[:dims]])


def test_tiles_are_mirrored_to_sizes_that_the_net_takes():
    model = build(u_net((2, 2, 2, 2, 2))).eval()
    image = torch.randn(1, 1, 50, 61)
    sides = [side + 184 for side in (50, 61)]
    sides = [side + -(side - 12) % 16 for side in sides]
    before = [92 + (side - 184 - own) // 2 for side, own in zip(sides, (50, 61))]
    after = [side - first - own for side, first, own in zip(sides, before, (50, 61))]
    padded = np.pad(image.numpy(), ((0, 0), (0, 0), *zip(before, after)), mode='reflect')
    with torch.no_grad():
        whole = model.inference(image, model.logits)
        middle = model(torch.from_numpy(padded))
    top, left = (first - 92 for first in before)
    assert torch.allclose(whole, middle[:, :, top : top + 50, left : left + 61])


def test_borders_between_cells_count_most():
    cells = np.zeros((40, 40), int)
    cells[10:30, 5:19], cells[10:30, 22:36] = 1, 2  # three pixels apart
    weights = border_weights(cells)
    d = 2  # the middle column is two pixels from both
    assert (
        weights[20, 20] == pytest.approx(10 * np.exp(-((d + d) ** 2) / 50), abs=1e-5) == pytest.approx(7.26, abs=0.01)
    )
    assert weights.max() == weights[20, 20] and not weights[cells > 0].any()
    assert not border_weights(np.where(cells == 1, 1, 0)).any(), 'one cell has no neighbour'


def test_touching_corners_do_not_connect():
    assert instances(np.eye(3, dtype=bool)).max() == 3


def test_the_weighted_loss_by_hand():
    labels = torch.zeros(1, 30, 30, dtype=torch.long)
    labels[0, 5:12, 5:12] = labels[0, 5:12, 14:20] = 1
    labels[0, 25:] = 255
    logits = torch.randn(1, 2, 30, 30)
    known = labels != 255
    border = torch.from_numpy(border_weights(instances((labels[0] == 1).numpy())))
    counts = torch.stack([(labels[known] == c).sum() for c in (0, 1)]).float()
    balance = (counts.sum() / (2 * counts))[labels.where(known, 0)]
    losses = F.cross_entropy(logits, labels, ignore_index=255, reduction='none') * (balance + border)
    assert torch.allclose(BorderWeightTerm()(logits, Target(labels), {}), losses[known].mean())
    flat = F.cross_entropy(logits, labels, ignore_index=255, reduction='none') * (1 + border)
    assert torch.allclose(BorderWeightTerm(balance=False)(logits, Target(labels), {}), flat[known].mean())
