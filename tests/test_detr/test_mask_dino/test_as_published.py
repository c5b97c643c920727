"""Mask DINO as the authors' code computes it: each difference against a form written out by hand."""

import pytest
import torch
from mmdet.structures import DetDataSample
from mmdet.structures.mask import BitmapMasks
from mmengine.structures import InstanceData
from tiny import base, batch, build

from mmparts.detr.mask_dino.masks import boxes_around
from mmparts.detr.segments import resize

STILL = dict(encoder=dict(dropout=0.0), decoder=dict(dropout=0.0))
SIZES = ((64, 96), (96, 64))  # padded to 96x96


@pytest.fixture(scope='module')
def model():
    return build(base('mask_dino_r50', as_published=True, **STILL))


def test_the_switch_reaches_all_parts(model):
    assert model.as_published and model.queries.as_published and model.head.as_published
    assert not model.queries.last_pixel
    with torch.no_grad():
        ours = build(base('mask_dino_r50', **STILL)).eval()
        ours.load_state_dict(model.state_dict())
        data = batch(model, sizes=SIZES)
        first, second = (each.eval()(**data, mode='tensor')['logits'] for each in (model, ours))
    assert not first.allclose(second, atol=1e-3)


def test_padding_is_part_of_the_image(model):
    data = batch(model, sizes=SIZES)
    with torch.no_grad():
        unequal = model.eval()(**data, mode='tensor')
        whole = model(data['inputs'], None, mode='tensor')
    assert unequal['logits'].equal(whole['logits']) and unequal['boxes'].equal(whole['boxes'])


@pytest.mark.parametrize('rescale', [False, True])
def test_boxes_and_masks_are_cut_out_of_the_padded_batch(model, rescale):
    data = batch(model, sizes=SIZES)
    for sample in data['data_samples']:
        height, width = sample.img_shape
        sample.set_metainfo(dict(ori_shape=(2 * height, 2 * width), scale_factor=(0.5, 0.5)))
    with torch.no_grad():
        raw = model.eval()(**data, mode='tensor')
        found = model.predict(data['inputs'], data['data_samples'], rescale=rescale)
    times = 2 if rescale else 1
    for image, (sample, (height, width)) in enumerate(zip(found, SIZES)):
        boxes = raw['boxes'][-1, image]
        corners = torch.cat([boxes[:, :2] - boxes[:, 2:] / 2, boxes[:, :2] + boxes[:, 2:] / 2], 1) * 96
        corners = corners.clamp(min=0).minimum(torch.tensor([width, height, width, height])) * times
        distance = torch.cdist(sample.pred_instances.bboxes, corners, compute_mode='donot_use_mm_for_euclid_dist')
        assert distance.min(1).values.max() < 1e-3

        canvas = resize(model.head.mask_branch.mask_logits(raw, -1)[image], (1.0, 1.0), (96 * times, 96 * times))
        wanted = canvas[:, : height * times, : width * times] > 0
        query = distance.argmin(1)
        same = (sample.pred_instances.masks == wanted[query]).float().mean()
        assert sample.pred_instances.masks.shape[1:] == (height * times, width * times) and same > 0.999


def test_losses_are_those_of_images_that_fill_the_batch(model):
    data = batch(model, sizes=SIZES, counts=(3, 2))
    canvases = []
    for sample in data['data_samples']:
        gt = sample.gt_instances
        masks = torch.zeros(len(gt), 96, 96, dtype=torch.uint8)
        masks[:, : sample.img_shape[0], : sample.img_shape[1]] = gt.masks.to_tensor(torch.uint8, 'cpu')[
            :, : sample.img_shape[0], : sample.img_shape[1]
        ]
        canvas = DetDataSample(metainfo=dict(img_shape=(96, 96), batch_input_shape=(96, 96)))
        canvas.gt_instances = InstanceData(bboxes=gt.bboxes, labels=gt.labels, masks=BitmapMasks(masks.numpy(), 96, 96))
        canvases.append(canvas)
    losses = []
    for samples in (data['data_samples'], canvases):
        torch.manual_seed(0)
        losses.append(model.train()(data['inputs'], samples, mode='loss'))
    assert losses[0].keys() == losses[1].keys()
    assert all(losses[0][name].equal(losses[1][name]) for name in losses[0])
    assert data['data_samples'][0].img_shape[:2] == (64, 96), 'the samples stay as they were'


