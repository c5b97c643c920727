"""Holding a model of ours against an independent implementation, with the same weights and the same images.

``pytest tests -k parity -v -s`` prints how far apart the two are.
"""

import re
from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass

import pytest
import tiny
import torch
from mmdet.structures.bbox import bbox_xyxy_to_cxcywh
from mmengine.config import Config
from mmengine.registry import DefaultScope
from torch import Tensor, nn

from mmparts.ops.mmcv.torchvision_guard import declare_ops_where_broken
from mmparts.registry import MODELS

LOGITS, BOXES, LOSSES, GRADIENTS = 1e-4, 1e-5, 1e-5, 1e-4  # largest differences; the last two relative

# The real width keeps the config's channels, heads and feed-forward nets; only depth and backbone are small.
WIDTHS = {
    'small': dict(embed_dims=64, num_queries=20, layer=dict(num_heads=4, ffn_channels=96)),
    'real': dict(embed_dims=256, num_queries=300, layer=dict(num_heads=8)),
}


def reference(name: str):
    """The module of an independent implementation; skips the test where it is not installed."""
    declare_ops_where_broken()
    return pytest.importorskip(name, exc_type=ImportError)


def build(base: str, width: str, **changes) -> nn.Module:
    """The model of a config in ``configs/_base_/models``, shallow, on a ResNet-50 with an eighth of its channels.

    91 classes, as in the papers' codes; 2 encoder layers, and 3 decoder layers so that references move twice.
    """
    sizes = WIDTHS[width]
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / f'{base}.py')
    cfg.merge_from_dict(
        dict(
            model=dict(
                num_classes=91,
                embed_dims=sizes['embed_dims'],
                num_queries=sizes['num_queries'],
                backbone=dict(base_channels=8, init_cfg=None),
                encoder=dict(num_layers=2, **sizes['layer']),
                decoder=dict(num_layers=3, **sizes['layer']),
            )
        )
    )
    cfg.merge_from_dict(dict(model=changes))
    torch.manual_seed(0)
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)
    randomise(model)
    model.cfg = cfg.model
    return model.eval()


@torch.no_grad()
def randomise(model: nn.Module):
    """Every weight and statistic far from its start, so that no path is idle and no norm is the identity."""
    learned = ('level_embed', 'pos.weight', 'content.weight', 'patterns.weight', 'label_embed.weight')
    for name, parameter in model.named_parameters():
        if name.endswith(learned):
            parameter.normal_()
        elif parameter.dim() > 1:
            parameter.normal_(std=parameter[0].numel() ** -0.5)
        elif name.endswith('weight'):
            parameter.uniform_(0.5, 1.5)
        else:
            parameter.normal_(std=0.5)
    for name, buffer in model.named_buffers():
        if name.endswith('running_mean'):
            buffer.normal_(std=0.1)
        elif name.endswith('running_var'):
            buffer.uniform_(1, 2)


@dataclass
class Batch:
    """Two images, each padded at another side."""

    images: Tensor
    samples: list

    @property
    def valid(self) -> Tensor:
        """B H W, 1 on the image and 0 on padding."""
        mask = torch.zeros(len(self.images), *self.images.shape[-2:], dtype=torch.long)
        for one, sample in zip(mask, self.samples):
            height, width = sample.img_shape
            one[:height, :width] = 1
        return mask

    @property
    def labels(self) -> list[dict]:
        """Objects as transformers takes them: normalised cxcywh."""
        made = []
        for sample in self.samples:
            height, width = sample.img_shape
            boxes = bbox_xyxy_to_cxcywh(sample.gt_instances.bboxes) / torch.tensor([width, height, width, height])
            made.append(dict(class_labels=sample.gt_instances.labels, boxes=boxes))
        return made


def batch(counts: tuple[int, int] = (3, 5)) -> Batch:
    sizes = ((128, 100), (90, 160))
    samples = tiny.samples(sizes, counts, num_classes=91)
    images = torch.zeros(len(sizes), 3, 128, 160)
    random = torch.Generator().manual_seed(1)
    for image, sample, (height, width) in zip(images, samples, sizes):
        image[:, :height, :width] = torch.randn(3, height, width, generator=random)
        sample.set_metainfo(dict(batch_input_shape=(128, 160)))
    return Batch(images, samples)


@contextmanager
def double_precision():
    """Build and run everything within in float64, also what we keep in float32 whatever the autocast."""
    to_float = Tensor.float
    torch.set_default_dtype(torch.float64)
    Tensor.float = Tensor.double
    try:
        yield
    finally:
        torch.set_default_dtype(torch.float32)
        Tensor.float = to_float


