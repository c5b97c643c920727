"""Masks as products: points are read as a loop reads them, and what is never made is what would have been."""

import math
from functools import partial

import pytest
import torch
import torch.nn.functional as F
from tiny import samples

from mmparts.detr.mask_dino.head import ellipse_kernels, squared_coordinates
from mmparts.detr.mask_dino.masks import Masks, Points, boxes_around, product, read, sample
from mmparts.detr.segments import resize
from mmparts.detr.structures import ImageSizes, Matches, Memory, Targets

close = partial(torch.testing.assert_close, rtol=1e-4, atol=1e-5)


def by_hand(image: torch.Tensor, x: float, y: float) -> float:
    """Bilinear between pixel centres, zero outside; x and y in [0, 1]."""
    height, width = image.shape
    column, row = x * width - 0.5, y * height - 0.5
    total = 0.0
    for i in (math.floor(column), math.floor(column) + 1):
        for j in (math.floor(row), math.floor(row) + 1):
            if 0 <= i < width and 0 <= j < height:
                total += (1 - abs(column - i)) * (1 - abs(row - j)) * image[j, i].item()
    return total


IMAGES = ImageSizes((96, 96), ((64, 96), (96, 64)))


@pytest.fixture
def targets() -> Targets:
    """Two images, the second without objects, padded to 96 x 96."""
    return Targets.from_samples(samples())


def test_reading_points_against_loops():
    torch.manual_seed(0)
    bits = torch.randint(2, (3, 5, 7), dtype=torch.uint8)
    points = torch.rand(4, 20, 2) * 1.2 - 0.1  # some outside
    which = torch.tensor([2, 0, 1, 2])
    wanted = torch.tensor([[by_hand(bits[g], x, y) for x, y in row.tolist()] for g, row in zip(which, points)])
    close(read(bits, points, which), wanted)
    close(sample(bits[which, None].float(), points)[:, 0], wanted)
    close(read(bits, points[:1]), torch.tensor([[by_hand(b, x, y) for x, y in points[0].tolist()] for b in bits]))
    assert read(bits[:0], points[:1]).shape == (0, 20)


@pytest.mark.parametrize('extent', [(1.0, 1.0), (0.75, 1.0), (0.5, 0.4)])
def test_boxes_around_against_loops(extent):
    torch.manual_seed(0)
    masks = torch.rand(30, 10, 12) > 0.97
    masks[0] = False
    masks[1] = True
    masks[2] = False
    masks[2, 0, 11] = True  # in the padding unless there is none
    boxes, found = boxes_around(masks, extent)
    for mask, box, is_found in zip(masks, boxes, found):
        rows, columns = mask.nonzero().unbind(1)
        if not len(rows):
            assert not is_found
            continue
        left, right = (min(edge / (12 * extent[0]), 1.0) for edge in (columns.min().item(), columns.max().item() + 1))
        top, bottom = (min(edge / (10 * extent[1]), 1.0) for edge in (rows.min().item(), rows.max().item() + 1))
        close(box, torch.tensor([(left + right) / 2, (top + bottom) / 2, right - left, bottom - top]))
        assert is_found == (right > left and bottom > top)
    assert found[2] == (extent == (1.0, 1.0))


def test_resizing_takes_the_part_that_is_no_padding():
    maps = torch.randn(3, 12, 16)
    close(
        resize(maps, (1.0, 1.0), (24, 20)), F.interpolate(maps[None], (24, 20), mode='bilinear', align_corners=False)[0]
    )
    # Inside, where no neighbour lies beyond the cut, cutting first and resizing then is the same.
    cut = F.interpolate(maps[None, :, :9, :12], (36, 24), mode='bilinear', align_corners=False)[0]
    close(resize(maps, (0.75, 0.75), (36, 24))[:, :-2, :-2], cut[:, :-2, :-2])


def test_a_sample_of_products_is_a_product_of_samples(targets):
    torch.manual_seed(0)
    masks = Masks(torch.randn(3, 2, 5, 8), torch.randn(2, 8, 24, 24), IMAGES, num_points=50)
    torch.manual_seed(1)
    features, truth = masks.anywhere(targets, 0)
    torch.manual_seed(1)
    points = torch.rand(1, 50, 2)
    whole = torch.einsum('lnc,chw->lnhw', masks.kernels[:, 0], masks.pixels[0])
    extent = torch.tensor([96 / 96, 64 / 96])
    close(masks.kernels[:, 0] @ features, sample(whole, points.expand(3, -1, -1) * extent))
    close(truth, read(targets.masks[0], points))
    assert truth.shape == (3, 50) and 0 < truth.mean() < 0.5


def test_truth_is_the_mask_wherever_the_image_is_padded(targets):
    """The share of points that fall on an object is its share of the image, not of the padded batch."""
    torch.manual_seed(0)
    masks = Masks(torch.randn(1, 2, 5, 8), torch.randn(2, 8, 24, 24), IMAGES, num_points=20000)
    _, truth = masks.anywhere(targets, 0)
    close(truth.mean(1), targets.masks[0].float().mean((1, 2)), rtol=0.1, atol=0.002)


