"""The segmentor: any backbone, padding, auxiliary branches, regions, predictions on the grid of the file."""

import pytest
import torch
from mmengine.structures import PixelData
from mmseg.evaluation import IoUMetric
from mmseg.structures import SegDataSample
from segmentors import batch, build, sample, trains

from mmparts.datasets.check_classes import check_model
from mmparts.registry import MODELS
from mmparts.segment.heads import RegionHead, SoftmaxHead
from mmparts.segment.inference import MirroredInference, mirror_pad
from mmparts.segment.scales import MultiScaleInference
from mmparts.segment.structures import Target
from mmparts.segment.supervision import DeepSupervision

RESNET = dict(type='mmdet.ResNet', depth=18, base_channels=8, out_indices=(0, 1, 2, 3), norm_eval=False)


class First(torch.nn.Module):
    """Features: the finest map."""

    def __init__(self, in_channels):
        super().__init__()
        self.channels = in_channels[:1]

    def forward(self, maps):
        return maps[:1]


def plain(**changes):
    return {
        **dict(
            type='mmparts.Segmentor',
            encoder=RESNET,
            decoder=dict(type=First),
            num_classes=3,
            data_preprocessor=dict(type='mmparts.SegmentPreprocessor', size_divisor=32),
        ),
        **changes,
    }


def used(model):
    """Names of parameters behind the finest map, which its loss does not reach."""
    return {
        name
        for name, _ in model.named_parameters()
        if name.startswith(('encoder.layer2', 'encoder.layer3', 'encoder.layer4'))
    }


def test_a_backbone_of_mmdet_serves_as_encoder():
    model = build(plain())
    trains(model, [(40, 33), (28, 64)], dead=used(model))


def test_an_auxiliary_branch_trains_and_is_not_asked_for_predictions():
    model = build(plain(auxiliary=dict(fcn=dict(type='mmparts.FCNBranch', index=3, mid_channels=4, weight=0.4))))
    losses = trains(model, [(40, 33), (28, 64)])
    assert set(losses) == {'loss_ce', 'fcn.loss_ce'}
    model.eval()
    model.auxiliary['fcn'].forward = None
    model(torch.rand(1, 3, 32, 32))


def test_padding_counts_nothing_in_the_loss():
    model = build(plain()).eval()
    data = batch(model, [(40, 33), (28, 64)])
    assert data['inputs'].shape == (2, 3, 64, 64)
    with torch.no_grad():
        logits = model(data['inputs'])
        loss = model(**data, mode='loss')['loss_ce']
    right = [
        -logits[i, :, :h, :w].log_softmax(0).gather(0, sample((h, w), seed=i, empty=i == 1).gt_sem_seg.data).flatten()
        for i, (h, w) in enumerate([(40, 33), (28, 64)])
    ]
    assert torch.allclose(loss, torch.cat(right).mean(), atol=1e-6)


def test_predictions_lie_on_the_grid_of_the_file():
    model = build(plain()).eval()
    data = batch(model, [(40, 33)], training=False)
    data['data_samples'][0].set_metainfo(dict(ori_shape=(80, 66)))
    with torch.no_grad():
        predicted = model(**data, mode='predict')[0]
        logits = model(data['inputs'])[:, :, :40, :33]
    assert tuple(predicted.pred_sem_seg.data.shape) == (1, 80, 66)
    enlarged = torch.nn.functional.interpolate(logits, (80, 66), mode='bilinear', align_corners=False)[0]
    assert torch.allclose(predicted.seg_logits.data, enlarged)
    assert predicted.pred_sem_seg.data.equal(enlarged.argmax(0, keepdim=True).to(torch.uint8))


def test_mmsegs_samples_and_metric_serve():
    model = build(plain()).eval()
    one = SegDataSample(gt_sem_seg=PixelData(data=torch.zeros(1, 40, 33, dtype=torch.long)))
    data = model.data_preprocessor(dict(inputs=[torch.rand(3, 40, 33)], data_samples=[one]))
    with torch.no_grad():
        predicted = model(**data, mode='predict')
    metric = IoUMetric()
    metric.dataset_meta = dict(classes=('a', 'b', 'c'))
    metric.process({}, [each.to_dict() for each in predicted])
    share = float((predicted[0].pred_sem_seg.data == 0).float().mean())
    assert metric.evaluate(1)['aAcc'] == pytest.approx(100 * share, abs=0.01)


