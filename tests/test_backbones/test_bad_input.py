"""Every backbone: what does not go is refused with what was got and what would be right; what goes is finite."""

import pytest
import torch

from mmparts.analysis.comparisons.backbone_combinations import ADAPTER, BACKBONES
from mmparts.engine import WeightsDoNotFit
from mmparts.engine.initialisation.fit import load_and_account
from mmparts.registry import MODELS

BARE = {name: BACKBONES[name] for name in ('ViT', 'Swin', 'SwinV2', 'InternImage')}


def build(name: str, **changes):
    return MODELS.build(dict(BACKBONES[name], **changes)).eval()


@pytest.mark.parametrize('name', BACKBONES)
@pytest.mark.parametrize('size', [(2, 3), (15, 40), (33, 70), (64, 96)])
def test_maps_of_any_size_or_what_would_be_right(name, size):
    """Maps are rounded up; what a ViT or an adapter does not take is named with its size."""
    model = build(name)
    if (name == 'ViT' and min(size) < 16) or ('Adapter' in name and any(side % 32 for side in size)):
        with pytest.raises(ValueError, match=rf'image {size[0]}x{size[1]} is .* pad '):
            model(torch.randn(1, 3, *size))
        return
    with torch.no_grad():
        maps = model(torch.randn(1, 3, *size))
    wanted = [tuple(-(-side // stride) for side in size) for stride in model.strides]
    assert [tuple(each.shape[2:]) for each in maps] == wanted
    assert all(each.isfinite().all() for each in maps)


@pytest.mark.parametrize('name', BACKBONES)
def test_images_of_other_channels(name):
    with pytest.raises(ValueError, match=r'images have 4 channels[,;] .*3'):
        build(name)(torch.zeros(1, 4, 64, 64))
    assert build('Swin', in_channels=4)(torch.zeros(1, 4, 32, 32))[0].isfinite().all()


@pytest.mark.parametrize('name', BARE)
def test_an_arch_that_is_unknown(name):
    with torch.device('meta'), pytest.raises(ValueError, match=r"arch='bsae' is unknown; choose from \[.*'base'"):
        build(name, arch='bsae')


@pytest.mark.parametrize('name', ['Swin', 'SwinV2'])
def test_a_window_larger_than_the_map_is_the_map(name):
    """A map of 8 x 8 under windows of 16: one window sees it all."""
    torch.manual_seed(0)
    model = build(name, window_size=16, out_indices=(0,))
    for parameter in model.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    image = torch.randn(1, 3, 32, 32)
    far = image.clone()
    far[..., -4:, -4:] += 1  # the last patch
    with torch.no_grad():
        moved = (model(far)[0] - model(image)[0]).abs().sum(1)
    assert (moved > 0).all(), 'the first corner sees the last'


def test_windows_of_a_vit_larger_than_the_map():
    model = MODELS.build(dict(BACKBONES['ViT'], window_size=14)).eval()
    assert model(torch.randn(1, 3, 64, 48))[0].isfinite().all()


@pytest.mark.parametrize('name', BACKBONES)
def test_weights_of_another_size(name):
    """A few stages or blocks fit by name and none by shape: refused, with a shape of both."""
    wide = dict(BACKBONES[name])
    if name in BARE:
        wide['arch'] = dict(wide['arch'], embed_dims=2 * wide['arch']['embed_dims'])
    else:
        vit = wide['vit']
        wide['vit'] = dict(vit, arch=dict(vit['arch'], embed_dims=2 * vit['arch']['embed_dims']))
    with pytest.raises(WeightsDoNotFit, match=r'\d % of parameters loaded'):
        load_and_account(build(name), MODELS.build(wide).state_dict())


def test_an_adapter_on_another_vit():
    with pytest.raises(ValueError, match='patches of 14 pixels'):
        MODELS.build(dict(ADAPTER, vit=dict(ADAPTER['vit'], patch_size=14)))
