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


def official_names(layout, model):
    """Official name -> our tensor's shape, of all that a layout reads; from its rules."""
    made = layout.convert({}, model)
    assert not made.refused, made.refused
    return {name for names in made.sources.values() for name in names}


def both_ways(layout, official, model):
    """Fill the model from the official one through the layout, strictly, then write its weights back under the official
    names: they must be the same."""
    state = {key: value for key, value in official.state_dict().items()}
    made = layout.convert(state, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    model.load_state_dict(made.state)
    back = {names[0]: made.state[name] for name, names in made.sources.items()}
    assert {key for key in state if key not in back} == set(made.dropped)
    for key, value in back.items():
        assert value.reshape(state[key].shape).equal(state[key]), key


def randomise(module):
    """Every parameter drawn anew: what starts at zero would hide what it does."""
    torch.manual_seed(0)
    with torch.no_grad():
        for parameter in module.parameters():
            parameter.copy_(0.1 * torch.randn_like(parameter) + (1.0 if parameter.ndim == 1 else 0.0))
    return module.eval()


def count(cfg):
    """Parameters of a model, built on the meta device."""
    with torch.device('meta'):
        return sum(parameter.numel() for parameter in MODELS.build(cfg).parameters())


def official_state(layout, model, shapes={}, copies='no copies'):
    """A checkpoint that a layout reads, of random numbers: the names and shapes of its rules, several names the equal
    parts of one tensor; ``shapes`` of those that are stored in another form. Names with ``copies`` in them hold the
    same tensor whole."""
    torch.manual_seed(1)
    state = {}
    for ours, names in layout.convert({}, model).sources.items():
        tensor = model.state_dict()[ours]
        for name in names:
            parts = 1 if copies in name else len(names)
            shape = shapes.get(name, (tensor.shape[0] // parts, *tensor.shape[1:]) if tensor.ndim else ())
            state[name] = torch.rand(shape).to(tensor.dtype)
    return state


def converts(layout, model, shapes={}, computed=()):
    """The layout fills every tensor of ours from an official checkpoint, and refuses what is missing or unknown.
    Returns the official checkpoint and ours."""
    state = official_state(layout, model, shapes)
    made = layout.convert({**state, **{name: torch.zeros(1) for name in computed}}, model)
    assert not made.missing and not made.refused and not made.unexpected, made
    assert set(made.state) == set(model.state_dict())
    assert set(made.dropped) == set(computed)
    model.load_state_dict(made.state)
    gone = next(iter(state))
    assert layout.convert({key: value for key, value in state.items() if key != gone}, model).missing
    assert layout.convert({**state, 'a.stranger': torch.zeros(1)}, model).unexpected == ['a.stranger']
    return state, made.state


def on_meta(cfg):
    """A model of full size without memory."""
    with torch.device('meta'):
        return MODELS.build(cfg)