def test_regions_overlap_and_are_painted_in_their_order():
    head = RegionHead([4], regions=dict(whole=(1, 2, 3), core=(2, 3), spot=(3,)), paint=dict(whole=1, core=2, spot=3))
    labels = torch.tensor([[[0, 1, 2, 3, 255]]])
    one = sample((1, 5))
    one.gt_sem_seg = PixelData(data=labels)
    target = head.target([one], (1, 6))
    assert target.maps[0, :, 0].tolist() == [[0, 1, 1, 1, 255, 255], [0, 0, 1, 1, 255, 255], [0, 0, 0, 1, 255, 255]]
    logits = (target.maps[0].float() - 0.5) * 10
    assert head.decode(logits[:, :, :4]).tolist() == [[[0, 1, 2, 3]]]
    head.paint = None
    assert head.decode(logits[:, :, :4]).shape == (3, 1, 4)


@pytest.mark.parametrize(
    ('head', 'shape', 'message'),
    [
        (SoftmaxHead([4], 3), (2, 4, 4), '2 channels'),
        (RegionHead([4], 3), (2, 4, 4), '2 channels for 3 regions'),
        (SoftmaxHead([4], 3), (1, 9, 4), r'\(1, 9, 4\) does not fit'),
    ],
)
def test_a_truth_of_another_shape_is_refused_with_its_name(head, shape, message):
    one = sample(shape[1:])
    one.gt_sem_seg = PixelData(data=torch.zeros(shape, dtype=torch.long))
    with pytest.raises(ValueError, match=f'image_0.png.*{message}'):
        head.target([one], (8, 8))


def test_a_label_beyond_the_classes_is_refused():
    with pytest.raises(ValueError, match='label 5.*3 classes'):
        Target(torch.full((1, 4, 4), 5)).dense(3)


def test_inputs_of_other_channels_or_axes_are_refused():
    model = build(plain())
    for shape in ((1, 4, 32, 32), (1, 3, 32, 32, 32)):
        with pytest.raises(ValueError, match='takes B 3 and 2 axes'):
            model(torch.rand(shape))


def test_weights_of_deep_supervision():
    assert DeepSupervision().weights(3) == pytest.approx([0.5714, 0.2857, 0.1429], abs=1e-4)
    assert DeepSupervision(drop_last=True).weights(3) == pytest.approx([0.6667, 0.3333, 0], abs=1e-4)
    assert DeepSupervision(stages=5).weights(3) == pytest.approx([16 / 31, 8 / 31, 4 / 31])
    assert DeepSupervision(drop_last=True).weights(1) == [1.0]
    with pytest.raises(ValueError, match='2 weights'):
        DeepSupervision(weights=(1, 0.5)).weights(3)


def test_one_channel_becomes_three_and_means_must_fit():
    preprocessor = MODELS.build(dict(type='mmparts.SegmentPreprocessor', channels=3, mean=[1, 2, 3], std=[1, 1, 2]))
    out = preprocessor(dict(inputs=[torch.full((1, 2, 2), 5, dtype=torch.uint8)]))['inputs']
    assert out[0, :, 0, 0].tolist() == [4, 3, 1]
    with pytest.raises(ValueError, match='4 channels.*mean of 3'):
        preprocessor(dict(inputs=[torch.zeros(4, 2, 2)]))


def test_an_image_is_normalised_by_itself():
    """Whatever its exposure; a flat one becomes zeros."""
    preprocessor = MODELS.build(dict(type='mmparts.SegmentPreprocessor', mean='image', size_divisor=8))
    image = torch.rand(3, 6, 9)
    dark, bright, flat = preprocessor(dict(inputs=[image * 20, image * 200 + 30, torch.full((3, 6, 9), 7.0)]))['inputs']
    assert torch.allclose(dark, bright, atol=1e-4) and not flat.any()
    inside = dark[:, :6, :9].flatten(1)
    assert torch.allclose(inside.mean(1), torch.zeros(3), atol=1e-5)
    assert torch.allclose(inside.std(1, correction=0), torch.ones(3), atol=1e-5)
    for wrong in (dict(mean='images'), dict(mean='image', std=1.0)):
        with pytest.raises(ValueError, match="mean='image'|'image' or None"):
            MODELS.build(dict(type='mmparts.SegmentPreprocessor', **wrong))


