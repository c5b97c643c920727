"""Mask DINO: what must hold whatever its weights are."""

import pytest
import tiny
import torch
from mmengine.config import Config
from tiny import base, batch, build, prediction_set, total, without_gradient

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.detr.head import split_groups
from mmparts.detr.mask_dino.masks import Masks, read, sample
from mmparts.detr.matching import HungarianMatcher
from mmparts.detr.queries import priors
from mmparts.detr.structures import ImageSizes, QueryGroup, Targets

STILL = dict(encoder=dict(dropout=0.0), decoder=dict(dropout=0.0))
NO_NOISE = [dict(type='mmparts.Denoising', num=10, label_noise=0.0, box_noise=0.0, contrastive=False, spare_row=False)]


def mask_dino(**changes):
    return base('mask_dino_r50', **changes)


def losses_of(model, data, seed: int = 0) -> dict:
    torch.manual_seed(seed)
    return model(**data, mode='loss')


@pytest.fixture(scope='module')
def model():
    return build(mask_dino())


@pytest.mark.parametrize(
    'counts', [(3, 0), (0, 0), (25, 1), (300, 2)], ids=['one empty', 'no objects', 'more than queries', 'three hundred']
)
def test_every_parameter_gets_a_gradient(model, counts):
    model.train().zero_grad()
    losses = losses_of(model, batch(model, counts=counts))
    total(losses).backward()
    assert all(value.isfinite() for value in losses.values()), losses
    assert not without_gradient(model)
    names = {name.rpartition('.')[2] for name in losses}
    kinds = ('cls', 'bbox', 'iou', 'mask', 'dice')
    assert names == {f'{group}loss_{kind}' for group in ('', 'dn_', 'enc_') for kind in kinds}
    # Two layers and what enters the first of them.
    assert {f'd{layer}.dn_loss_dice' for layer in range(2)} <= set(losses) and 'd2.loss_dice' not in losses