class TestBoxesAroundMasks:
    @staticmethod
    def by_hand(mask, count_last):
        """Corners as minima and maxima of the pixels' numbers, divided by the size of the map."""
        ys, xs = mask.nonzero(as_tuple=True)
        x0, x1, y0, y1 = xs.min(), xs.max() + count_last, ys.min(), ys.max() + count_last
        return torch.stack([(x0 + x1) / 2 / 24, (y0 + y1) / 2 / 16, (x1 - x0) / 24, (y1 - y0) / 16])

    @pytest.mark.parametrize('count_last', [False, True])
    def test_against_loops(self, count_last):
        masks = torch.rand(20, 16, 24, generator=torch.Generator().manual_seed(0)) > 0.97
        masks[0] = False
        masks[0, 3, 5] = True  # one pixel: a box without size, where the last is not counted
        masks[1] = False
        boxes, found = boxes_around(masks, (1.0, 1.0), last_pixel=count_last)
        assert found.tolist() == [index != 1 for index in range(20)]
        for index in found.nonzero()[:, 0]:
            torch.testing.assert_close(boxes[index], self.by_hand(masks[index], int(count_last)))

    @pytest.mark.parametrize(('last_pixel', 'corner'), [(None, 1.0), (True, 0.0)])
    def test_an_empty_mask_is_a_corner(self, last_pixel, corner):
        """Minima over no pixel are huge, and maxima 0; bit masks give zeros. Logits bound both."""
        model = build(base('mask_dino_r50', as_published=True, queries=dict(last_pixel=last_pixel))).eval()
        data = batch(model, sizes=SIZES)
        with torch.no_grad():
            memory = model.encode(data['inputs'], data['data_samples'])
            last = model.head.mask_branch.layers[-1]
            last.weight.zero_()
            last.bias.fill_(1.0)
            memory.pixels = -torch.ones_like(memory.pixels)
            match, _ = model.queries(memory, model.head)
        wanted = torch.tensor([corner, corner, 0.0, 0.0]).clamp(1e-5, 1 - 1e-5)
        torch.testing.assert_close(match.reference, wanted.expand_as(match.reference))


@pytest.mark.parametrize('published', [False, True])
def test_tokens_at_the_border_compete(published):
    """In a map of 52 columns the first and last are less than 1 % of the width from the border."""
    model = build(base('mask_dino_r50', as_published=published, num_queries=10000, **STILL)).eval()
    data = batch(model, sizes=((64, 416), (64, 416)))
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        _, proposals = model.queries(memory, model.head)
    border = proposals.boxes.eq(1).all(-1)[0]
    count = int(border.sum())
    assert 0 < count < len(border) and border[-count:].all() != published


@pytest.mark.parametrize('published', [False, True])
def test_the_smallest_prior_boxes_belong_to_one_end_of_the_levels(published):
    """Box branches that say nothing leave the prior boxes."""
    model = build(base('mask_dino_r50', as_published=published, num_queries=10000, **STILL)).eval()
    data = batch(model, sizes=((96, 96), (96, 96)))
    with torch.no_grad():
        for layer in model.head.box_branches[0].layers:
            layer.weight.zero_(), layer.bias.zero_()
        memory = model.encode(data['inputs'], None)
        _, proposals = model.queries(memory, model.head)
    widths, cells = proposals.boxes[0, :, 2], [height * width for height, width in memory.shapes]
    counts = [int((widths - 0.05 * 2**size).abs().lt(1e-4).sum()) for size in range(4)]
    assert counts == (cells[::-1] if published else cells)


def test_the_norm_follows_the_switch(model):
    data = batch(model, sizes=((96, 96), (96, 96)))
    with torch.no_grad():
        memory = model.eval().encode(data['inputs'], data['data_samples'])
        state = model.queries.output_norm(model.queries.output(memory.tokens))[:, :20]
        predictions = model.head([state, state, state], [torch.full((2, 20, 4), 0.5)] * 3, memory)
        once = model.head.class_branch(0)(model.head.norm(state))
        twice = model.head.class_branch(0)(model.head.norm(model.head.norm(state)))
    torch.testing.assert_close(predictions['logits'][0], once)
    torch.testing.assert_close(predictions['logits'][1], twice)
