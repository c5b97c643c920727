"""Parameter counts of the shipped configs are those of the official models with 91 classes."""

import pytest
import tiny
from mmengine.config import Config

from mmparts.analysis.complexity import Parameters, build_on_meta

COUNTS = {
    'detr/detr_r50_8xb2-150e_coco.py': 41_524_768,
    'detr/detr_r50_8xb2-500e_coco.py': 41_524_768,
    'detr/detr_r50-dc5_8xb2-500e_coco.py': 41_524_768,
    'detr/detr_r101_8xb2-500e_coco.py': 60_464_672,
    'detr/detr_r101-dc5_8xb2-500e_coco.py': 60_464_672,
    'detr/detr-masks_r50_8xb2-150e_coco-instance.py': 42_858_425,
    'deformable_detr/deformable-detr_r50_16xb2-50e_coco.py': 40_069_665,
    'deformable_detr/deformable-detr-singlescale_r50_16xb2-50e_coco.py': 34_066_593,
    'deformable_detr/deformable-detr-refine_r50_16xb2-50e_coco.py': 40_849_660,
    'deformable_detr/deformable-detr-refine-twostage_r50_16xb2-50e_coco.py': 41_181_529,
    'dab_detr/dab-detr_r50_8xb2-50e_coco.py': 43_671_517,
    'dab_detr/dab-detr_r50-dc5_8xb2-50e_coco.py': 43_671_517,
    'dab_detr/dab-detr-3pattern_r50_8xb2-50e_coco.py': 43_672_285,
    'dab_detr/dab-detr_r101_8xb2-50e_coco.py': 62_611_421,
    'dab_detr/dab-deformable-detr_r50_8xb2-50e_coco.py': 47_405_994,
    'dn_detr/dn-detr_r50_8xb2-50e_coco.py': 43_694_977,
    'dn_detr/dn-detr-3pattern_r50_8xb2-50e_coco.py': 43_695_745,
    'dn_detr/dn-deformable-detr_r50_8xb2-50e_coco.py': 47_429_154,
    'dn_detr/dn-detr-deformable-encoder-3pattern_r50_16xb1-50e_coco.py': 48_488_589,
    'h_detr/h-deformable-detr_r50_8xb2-12e_coco.py': 47_946_073,
    'h_detr/h-deformable-detr_r50_8xb2-36e_coco.py': 47_946_073,
    'h_detr/h-deformable-detr-one2one_r50_8xb2-12e_coco.py': 47_562_073,
    'h_detr/h-deformable-detr-plain_r50_8xb2-12e_coco.py': 47_485_273,
    'dino/dino-4scale_r50_8xb2-12e_coco.py': 46_893_182,
    'dino/dino-5scale_r50_8xb2-12e_coco.py': 47_255_806,
    'dino/dino-4scale_r101_8xb2-12e_coco.py': 65_833_086,
}
FROZEN = 222_400  # convolutions of the stem and the first stage


@pytest.mark.parametrize('name', COUNTS)
def test_parameter_count(name):
    """The official code keeps the norms of its ResNet in buffers, which do not count; and it trains all else but the
    stem and the first stage."""
    cfg = Config.fromfile(tiny.CONFIGS / name)
    cfg.model.num_classes = 91

    parameters = Parameters.of(build_on_meta(cfg))

    assert parameters.without_frozen_norms == COUNTS[name]
    assert parameters.trainable == COUNTS[name] - FROZEN


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
        assert Parameters.of(whole).without_frozen_norms - heads == trained
    cfg.model.groups = []
    assert Parameters.of(build_on_meta(cfg)).without_frozen_norms == main


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
    assert Parameters.of(build_on_meta(cfg)).without_frozen_norms == count


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
    assert Parameters.of(build_on_meta(cfg)).without_frozen_norms == count