def test_trains_in_bfloat16(model):
    model.train().zero_grad()
    data = batch(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = losses_of(model, data)
        total(losses).backward()
    assert all(value.isfinite() for value in losses.values()) and not without_gradient(model)


@pytest.mark.parametrize('training', [True, False])
def test_denoising_leaves_the_matching_queries_alone(training):
    model = build(mask_dino(**STILL)).train(training)
    data = batch(model)
    with torch.no_grad():
        targets = Targets.from_samples(data['data_samples'])
        memory = model.encode(data['inputs'], data['data_samples'])
        match, _ = model.queries(memory, model.head)
        both = model.decode([match, model.groups[0](match, memory, targets)], memory)
        alone = model.decode([match], memory)
    for name in ('logits', 'boxes'):
        torch.testing.assert_close(both[name][:, :, : match.size], alone[name], rtol=1e-4, atol=1e-5)
    torch.testing.assert_close(both['masks'].kernels[:, :, : match.size], alone['masks'].kernels, rtol=1e-4, atol=1e-5)


def test_queries_without_noise_start_at_their_objects():
    """The initial prediction's boxes are the references, so its box losses are zero up to the clamp."""
    model = build(mask_dino(groups=NO_NOISE)).train()
    losses = losses_of(model, batch(model))
    assert losses['d0.dn_loss_bbox'] < 1e-3 and losses['d0.dn_loss_iou'] < 1e-3
    assert losses['d0.loss_bbox'] > 0.1 and losses['d0.dn_loss_mask'] > 0.1


def test_the_initial_prediction_trains_the_branches_and_not_the_encoder():
    model = build(mask_dino(groups=[])).train()
    losses = losses_of(model, batch(model))
    (losses['d0.loss_cls'] + losses['d0.loss_dice']).backward()
    assert model.head.class_branches[0].weight.grad.any() and model.head.mask_branch.layers[0].weight.grad.any()
    assert model.encoder.mask_features.weight.grad.any(), 'masks train the pixels'
    assert model.queries.output.weight.grad is None and model.head.box_branches[0].layers[0].weight.grad is None


def test_a_constant_mask_moves_all_references():
    """References are the boxes around the masks: the whole image where all pixels are in, the proposal where none."""
    model = build(mask_dino()).eval()
    data = batch(model, sizes=((96, 96), (96, 64)))
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        last = model.head.mask_branch.layers[-1]
        last.weight.zero_()
        last.bias.fill_(1.0)
        memory.pixels = torch.ones_like(memory.pixels)
        whole, proposals = model.queries(memory, model.head)
        memory.pixels = -memory.pixels
        empty, _ = model.queries(memory, model.head)
        memory.pixels[:, :, 12:, :12] = 1.0
        corner, _ = model.queries(memory, model.head)
    torch.testing.assert_close(whole.reference, torch.tensor([0.5, 0.5, 1.0, 1.0]).expand_as(whole.reference))
    torch.testing.assert_close(empty.reference, proposals.boxes)
    wanted = torch.tensor([[0.25, 0.75, 0.5, 0.5], [0.375, 0.75, 0.75, 0.5]])  # 48 of 96 pixels, and of 64
    torch.testing.assert_close(corner.reference, wanted[:, None].expand_as(corner.reference))


def test_a_box_is_a_share_of_the_image_and_not_of_whole_cells():
    """Half of 100 pixels, in a batch whose maps have cells of 8 pixels and more."""
    model = build(mask_dino()).eval()
    data = batch(model, sizes=((100, 100), (128, 160)))
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
        memory.pixels = -torch.ones(*memory.pixels.shape[:2], *memory.images.padded)
        memory.pixels[:, :, 25:75, :50] = 1.0
        last = model.head.mask_branch.layers[-1]
        last.weight.zero_()
        last.bias.fill_(1.0)
        match, _ = model.queries(memory, model.head)
        wanted = torch.tensor([[0.25, 0.5, 0.5, 0.5], [25 / 160, 50 / 128, 50 / 160, 50 / 128]])
        torch.testing.assert_close(match.reference, wanted[:, None].expand_as(match.reference))
        memory.images = None
        with pytest.raises(ValueError, match='does not say how large its images are'):
            model.queries(memory, model.head)


def test_boxes_of_the_tokens_can_be_the_references():
    model = build(mask_dino(queries=dict(boxes_from_masks=False))).eval()
    data = batch(model)
    with torch.no_grad():
        match, proposals = model.queries(model.encode(data['inputs'], data['data_samples']), model.head)
    assert match.reference.equal(proposals.boxes)


def test_prior_boxes_of_the_official_code_go_the_other_way():
    model = build(mask_dino()).eval()
    data = batch(model, sizes=((96, 96), (96, 96)))
    with torch.no_grad():
        memory = model.encode(data['inputs'], data['data_samples'])
    sizes = [h * w for h, w in memory.shapes]
    widths = [
        [level[0, :, 2].sigmoid().min().item() for level in priors(memory, coarse_first=flag)[0].split(sizes, 1)]
        for flag in (False, True)
    ]
    assert widths[0] == pytest.approx([0.05, 0.1, 0.2, 0.4]) and widths[1] == pytest.approx([0.4, 0.2, 0.1, 0.05])


class TestMatching:
    def cost(self, model, data, seed=0, **changes):
        targets = Targets.from_samples(data['data_samples'])
        with torch.no_grad():
            predictions = model(**data, mode='tensor')
            group = QueryGroup('match', predictions['logits'][0])
            each = next(split_groups(predictions, [group], targets))
            torch.manual_seed(seed)
            return model.head.matcher.cost(each), each, targets

    def test_is_what_the_definition_says(self, model):
        """Against the official order of work: whole masks first, then points of them, pair by pair."""
        model.eval()
        data = batch(model)
        cost, each, targets = self.cost(model, data)
        torch.manual_seed(0)
        points = torch.rand(1, 100, 2)
        whole = torch.einsum('lbnc,bchw->lbnhw', each['masks'].kernels, each['masks'].pixels)[:, 0]
        logits = sample(whole.flatten(0, 1)[None], points * torch.tensor(each['masks'].images.shares[0]))[0]
        plain = HungarianMatcher.cost(model.head.matcher, each)[:, 0]
        truth = read(targets.masks[0], points)
        for number, logit in enumerate(logits):
            layer, query = divmod(number, whole.shape[1])
            for g, true in enumerate(truth):
                entropy = torch.nn.functional.binary_cross_entropy_with_logits(logit, true)
                p = logit.sigmoid()
                dice = 1 - (2 * (p * true).sum() + 1) / (p.sum() + true.sum() + 1)
                wanted = plain[layer, query, g] + 5 * entropy + 5 * dice
                torch.testing.assert_close(cost[layer, 0, query, g], wanted, rtol=1e-4, atol=1e-4)

    def test_order_of_queries_and_objects_does_not_matter(self, model):
        model.eval()
        data = batch(model)
        cost, each, targets = self.cost(model, data)
        order = torch.randperm(each.logits.shape[2])
        shuffled = prediction_set(
            each.logits[:, :, order], each.boxes[:, :, order], targets, masks=each['masks'][:, :, order]
        )
        torch.manual_seed(0)
        torch.testing.assert_close(model.head.matcher.cost(shuffled), cost[:, :, order], rtol=1e-4, atol=1e-4)

        gt = data['data_samples'][0].gt_instances
        data['data_samples'][0].gt_instances = gt[torch.tensor([2, 0, 1])]
        turned, _, _ = self.cost(model, data)
        torch.testing.assert_close(turned[:, 0], cost[:, 0][..., [2, 0, 1]], rtol=1e-4, atol=1e-4)

    def test_a_perfect_mask_is_matched_with_its_object(self, model):
        """Kernels that draw the objects: nothing but masks tells the queries apart."""
        data = batch(model, sizes=((96, 96), (96, 96)), counts=(3, 0))
        targets = Targets.from_samples(data['data_samples'])
        pixels = torch.zeros(2, 4, 96, 96)
        pixels[0, :3] = targets.masks[0].float() * 20 - 10
        kernels = torch.zeros(1, 2, 4, 4)
        kernels[0, 0, [2, 0, 3], [0, 1, 2]] = 1.0  # query 2 draws object 0, query 0 object 1, query 3 object 2
        each = prediction_set(
            torch.zeros(1, 2, 4, 80),
            torch.full((1, 2, 4, 4), 0.5),
            targets,
            masks=Masks(kernels, pixels, ImageSizes.of(pixels, None), 500),
        )
        (matches,) = model.head.matcher([each])
        assert dict(zip(matches.target.tolist(), matches.query.tolist())) == {0: 2, 1: 0, 2: 3}
        points = each['masks'].where_it_matters(matches, targets)
        assert points.dice.max() < 0.2 and points.cross_entropy.max() < 0.6  # doubtful points lie on the edges


def test_predicts_masks_in_the_size_of_the_original(model):
    model.eval()
    data = batch(model)
    with torch.no_grad():
        results = model(**data, mode='predict')
        resized = model.predict(data['inputs'], data['data_samples'], rescale=False)
    assert [each.pred_instances.masks.shape[1:] for each in resized] == [(64, 96), (96, 64)]
    results = [each.pred_instances for each in results]
    assert all(len(each['masks']) == len(each.scores) == len(each.bboxes) == 100 for each in results)
    assert all((each.scores[:-1] >= each.scores[1:]).all() for each in results)


def test_maps_come_in_the_size_of_the_original():
    maps = [dict(type='mmparts.PanopticMap'), dict(type='mmparts.SemanticMap')]
    model = build(mask_dino(num_classes=133, head=dict(maps=maps))).eval()
    with torch.no_grad():
        results = model(**batch(model), mode='predict')
    for sample in results:
        assert sample.pred_panoptic_seg.sem_seg.shape == sample.pred_sem_seg.sem_seg.shape == (1, *sample.ori_shape)
        assert sample.pred_sem_seg.sem_seg.max() < 133 and len(sample.pred_instances) == 100


def test_weights_are_all_there_is(model):
    """Another model with the same weights gives the same answers."""
    other = build(mask_dino(), seed=1)
    other.load_state_dict(model.state_dict())
    model.eval(), other.eval()
    data = batch(model)
    with torch.no_grad():
        first, second = (each(**data, mode='tensor') for each in (model, other))
    assert first['logits'].equal(second['logits']) and first['masks'].kernels.equal(second['masks'].kernels)


def test_official_norm_is_applied_twice():
    once, twice = (build(mask_dino(head=dict(as_published=flag))).eval() for flag in (False, True))
    data = batch(once)
    with torch.no_grad():
        first, second = (model(**data, mode='tensor') for model in (once, twice))
    assert first['boxes'].equal(second['boxes']) and first['logits'][0].equal(second['logits'][0])
    assert not first['logits'][1:].allclose(second['logits'][1:])


@pytest.mark.parametrize(
    ('changes', 'queries'),
    [
        (dict(groups=[dict(type='mmparts.OneToMany', num=30, repeat=3)]), 'o2m'),
        (dict(groups=[dict(type='mmparts.Denoising', num=10, contrastive=True)]), 'dn'),
        (dict(decoder=dict(type='mmparts.QueryDecoder')), None),
    ],
    ids=['one-to-many', 'contrastive', 'no initial prediction'],
)
def test_combines_with_parts_of_other_papers(changes, queries):
    model = build(mask_dino(**changes)).train()
    losses = losses_of(model, batch(model))
    total(losses).backward()
    assert not without_gradient(model)
    assert queries is None or f'{queries}_loss_dice' in losses


class TestEllipses:
    def model(self, **changes):
        ellipses = dict(type='mmparts.EllipseMaskBranch', sharpness=3.0)
        return build(mask_dino(head=dict(branches=dict(masks=ellipses)), **changes))

    def test_a_mask_starts_as_the_ellipse_in_its_box(self):
        """What the branch has not learned leaves boxes alone: that around a mask is the predicted one, to a pixel."""
        model = self.model().eval()
        with torch.no_grad():
            for parameter in model.head.mask_branch.layers[-1].parameters():
                parameter.zero_()
            results = model(**batch(model), mode='predict')
        compared = 0
        for sample in results:
            height, width = sample.ori_shape
            for (left, top, right, bottom), mask in zip(sample.pred_instances.bboxes, sample.pred_instances.masks):
                if min(left, top, width - right, height - bottom) <= 0 or min(right - left, bottom - top) < 40:
                    continue  # cut by the edge of the image, or few cells large
                compared += 1
                rows, columns = mask.nonzero().unbind(1)
                around = [columns.min(), rows.min(), columns.max() + 1, rows.max() + 1]
                wanted = torch.tensor([left, top, right, bottom])
                torch.testing.assert_close(torch.stack(around).float(), wanted, atol=9.0, rtol=0.0)  # cells of 8 x 12
        assert compared

    def test_masks_do_not_move_boxes(self):
        """A box is trained by what is said of boxes, as elsewhere."""
        model = self.model(groups=[]).train()
        losses = losses_of(model, batch(model))
        losses['loss_dice'].backward()
        assert model.head.mask_branch.layers[0].weight.grad.any()
        assert model.head.box_branches[0].layers[0].weight.grad is None

    def test_trains_in_bfloat16_too(self):
        model = self.model().train()
        with torch.autocast('cpu', torch.bfloat16):
            losses = losses_of(model, batch(model, counts=(300, 2)))
            total(losses).backward()
        assert all(value.isfinite() for value in losses.values()) and not without_gradient(model)


@pytest.mark.parametrize(('name', 'count'), [('coco-instance', 52_058_004), ('coco-panoptic', 52_085_193)])
def test_parameter_count(name, count):
    """As the official code's, which keeps the norms of its ResNet in buffers, and trains all of it."""
    parameters = Parameters.of(
        build_on_meta(Config.fromfile(tiny.CONFIGS / 'mask_dino' / f'mask-dino_r50_8xb2-50e_{name}.py'))
    )
    assert parameters.as_papers_count == parameters.trainable == count


def test_counts_of_the_parts():
    """R50, four levels, feed-forward nets of 2048."""
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / 'mask_dino_r50.py')
    cfg.default_scope = 'mmdet'
    model = build_on_meta(cfg)

    def count(*parts):
        return sum(parameter.numel() for part in parts for parameter in part.parameters())

    assert count(model.neck, model.encoder) == 14_055_424
    assert count(model.queries, model.groups, model.decoder, model.head) == 14_547_668