def test_points_of_matches(targets):
    torch.manual_seed(0)
    pixels = torch.randn(2, 8, 24, 24)
    masks = Masks(torch.randn(2, 2, 5, 8, requires_grad=True), pixels, IMAGES, num_points=400)
    matches = Matches(*torch.tensor([[0, 0, 1, 1], [0, 0, 0, 0], [4, 1, 0, 2], [2, 0, 1, 2]]))
    points = masks.where_it_matters(matches, targets)
    assert masks.where_it_matters(matches, targets) is points, 'two terms share them'
    assert points.logits.shape == points.truth.shape == (4, 400) and points.layer.tolist() == [0, 0, 1, 1]
    close(points.truth.mean(1) > 0, torch.ones(4, dtype=torch.bool))

    other = Matches(*torch.tensor([[0, 1], [0, 0], [3, 3], [1, 0]]))
    assert masks.where_it_matters(other, targets).logits.shape == (2, 400), 'other matches have points of their own'

    # Three quarters are chosen for their doubt: nearer to zero than points anywhere are.
    whole = torch.einsum('pc,chw->phw', masks.kernels[matches.where], pixels[0])[:, None]
    everywhere = sample(whole, torch.rand(4, 20000, 2) * torch.tensor([1.0, 64 / 96])).abs().mean((1, 2))
    assert (points.logits[:, :300].abs().mean(1) < 0.6 * everywhere).all()
    close(points.logits[:, 300:].abs().mean(1) / everywhere, torch.ones(4), rtol=0.35, atol=0)

    points.logits.sum().backward()
    reached = masks.kernels.grad.abs().sum(-1) > 0
    assert {tuple(place) for place in reached.nonzero().tolist()} == {(0, 0, 4), (0, 0, 1), (1, 0, 0), (1, 0, 2)}


def test_no_matches_stay_in_the_graph(targets):
    masks = Masks(torch.randn(2, 2, 5, 8, requires_grad=True), torch.randn(2, 8, 24, 24), IMAGES, num_points=10)
    points = masks.where_it_matters(Matches(*torch.zeros(4, 0, dtype=torch.long)), targets)
    assert points.logits.shape == (0, 10)
    points.cross_entropy.sum().backward()
    assert not masks.kernels.grad.any()


def test_distances():
    truth = torch.tensor([[1.0, 0.0, 1.0, 0.0]])
    perfect = Points((truth * 2 - 1) * 50, truth, torch.zeros(1))
    assert perfect.cross_entropy.item() < 1e-6 and perfect.dice.item() < 1e-6
    undecided = Points(torch.zeros(1, 4), truth, torch.zeros(1))
    close(undecided.cross_entropy, torch.tensor([math.log(2)]))
    close(undecided.dice, torch.tensor([1 - 3 / 5]))


def test_shares(targets):
    assert ImageSizes.of(torch.empty(2, 3, 96, 96), targets.samples) == IMAGES
    assert IMAGES.shares == [(1.0, 64 / 96), (64 / 96, 1.0)]


def test_data_without_masks_say_so(targets):
    del targets.samples[1].gt_instances.masks
    with pytest.raises(ValueError, match=r'image_1.png comes without masks; load them by .*with_mask=True'):
        _ = targets.masks


@pytest.mark.parametrize('autocast', [False, True], ids=['float32', 'bfloat16 autocast'])
def test_ellipses_are_products(autocast):
    """Pixel by pixel 1 minus the squared distance from the centre in half-sizes, in an image and in a padded one.

    Terms of thousands cancel in it: rounded to bfloat16 nothing would be left."""
    torch.manual_seed(0)
    boxes = torch.rand(2, 5, 4) * 0.5 + 0.2
    boxes[:, 0, 2:] = 0.02
    memory = Memory(None, None, None, (), None, images=ImageSizes((96, 128), ((96, 128), (48, 100))))
    pixels = torch.zeros(2, 3, 24, 32)
    with torch.autocast('cpu', torch.bfloat16, enabled=autocast):
        squares = squared_coordinates(pixels, memory)
        found = torch.stack([product(*pair) for pair in zip(ellipse_kernels(boxes), squares)])
    for image, (height, width) in enumerate(memory.images.valid):
        for (cx, cy, w, h), ellipse in zip(boxes[image].tolist(), found[image]):
            for row, column in ((0, 0), (23, 31), (11, 7), (int(cy * height / 4), int(cx * width / 4))):
                x, y = (column + 0.5) * 4 / width, (row + 0.5) * 4 / height
                wanted = 1 - ((x - cx) / (w / 2)) ** 2 - ((y - cy) / (h / 2)) ** 2
                assert ellipse[row, column].item() == pytest.approx(wanted, rel=1e-4, abs=1e-2)
