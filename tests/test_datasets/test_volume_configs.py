"""The data set bases of volumes, cubes and small sets of images: pipelines are built, and run where the data are."""

from pathlib import Path

import pytest
import torch
from mmengine.config import Config
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader
from volume_files import REAL

from mmparts.datasets import set_data_root
from mmparts.datasets.phantoms import make_phantoms
from mmparts.registry import DATA_SAMPLERS, DATASETS, METRICS, TRANSFORMS

BASES = Path(__file__).resolve().parents[2] / 'configs' / '_base_' / 'datasets'
PAPERS = ['synapse', 'synapse_3d', 'btcv', 'brats2021', 'brats2021_labels', 'brats2021_vtunet', 'msd_brain_tumour']
PAPERS += ['acdc', 'kits21', 'ircadb', 'isic2016', 'isic2018', 'drive', 'echonet']
PHANTOMS = dict(
    phantoms_nested='nested',
    phantoms_nested_labels='nested',
    phantoms_slices='nested',
    phantoms_vessels='vessels',
    phantoms_cubes='cubes',
)
# (folder, cases that train, that validate, shape of an input without its channels or None where it varies)
SETS = dict(
    msd_hippocampus=('msd_hippocampus_3d', 48, 12, (32, 48, 32)),
    muufl_hyperspectral=('muufl_hyperspectral', 64, 1, (16, 16)),
    busi=('busi_breast_ultrasound', 12, 4, (256, 256)),
    dsb2018_semantic=('dsb2018_nuclei', 58, 15, (256, 256)),
    isic2017=('isic2017_skin_lesion', 4, 2, (192, 192)),
)


def read(name, root=None):
    cfg = Config.fromfile(BASES / f'{name}.py')
    return cfg if root is None else set_data_root(cfg, str(root))


@pytest.fixture(scope='module')
def phantoms(tmp_path_factory):
    pytest.importorskip('nibabel')
    out = tmp_path_factory.mktemp('phantoms') / 'phantoms'
    make_phantoms(out, cases=20, size=32)
    return out


@pytest.mark.parametrize('name', [*PAPERS, *PHANTOMS, *SETS])
def test_every_part_can_be_built(name):
    pytest.importorskip('monai')
    cfg = read(name)
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        for step in loader.dataset.pipeline:
            TRANSFORMS.build(step)
        DATASETS.get(loader.dataset.type)
        DATA_SAMPLERS.get(loader.sampler.type)
    for metric in cfg.val_evaluator if isinstance(cfg.val_evaluator, list) else [cfg.val_evaluator]:
        METRICS.build(metric)
    assert cfg.test_dataloader == cfg.val_dataloader and cfg.test_evaluator == cfg.val_evaluator


def batches(cfg, tmp_path):
    """The first batch of training and a case to be scored."""
    sets = []
    for loader in (cfg.train_dataloader, cfg.val_dataloader):
        if 'cache_dir' in loader.dataset:
            loader.dataset.cache_dir = str(tmp_path / 'cache')
        sets.append(DATASETS.build(loader.dataset))
    sampler = DATA_SAMPLERS.build(cfg.train_dataloader.sampler, default_args=dict(dataset=sets[0], seed=0))
    loader = DataLoader(sets[0], cfg.train_dataloader.batch_size, sampler=sampler, collate_fn=pseudo_collate)
    return sets, next(iter(loader)), sets[1][0]


@pytest.mark.parametrize('name', PHANTOMS)
def test_phantoms_are_loaded(name, phantoms, tmp_path):
    cfg = read(name, phantoms / PHANTOMS[name])
    (train, val), batch, case = batches(cfg, tmp_path)
    assert (len(train), len(val)) == (16, 4)
    inputs = torch.stack(batch['inputs'])
    sample = batch['data_samples'][0]
    assert sample.gt_sem_seg.data.shape[1:] == inputs.shape[2:] and inputs.isfinite().all()
    if name != 'phantoms_cubes':
        assert tuple(case['data_samples'].source_shape) == case['data_samples'].gt_sem_seg.shape
    channels = dict(phantoms_nested=3).get(name, 1)
    assert len(sample.gt_sem_seg.data) == channels == len(case['data_samples'].gt_sem_seg.data)
    largest = max(int(each.gt_sem_seg.data[each.gt_sem_seg.data != 255].max()) for each in batch['data_samples'])
    assert largest < max(len(train.metainfo['classes']), 2)


@pytest.mark.parametrize('name', SETS)
def test_real_sets_are_loaded(name, tmp_path):
    folder, train_cases, val_cases, shape = SETS[name]
    if not (REAL / folder).is_dir():
        pytest.skip('needs the real data')
    (train, val), batch, case = batches(read(name, REAL / folder), tmp_path)
    assert (len(train), len(val)) == (train_cases, val_cases)
    inputs = torch.stack(batch['inputs'])
    assert inputs.shape[2:] == shape and inputs.float().isfinite().all()
    truth = torch.stack([each.gt_sem_seg.data for each in batch['data_samples']])
    assert truth.shape[2:] == shape and set(truth.unique().tolist()) <= {*range(len(train.metainfo['classes'])), 255}
    # truth of a case to be scored is of the size of its file
    sample = case['data_samples']
    assert tuple(sample.gt_sem_seg.data.shape[1:]) == tuple(sample.get('source_shape') or sample.ori_shape)
