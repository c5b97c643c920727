"""An image gives the same detections alone and beside a larger one.

That is a property of everything from the encoder on. Backbones and necks do not have it: a 3x3 convolution carries the
padding inwards and group norm averages over it. Here they are replaced by patches that do not overlap and by 1x1
convolutions without norm, and images have sizes that every stride divides: elsewhere a cell is part image and part
padding.
"""

import pytest
import torch
from tiny import base, batch, build
from torch import nn

LARGE, SMALL = (96, 128), (64, 96)


class Patches(nn.Module):
    """Each level from patches of its stride."""

    def __init__(self, strides=(8, 16, 32), **kwargs):
        super().__init__()
        self.strides, self.channels = strides, (8,) * len(strides)
        self.levels = nn.ModuleList(nn.Conv2d(3, 8, stride, stride) for stride in strides)

    def init_weights(self):
        pass

    def forward(self, images):
        return tuple(level(images) for level in self.levels)


def detector(name: str, **changes) -> nn.Module:
    strides = (32,) if name == 'detr_r50' else (8, 16, 32)
    return build(
        base(
            name,
            backbone=dict(_delete_=True, type=Patches, strides=strides),
            neck=dict(norm_cfg=None),
            num_levels=len(strides),
            **changes,
        )
    ).eval()


def alone_and_together(model) -> tuple[dict, dict]:
    """The model's inputs with the small image alone, and beside the large one, with noise in its padding."""
    together = batch(model, sizes=(SMALL, LARGE), counts=(2, 3))
    height, width = SMALL
    alone = dict(inputs=together['inputs'][:1, :, :height, :width].clone(), data_samples=together['data_samples'][:1])
    together['inputs'][0, :, height:] = torch.randn(3, LARGE[0] - height, LARGE[1])
    together['inputs'][0, :, :, width:] = torch.randn(3, LARGE[0], LARGE[1] - width)
    return alone, together


@pytest.mark.parametrize(
    'name', ['detr_r50', 'deformable_detr_r50', 'deformable_detr_refine_r50', 'deformable_detr_refine_twostage_r50']
)
def test_an_image_alone_and_in_a_batch(name):
    model = detector(name)
    alone, together = alone_and_together(model)
    with torch.no_grad():
        first, second = model(**alone, mode='tensor'), model(**together, mode='tensor')
    assert first['logits'].allclose(second['logits'][:, :1], atol=1e-4)
    assert first['boxes'].allclose(second['boxes'][:, :1], atol=1e-4)
    assert first['boxes'].std() > 0.01  # not all the same for another reason


@pytest.mark.parametrize('name', ['detr_r50', 'dino_r50'])
def test_the_memory_of_an_image_alone_and_in_a_batch(name):
    model = detector(name)
    alone, together = alone_and_together(model)
    with torch.no_grad():
        first, second = (model.encode(data['inputs'], data['data_samples']) for data in (alone, together))
    valid = second.keep[0]
    assert first.keep is None and valid.sum() == first.tokens.shape[1]
    for part in ('tokens', 'pos', 'centres'):
        assert getattr(first, part)[0].allclose(getattr(second, part)[0, valid], atol=1e-4)


def test_dino_proposes_the_same_boxes_and_embeds_them_in_the_padded_map():
    """Its query positions are sines of the boxes in the padded map (as in the official code), so that from there on
    the two must differ; without that scaling they do not."""
    model = detector('dino_r50')
    alone, together = alone_and_together(model)
    with torch.no_grad():
        first, second = (model.encode(data['inputs'], data['data_samples']) for data in (alone, together))
        one, two = (model.queries(memory, model.head)[0] for memory in (first, second))
        assert one.reference.allclose(two.reference[:1], atol=1e-4)
        assert one.content.equal(two.content[:1])

        def positions_differ():
            return (
                model.decoder.position(one.reference, first) - model.decoder.position(two.reference, second)[:1]
            ).abs().max() > 1e-3

        assert positions_differ()
        second.valid_ratios = torch.ones_like(second.valid_ratios)
        assert not positions_differ()


@pytest.mark.parametrize('name', ['detr_r50', 'deformable_detr_r50', 'deformable_detr_refine_twostage_r50', 'dino_r50'])
def test_images_of_a_batch_do_not_mix(name):
    """With the real backbone and neck: another order of images is another order of results."""
    model = build(base(name)).eval()
    data = batch(model, sizes=(SMALL, LARGE, (96, 64)), counts=(1, 0, 2))
    order = [2, 0, 1]
    with torch.no_grad():
        first = model(**data, mode='tensor')
        second = model(data['inputs'][order], [data['data_samples'][index] for index in order], mode='tensor')
    assert first['boxes'][:, order].allclose(second['boxes'], atol=1e-4)
    assert first['logits'][:, order].allclose(second['logits'], atol=1e-4)


def test_a_padding_that_is_all_image_is_no_padding():
    """Images that fill the batch take the path without masks; a mask of ones must give the same."""
    model = build(base('deformable_detr_refine_twostage_r50')).eval()
    data = batch(model, sizes=(SMALL, SMALL))
    with torch.no_grad():
        feats = model.extract_feat(data['inputs'])
        ones = [torch.ones(2, *feat.shape[-2:], dtype=torch.bool) for feat in feats]
        first, second = (
            model.decode([model.queries(memory, model.head)[0]], memory)
            for memory in (model.encoder(feats, None), model.encoder(feats, ones))
        )
    assert first['boxes'].allclose(second['boxes'], atol=1e-5)