@pytest.mark.parametrize('activation', ['softmax', 'sigmoid'])
def test_scales_and_flips_are_averaged_as_probabilities(activation):
    """By hand: two sizes, each as it is and mirrored from left to right."""
    torch.manual_seed(0)
    kernel, image = torch.nn.Conv2d(3, 4, 3, padding=1), torch.rand(2, 3, 12, 16)
    views = [torch.nn.functional.interpolate(image, size, mode='bilinear') for size in ((12, 16), (18, 24))]
    expected = 0
    for view in views:
        for flipped in (False, True):
            logits = kernel(view.flip(3) if flipped else view)
            logits = torch.nn.functional.interpolate(logits, (12, 16), mode='bilinear')
            logits = logits.flip(3) if flipped else logits
            expected = expected + (logits.softmax(1) if activation == 'softmax' else logits.sigmoid()) / 4
    inference = MultiScaleInference((1, 1.5), activation=activation, mirror_axes=(1,))
    got = inference(image, kernel)
    assert torch.allclose(got.softmax(1) if activation == 'softmax' else got.sigmoid(), expected, atol=1e-5)
    assert MultiScaleInference((1,))(image, kernel).argmax(1).equal(kernel(image).argmax(1))


def test_scales_stand_in_a_config():
    """Windows at every size; the segmentor says what its probabilities are."""
    windows = dict(type='mmparts.SlidingInference', size=(32, 32))
    cfg = plain(inference=dict(type='mmparts.MultiScaleInference', ratios=(0.75, 1.25), base=windows, mirror_axes=(1,)))
    model = build(cfg).eval()
    with torch.no_grad():
        predicted = model(**batch(model, [(40, 33)], training=False), mode='predict')[0]
    assert tuple(predicted.pred_sem_seg.data.shape) == (1, 40, 33) and model.inference.activation == 'softmax'
    for wrong in (dict(ratios=()), dict(ratios=(0,)), dict(activation='relu')):
        with pytest.raises(ValueError, match='ratios=|activation='):
            MultiScaleInference(**wrong)


def test_mirrored_inference_of_a_net_that_crops():
    kernel = torch.nn.Conv2d(1, 1, 5, bias=False)
    torch.nn.init.constant_(kernel.weight, 1 / 25)
    image = torch.rand(1, 1, 7, 6)
    out = MirroredInference(margin=3)(image, kernel)
    assert out.shape == image.shape
    assert torch.allclose(out, kernel(mirror_pad(image, [(2, 2)] * 2)))
    assert mirror_pad(torch.arange(3.0).view(1, 1, 1, 3), [(0, 0), (4, 4)]).flatten().tolist() == [
        0,
        1,
        2,
        1,
        0,
        1,
        2,
        1,
        0,
        1,
        2,
    ]
    with pytest.raises(ValueError, match='enlarge'):
        MirroredInference(margin=1)(image, kernel)


def test_cross_entropy_of_classes_is_refused_for_regions():
    model = build(plain(head=dict(type='mmparts.RegionHead')))
    data = batch(model, [(32, 32), (32, 32)])
    for one in data['data_samples']:
        one.gt_sem_seg = PixelData(data=torch.zeros(3, 32, 32, dtype=torch.uint8))
    with pytest.raises(ValueError, match='BinaryCrossEntropyTerm'):
        model(**data, mode='loss')


def test_regions_of_class_numbers_fit_a_set_of_classes():
    """One region of a set with background: both numbers are right, as long as the region's classes exist."""
    head = dict(type='mmparts.RegionHead', regions=dict(lesion=(1,)), paint=dict(lesion=1))
    terms = [dict(type='mmparts.BinaryCrossEntropyTerm')]
    cfg = {key: value for key, value in plain(head=head, terms=terms).items() if key != 'num_classes'}
    check_model(build(cfg), 'train', ('background', 'lesion'))
    with pytest.raises(ValueError, match=r'class numbers \(3,\), but the train set has 2 classes'):
        check_model(build(cfg | dict(head=dict(head, regions=dict(lesion=(3,))))), 'train', ('background', 'lesion'))
    del head['paint']
    with pytest.raises(ValueError, match='num_classes=1 .* the train set has 2 classes'):
        check_model(build(cfg | dict(head=head)), 'train', ('background', 'lesion'))
