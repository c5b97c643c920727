"""Slice-wise inference, and TransUNet's protocol as a whole."""

import numpy as np
import pytest
import torch

from mmparts.evaluation import VolumeMetric
from mmparts.segment.slices import SliceInference


def test_each_slice_by_itself():
    images = torch.randn(2, 1, 5, 12, 10)
    found = SliceInference(batch_size=2)(images, lambda x: torch.cat([x, -x], 1))
    assert torch.equal(found, torch.cat([images, -images], 1))
    numbered = torch.arange(5.0).view(1, 1, 5, 1, 1).expand(1, 1, 5, 20, 30)
    resized = SliceInference(size=(16, 16), back='nearest')(numbered, lambda x: x)
    assert (resized - numbered).abs().max() < 1e-4


def test_the_network_sees_its_size_and_logits_get_theirs_back():
    seen = []

    def network(x):
        seen.append(tuple(x.shape))
        return x

    SliceInference(size=(224, 224), batch_size=3)(torch.zeros(1, 1, 4, 50, 60), network)
    assert seen == [(3, 1, 224, 224), (1, 1, 224, 224)]
    with pytest.raises(ValueError, match='takes volumes, B C D H W'):
        SliceInference()(torch.zeros(1, 1, 4), network)


def test_nearest_logits_are_the_nearest_of_their_largest():
    """TransUNet takes the largest first and resizes labels after."""
    images = torch.randn(1, 3, 2, 30, 26)
    logits = SliceInference(size=(16, 16), back='nearest')(images, lambda x: x)
    small = torch.nn.functional.interpolate(images[0].transpose(0, 1), (16, 16), mode='bicubic')
    labels = torch.nn.functional.interpolate(small.argmax(1, keepdim=True).float(), (30, 26), mode='nearest')
    assert torch.equal(logits[0].argmax(0), labels[:, 0].long())


def test_mirrors_are_of_the_slices():
    images = torch.randn(1, 1, 3, 8, 8)

    def tilted(x):
        return x * torch.arange(8.0)

    found = SliceInference(mirror_axes=(1,))(images, tilted)
    assert (found - images * 3.5).abs().max() < 1e-5


def test_the_protocol_of_transunet():  # V14
    truth = np.zeros((3, 1, 4, 20, 20), np.uint8)
    found = np.zeros_like(truth)
    truth[0, :, 1:3, 4:10, 4:10], found[0, :, 1:3, 5:10, 4:10] = 1, 1
    found[1, :, 1, 2:4, 2:4] = 1  # the second case has no such organ
    affine = np.diag([5.0, 0.8, 0.8, 1])
    meta = dict(classes=('background', 'organ'))
    samples = [
        dict(case=str(i), gt_sem_seg=dict(data=t), pred_sem_seg=dict(data=f), source_affine=affine)
        for i, (t, f) in enumerate(zip(truth, found))
    ]

    def scores(**rules):
        metric = VolumeMetric(**rules)
        metric.dataset_meta = meta
        metric.process({}, samples)
        return str(metric.rules), metric.evaluate(3)

    dice = 2 * 60 / (60 + 72)
    text, theirs = scores(empty_rule='transunet', spacing_aware=False)
    assert 'voxel HD95' in text and 'transunet' in text
    assert theirs['volume/Dice'] == pytest.approx((dice + 1 + 0) / 3)  # found without truth 1, both empty 0
    assert theirs['volume/HD95'] == pytest.approx(1 / 3)
    text, right = scores(empty_rule='diagonal')
    assert 'HD95 (mm' in text and right['volume/Dice'] == pytest.approx((dice + 0 + 1) / 3)
    assert right['volume/HD95'] == pytest.approx((0.8 + np.linalg.norm([20, 16, 16])) / 3)
