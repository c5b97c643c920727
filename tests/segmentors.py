"""Small samples for the tests of the segmentation family."""

import torch
from mmengine.structures import BaseDataElement, PixelData

from mmparts.registry import MODELS


class VolumeMap(BaseDataElement):
    """A map over a volume: C D H W in ``data``."""


def sample(size, num_classes=3, seed=0, empty=False, **metainfo):
    """A sample of random blocks of classes, the first axis first."""
    generator = torch.Generator().manual_seed(seed)
    coarse = torch.randint(num_classes, (1, 1, *(-(-side // 4) for side in size)), generator=generator).float()
    labels = torch.nn.functional.interpolate(coarse, size=tuple(size))[0].long()
    if empty:
        labels.zero_()
    maps = PixelData if len(size) == 2 else VolumeMap
    made = BaseDataElement(metainfo=dict(img_path=f'image_{seed}.png', ori_shape=tuple(size), **metainfo))
    made.gt_sem_seg = maps(data=labels)
    return made


def batch(model, sizes, num_classes=None, training=True):
    """Two inputs of unequal sizes, the second without objects, as the model's preprocessor makes a batch of them."""
    num_classes = num_classes or model.num_classes
    torch.manual_seed(0)
    inputs = [torch.randn(model.in_channels, *size) for size in sizes]
    samples = [sample(size, num_classes, seed=i, empty=i == 1) for i, size in enumerate(sizes)]
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples), training)


def build(cfg):
    """A model with every parameter away from the values that it starts with."""
    torch.manual_seed(0)
    model = MODELS.build(cfg)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter += 0.02 * torch.randn_like(parameter)
    return model


def trains(model, sizes, dead=(), num_classes=None):
    """Run one training step; every parameter but the ``dead`` ones gets a finite gradient, and a second forward pass in
    eval mode says the same as the first. Returns the losses."""
    model.train()
    data = batch(model, sizes, num_classes)
    losses = model(**data, mode='loss')
    total = sum(value for key, value in losses.items() if 'loss' in key)
    assert total.isfinite()
    total.backward()
    without = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is None or not parameter.grad.isfinite().all()
    }
    assert without == set(dead), sorted(without ^ set(dead))[:10]

    model.eval()
    with torch.no_grad():
        first, second = (model(data['inputs'], mode='tensor') for _ in range(2))
        predicted = model(**batch(model, sizes, num_classes, training=False), mode='predict')
    assert first.equal(second)
    for one, size in zip(predicted, sizes):
        assert tuple(one.seg_logits.data.shape) == (model.num_classes, *size)
        assert tuple(one.pred_sem_seg.data.shape[1:]) == tuple(size)
        assert one.pred_sem_seg.data.dtype == torch.uint8
    return losses
