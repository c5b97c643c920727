"""Rates by depth, against BEiT's rule, and few groups."""

import pytest
import torch
from mmengine.registry import DefaultScope

from mmparts.engine import LayerDecayConstructor
from mmparts.registry import MODELS

VIT = dict(type='mmparts.ViT', arch=dict(embed_dims=32, num_layers=2, num_heads=2), image_size=64, out='class')


def model(backbone=VIT):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(dict(type='mmparts.Classifier', backbone=backbone, num_classes=5))


def settings(built, **paramwise) -> dict[str, tuple[float, float]]:
    """Name -> rate and weight decay."""
    cfg = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1.0, weight_decay=0.05))
    optimizer = LayerDecayConstructor(cfg, paramwise)(built).optimizer
    names = {id(each): name for name, each in built.named_parameters()}
    found = {
        names[id(each)]: (group['lr'], group['weight_decay'])
        for group in optimizer.param_groups
        for each in group['params']
    }
    keys = [(group['lr'], group['weight_decay']) for group in optimizer.param_groups]
    assert len(keys) == len(set(keys)) and len(found) == sum(each.requires_grad for each in built.parameters())
    return found


def test_the_last_layer_and_the_head_have_the_full_rate():
    found = settings(model(), layer_decay=0.5)
    assert found['head.fc.weight'] == (1.0, 0.05) and found['backbone.norm.weight'] == (1.0, 0.0)
    assert found['backbone.blocks.1.mlp.part.fc1.weight'] == (0.5, 0.05)
    assert found['backbone.blocks.0.mlp.part.fc1.bias'] == (0.25, 0.0)
    for name in ('patch_embed.proj.weight', 'position.grid'):
        assert found[f'backbone.{name}'] == (0.125, 0.05)
    assert found['backbone.class_token'] == (0.125, 0.0)


def test_a_model_whose_fusion_is_the_transformer_says_its_depths():
    """BEiT-3's code: names with `embed` 0, `layers.i` i + 1, the rest last."""
    arch = dict(embed_dims=32, num_layers=2, num_heads=2)
    text = dict(type='mmparts.TextInputs', tokenizer=dict(type='mmparts.ByteTokenizer', context_length=16))
    cfg = dict(
        type='mmparts.MultimodalModel',
        data_preprocessor=dict(
            type='mmparts.MultimodalPreprocessor', inputs=dict(image=dict(type='mmparts.ImageInputs'), text=text)
        ),
        towers=dict(image=dict(type='mmparts.PatchTower', arch=arch), text=dict(type='mmparts.WordTower', arch=arch)),
        fusion=dict(type='mmparts.MultiwayFusion', arch=arch, image_size=32),
        projections=dict(image=8, text=8),
        objectives=dict(contrastive=dict(type='mmparts.Contrastive')),
    )
    with DefaultScope.overwrite_default_scope('mmdet'):
        found = settings(MODELS.build(cfg), layer_decay=0.5, no_decay=('positions.image',))
        assert found['towers.text.words.weight'] == found['fusion.positions.text'] == (0.125, 0.05)
        assert found['fusion.positions.image'] == (0.125, 0.0)
        assert found['fusion.blocks.0.mlp.text.fc1.weight'] == (0.25, 0.05)
        assert found['fusion.blocks.1.attn.in_proj.image.weight'] == (0.5, 0.05)
        assert found['fusion.norm.text.weight'] == (1.0, 0.0) and found['projections.image.weight'] == (1.0, 0.05)

        image = dict(type='mmparts.ImageTower', backbone=VIT)
        words = dict(type='mmparts.CausalTextTower', embed_dims=32, num_layers=1)
        bare = MODELS.build(dict(cfg, towers=dict(image=image, text=words), fusion=None))
        with pytest.raises(ValueError, match='no fusion says no depth'):
            settings(bare, layer_decay=0.5)


def test_without_decay_there_are_two_groups_and_names_are_spared():
    found = settings(model(), no_decay=('position',), rates={'head.*': 10})
    assert set(found.values()) == {(1.0, 0.05), (1.0, 0.0), (10.0, 0.05), (10.0, 0.0)}
    assert found['backbone.position.grid'] == (1.0, 0.0)
    assert settings(model(), decay_1d=True)['backbone.norm.weight'] == (1.0, 0.05)


def test_frozen_parameters_are_left_out():
    built = model(dict(VIT, frozen_blocks=1))
    cfg = dict(optimizer=dict(type='SGD', lr=0.1))
    optimizer = LayerDecayConstructor(cfg)(built).optimizer
    assert all(each.requires_grad for group in optimizer.param_groups for each in group['params'])
    assert isinstance(optimizer, torch.optim.SGD) and optimizer.defaults['fused']


@pytest.mark.parametrize(
    ('paramwise', 'words'),
    [
        (dict(custom_keys={}), 'paramwise_cfg has custom_keys'),
        (dict(rates={'*offset*': 0.1}), r'\*offset\* of paramwise_cfg fit no parameter'),
        (dict(no_decay=('cpb_mlp',)), 'cpb_mlp of paramwise_cfg'),
    ],
)
def test_words_and_patterns_without_effect_are_refused(paramwise, words):
    with pytest.raises(ValueError, match=words):
        settings(model(), **paramwise)


def test_a_backbone_without_ids_is_refused():
    resnet = dict(type='ResNet', depth=18, base_channels=8, out_indices=(3,))
    with pytest.raises(ValueError, match='ResNet says no `layer_id`'):
        settings(model(resnet), layer_decay=0.9)
