"""Parameter counts are those of official models; of shipped configs as a whole: test_analysis/test_model_cards.py."""

import pytest
import tiny
from mmengine.config import Config

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.analysis.tables.model_cards import reference, systems

# What the authors' codes count, from the metafiles: (config, count, options of the model).
REFERENCES = [
    (model['Config'], *reference(model))
    for members in systems(tiny.CONFIGS.parent).values()
    for model, _ in members
    if 'Reference' in model
]
FROZEN = 222_400  # convolutions of the stem and the first stage


@pytest.mark.parametrize(
    ('config', 'count', 'options'), [row for row in REFERENCES if row[2] == dict(num_classes=91)], ids=str
)
def test_the_stem_and_the_first_stage_are_not_trained(config, count, options):
    """The official code keeps the norms of its ResNet in buffers, which do not count."""
    cfg = Config.fromfile(tiny.CONFIGS.parent / config)
    cfg.merge_from_dict(dict(model=options))
    assert Parameters.of(build_on_meta(cfg)).trainable == count - FROZEN


@pytest.mark.parametrize(
    ('name', 'main', 'trained'),
    [
        ('co_detr/co-deformable-detr_r50_8xb2-12e_coco.py', 47_541_260, 0),
        ('co_detr/co-dino-5scale_r50_8xb2-12e_coco.py', 48_011_660 - 80 * 256, 48_865_932),
    ],
)
def test_co_detr(name, main, trained):
    """80 classes. Of Co-DINO the official code keeps the labels of denoising at inference too; `trained` is what it has
    besides the auxiliary heads."""
    cfg = Config.fromfile(tiny.CONFIGS / name)
    whole = build_on_meta(cfg)
    if trained:
        heads = sum(each.numel() for each in whole.groups[-1].heads.parameters())
        assert Parameters.of(whole).as_papers_count - heads == trained
    cfg.model.groups = []
    assert Parameters.of(build_on_meta(cfg)).as_papers_count == main


@pytest.mark.parametrize(
    ('name', 'changes', 'count'),
    [
        ('dino/dino-4scale_r50_8xb2-12e_coco.py', dict(num_classes=91, head=dict(share_branches=False)), 47_673_177),
        ('detr/detr-masks_r50_8xb2-150e_coco-instance.py', dict(num_classes=250), 42_899_288),  # COCO's panoptic ids
        ('detreg/detreg-deformable_r50_16xb2-50e_coco.py', dict(num_classes=21), 40_051_675),  # Pascal VOC
        (
            'mask_dino/mask-dino_r50_8xb2-50e_coco-instance.py',
            dict(num_levels=3, encoder=dict(ffn_channels=1024)),
            43_816_436,
        ),
    ],
)
def test_variants_that_no_config_has(name, changes, count):
    cfg = Config.fromfile(tiny.CONFIGS / name)
    cfg.merge_from_dict(dict(model=changes))
    assert Parameters.of(build_on_meta(cfg)).as_papers_count == count


@pytest.mark.parametrize(
    ('name', 'things', 'count'),
    [
        ('mask2former_r50_8xb2-lsj-50e_coco.py', 80, 43_970_257),
        ('mask2former_r50_8xb2-lsj-50e_coco-panoptic.py', 80, 43_983_878),  # and 53 classes of stuff
        ('mask2former_r50_8xb2-lsj-50e_coco.py', 150, 43_988_247),
    ],
)  # ADE20K
def test_mask2former(name, things, count):
    """mmdet's own has the parameters of the official code."""
    cfg = Config.fromfile(tiny.CONFIGS / 'mask2former' / name)
    head = cfg.model.panoptic_head
    head.num_things_classes = things
    head.loss_cls.class_weight = [1.0] * (things + head.num_stuff_classes) + [0.1]
    assert Parameters.of(build_on_meta(cfg)).as_papers_count == count
