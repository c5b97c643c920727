"""A frozen backbone whose maps are computed once for each image."""

import pytest
import torch

from mmparts.backbones import RememberedMaps, SimplePyramid
from mmparts.registry import MODELS

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=2, num_heads=2), image_size=64, out_indices=(0, 1))


@pytest.fixture
def wrapped() -> RememberedMaps:
    torch.manual_seed(0)
    return MODELS.build(dict(type='mmparts.RememberedMaps', backbone=VIT)).train()


def count_images(wrapped: RememberedMaps) -> list[int]:
    """Images of each call of the backbone, as they come."""
    calls = []
    wrapped.backbone.register_forward_hook(lambda module, args, out: calls.append(len(args[0])))
    return calls


def test_remembered_maps_equal_those_of_the_backbone(wrapped):
    images = torch.randn(3, 3, 64, 96)
    first, again = wrapped(images), wrapped(images.flip(0))
    for level, (once, twice) in zip(wrapped.backbone(images), zip(first, again)):
        torch.testing.assert_close(once, level)
        torch.testing.assert_close(twice, level.flip(0))
    assert (wrapped.channels, wrapped.strides) == ((32, 32), (16, 16))


def test_only_what_is_new_is_computed(wrapped):
    calls, images = count_images(wrapped), torch.randn(3, 3, 64, 64)
    wrapped(images[:2]), wrapped(images), wrapped(images)
    assert calls == [2, 1]
    changed = images.clone()
    changed[0, 0, 0, 0] += 1
    wrapped(changed)
    assert calls == [2, 1, 1]


def test_what_does_not_fit_is_computed_each_time():
    wrapped = RememberedMaps(VIT, gib=2 * 2 * 32 * 16 * 4 / 2**30).train()  # two images of two maps of 4x4
    calls, images = count_images(wrapped), torch.randn(3, 3, 64, 64)
    for _ in range(2):
        maps = wrapped(images)
    assert calls == [3, 1] and len(wrapped.kept) == 2
    torch.testing.assert_close(maps[1], wrapped.backbone(images)[1])


def test_nothing_is_kept_in_evaluation_and_nothing_learns(wrapped):
    wrapped.eval()(torch.randn(1, 3, 64, 64))
    assert not wrapped.kept
    assert not any(parameter.requires_grad for parameter in wrapped.parameters())
    assert not wrapped.train().backbone.training
    assert not wrapped(torch.randn(1, 3, 64, 64))[0].requires_grad


def test_mixed_precision_is_kept_in_its_own_type():
    wrapped = RememberedMaps(VIT, dtype='bfloat16').train()
    images = torch.randn(1, 3, 64, 64)
    (fresh, _), (kept, _) = wrapped(images), wrapped(images)
    assert fresh.dtype == kept.dtype == torch.float32
    assert next(iter(wrapped.kept.values()))[0].dtype == torch.bfloat16
    torch.testing.assert_close(kept, wrapped.backbone(images)[0], atol=0.1, rtol=0.1)


def test_a_pyramid_takes_each_level_from_the_map_that_is_named():
    torch.manual_seed(0)
    pyramid = SimplePyramid([8, 16, 24], out_channels=4, scales=(2, 1, 0.5), maps=(0, 1, -1))
    maps = [torch.randn(1, channels, 4, 6) for channels in (8, 16, 24)]
    before = pyramid(maps)
    maps[1] = torch.randn_like(maps[1])
    after = pyramid(maps)
    assert [torch.equal(*pair) for pair in zip(before, after)] == [True, False, True]
    with pytest.raises(ValueError, match='one of 3 maps'):
        SimplePyramid([8, 16, 24], scales=(2, 1), maps=(0, 3))
    with pytest.raises(ValueError, match='for each of the scales'):
        SimplePyramid([8, 16, 24], scales=(2, 1), maps=(0,))