def weights_of(model: nn.Module) -> dict[str, Tensor]:
    """Parameters and buffers by name; the parameters themselves, so that gradients reach them."""
    tensors = {**dict(model.named_parameters(remove_duplicate=False)), **dict(model.named_buffers())}
    return {
        name: tensor
        for name, tensor in tensors.items()
        if not name.endswith('num_batches_tracked') and not name.startswith('data_preprocessor.')
    }


def branch(ours: nn.Module, kind: str, index: int) -> str:
    """Our 'class' or 'box' branch for a head of theirs: they have one for each decoder layer, shared or not, and then
    that of the encoder's proposals."""
    if index == ours.head.num_layers:
        return f'queries.{kind}_branch'
    return f'head.{kind}_branches.{min(index, len(ours.head.class_branches) - 1)}'


def translate(weights: dict[str, Tensor], theirs: nn.Module, rules: list[tuple[str, str | Callable]]) -> dict:
    """Our weights under the names of their model.

    Args:
        weights: ours, by name.
        rules: pairs for ``re.sub``, applied one after another: they turn a name of theirs into one of ours.

    Raises:
        AssertionError: a tensor of theirs has no origin, or another shape; or one of ours has no place.
    """
    translated, origins = {}, set()
    for name, tensor in weights_of(theirs).items():
        origin = name
        for pattern, replacement in rules:
            origin = re.sub(pattern, replacement, origin)
        assert origin in weights, f'{name} would be our {origin}, which does not exist'
        assert weights[origin].shape == tensor.shape, f'{name} {tensor.shape}: {origin} {weights[origin].shape}'
        translated[name] = weights[origin]
        origins.add(origin)
    assert origins == set(weights), f'without a place in the other model: {sorted(set(weights) - origins)}'
    return translated


def run(model: nn.Module, weights: dict[str, Tensor], *args, **kwargs):
    """Call the model with these weights in place of its own."""
    return torch.func.functional_call(model, weights, args, kwargs)


def close(what: str, ours: Tensor, theirs: Tensor, limit: float):
    """Hold the largest difference against the limit, and print it."""
    assert ours.shape == theirs.shape, f'{what}: ours {tuple(ours.shape)}, theirs {tuple(theirs.shape)}'
    difference = (ours - theirs).abs().max().item()
    report(what, difference, limit)
    assert theirs.std() > 100 * limit, f'{what} hardly vary: nothing is compared'
    assert difference <= limit, f'{what} differ by {difference:.1e}, more than {limit:.0e}'


def close_losses(ours: dict[str, Tensor], theirs: dict[str, Tensor]):
    """Hold every term against its counterpart, relative to the term."""
    assert ours.keys() == theirs.keys()
    differences = {
        name: abs(ours[name].item() - theirs[name].item()) / max(abs(theirs[name].item()), 1) for name in ours
    }
    worst = max(differences, key=differences.get)
    report(f'{len(ours)} losses, relative', differences[worst], LOSSES)
    assert all(difference <= LOSSES for difference in differences.values()), differences


def close_gradients(model: nn.Module, ours: list[Tensor], theirs: list[Tensor]):
    """Hold the gradients of our weights through both models against each other, under the same random gradient of
    the outputs; relative to the largest gradient of each weight.

    To be called in double precision: bilinear sampling has kinks, and one of a million samples that rounding moves
    across a cell's border changes a weight's gradient by a thousandth.
    """
    names, parameters = zip(*((name, each) for name, each in model.named_parameters() if each.requires_grad))
    random = torch.Generator().manual_seed(2)
    probes = [torch.randn(each.shape, generator=random) for each in ours]
    first, second = (
        torch.autograd.grad(outputs, parameters, probes, retain_graph=True, allow_unused=True)
        for outputs in (ours, theirs)
    )
    differences = {
        name: ((a - b).abs().max() / b.abs().max().clamp(min=1e-6)).item()
        for name, a, b in zip(names, first, second)
        if not (a is None and b is None)
    }
    worst = max(differences, key=differences.get)
    report(f'{len(differences)} gradients, relative', differences[worst], GRADIENTS)
    assert all(difference <= GRADIENTS for difference in differences.values()), (worst, differences[worst])


def report(what: str, difference: float, limit: float):
    print(f'\n  {what:<28} {difference:.1e} (limit {limit:.0e})', end=' ')
