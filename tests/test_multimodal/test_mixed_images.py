"""Mixed images of a model that classifies: the preprocessor mixes, the objective learns shares."""

import pytest
import torch
import torch.nn.functional as F

from mmparts.multimodal.labels import class_labels
from mmparts.registry import MODELS
from mmparts.structures import MultimodalSample

MIXING = dict(type='mmparts.Mixing', mixup=0.0, cutmix=1.0)


def preprocessor(**words):
    inputs = dict(image=dict(type='mmparts.ImageInputs', mean=[0.0] * 3, std=[1.0] * 3))
    return MODELS.build(dict(type='mmparts.MultimodalPreprocessor', inputs=inputs, **words))


def batch(labels=(0, 2, 3, 1)) -> dict:
    images = [torch.full((3, 8, 8), label, dtype=torch.uint8) for label in labels]
    samples = [MultimodalSample(gt_label=torch.tensor(label)) for label in labels]
    return dict(inputs=dict(image=images), data_samples=samples)


def test_a_label_is_the_share_that_each_class_has_of_the_image():
    """Each image is one grey, the number of its class: what is left of it can be counted."""
    torch.manual_seed(0)
    made = preprocessor(mixing=MIXING, num_classes=4)(batch(), training=True)
    labels = class_labels(made['data_samples'], 4)
    counted = [[(image == kind).float().mean() for kind in range(4)] for image in made['inputs']['image']]
    torch.testing.assert_close(labels, torch.tensor(counted))
    assert ((labels > 0).sum(1) == 2).all()


def test_nothing_is_mixed_outside_training():
    made = preprocessor(mixing=MIXING, num_classes=4)(batch(), training=False)
    assert not any('gt_score' in sample for sample in made['data_samples'])
    assert [int(sample.gt_label) for sample in made['data_samples']] == [0, 2, 3, 1]
    assert [image.unique().tolist() for image in made['inputs']['image']] == [[0.0], [2.0], [3.0], [1.0]]


def test_the_loss_is_that_of_shares():
    objective = MODELS.build(dict(type='mmparts.JointClasses', num_classes=4, joint_dims=8, label_smoothing=0.1))
    torch.manual_seed(1)
    logits, shares = torch.randn(4, 4), torch.rand(4, 4).softmax(1)
    smooth = 0.9 * shares + 0.1 / 4
    torch.testing.assert_close(objective.loss(logits, shares), -(smooth * F.log_softmax(logits, 1)).sum(1).mean())
    assert objective.accuracy(shares, shares) == 1


def test_what_cannot_be_is_refused():
    with pytest.raises(ValueError, match='mixing needs num_classes'):
        preprocessor(mixing=MIXING)
    with pytest.raises(ValueError, match=r'labels \[0, 1, 2, 3\] of a batch are not all in 0 to 2'):
        preprocessor(mixing=MIXING, num_classes=3)(batch(), training=True)
