"""The data set of volumes: layouts, folds, cache, draws."""

import json

import numpy as np
import pytest
import torch
from mmengine.dataset import pseudo_collate
from torch.utils.data import DataLoader
from volume_files import AFFINES, blob, write_case, write_nifti

from mmparts.datasets.volumes import BadVolume, DrawSampler, VolumeDataset, cache, files
from mmparts.datasets.volumes.folds import check_leak, make_folds, read_fold, write_folds
from mmparts.datasets.volumes.layouts import brats, dataset_json, folders, nnunet_labels, synapse

LOAD = [dict(type='mmparts.LoadVolume'), dict(type='mmparts.LoadVolumeLabel')]
PATCH = [dict(type='mmparts.RandomPatch', size=(4, 4, 4)), dict(type='mmparts.RandomNoise', prob=1.0)]
PACK = [dict(type='mmparts.PackVolume')]
LABELS = {'background': 0, 'a': 1, 'b': 2}


@pytest.fixture
def root(tmp_path):
    """Eleven cases in nnU-Net's folders."""
    for i in range(11):
        write_case(tmp_path, f'case_{i:02d}', blob(seed=i), AFFINES['LPS'], seed=i)
    content = dict(channel_names={'0': 'MRI'}, labels=LABELS, file_ending='.nii.gz')
    (tmp_path / 'dataset.json').write_text(json.dumps(content))
    return tmp_path


def made(root, **options):
    return VolumeDataset(str(root), **{**dict(layout='dataset_json', pipeline=LOAD + PACK), **options})


def test_nnunets_layout(root):
    data = made(root, part='val')
    assert [data.get_data_info(i)['case'] for i in range(3)] == ['case_00', 'case_05', 'case_10'] and len(data) == 3
    assert len(made(root, part='train')) == 8 and len(made(root)) == 11
    assert data.metainfo['modalities'] == ('MRI',) and data.metainfo['classes'] == ('background', 'a', 'b')
    sample = data[1]
    assert sample['inputs'].shape == (1, 7, 11, 9) and sample['data_samples'].case == 'case_05'
    assert (sample['data_samples'].gt_sem_seg.data[0].numpy() == blob(seed=5).transpose()).all()


def test_the_config_names_what_the_file_does_not_and_wins(root):
    data = made(root, metainfo=dict(modalities=('T1',), labels=dict(none=0, head=1, tail=2)), cases=['case_03'])
    assert data.metainfo['modalities'] == ('T1',) and data.metainfo['classes'] == ('none', 'head', 'tail')
    with pytest.raises(BadVolume, match="no case 'case_99'"):
        made(root, cases=['case_99'])
    with pytest.raises(BadVolume, match=r'what are its labels\? metainfo=dict'):
        made(root, layout=dict(type='folders', images='imagesTr', labels='labelsTr'))
    with pytest.raises(ValueError, match="layout='nnunet'; there are index, dataset_json"):
        made(root, layout='nnunet')
    with pytest.raises(BadVolume, match="targets='regions', but"):
        made(root, targets='regions')


def test_regions_as_nnunet_means_them():  # V8
    content = dict(
        labels={'background': 0, 'whole': [1, 2, 3], 'core': [2, 3], 'enhancing': [3]}, regions_class_order=[1, 2, 3]
    )
    meta = nnunet_labels(content, 'dataset.json')
    assert meta['labels'] == dict(background=0, label_1=1, label_2=2, label_3=3)
    assert meta['regions'] == dict(
        whole=('label_1', 'label_2', 'label_3'), core=('label_2', 'label_3'), enhancing=('label_3',)
    )
    assert list(meta['paint'].items()) == [('whole', 'label_1'), ('core', 'label_2'), ('enhancing', 'label_3')]
    # declared order paints, regions_class_order only names the values
    swapped = nnunet_labels(dict(content, regions_class_order=[2, 1, 3]), 'dataset.json')
    assert list(swapped['paint'].items())[:2] == [('whole', 'label_2'), ('core', 'label_1')]
    with pytest.raises(BadVolume, match='regions_class_order has 2 values .* 3 regions'):
        nnunet_labels(dict(content, regions_class_order=[1, 2]), 'dataset.json')
    old = nnunet_labels(dict(labels={'0': 'background', '2': 'b', '1': 'a'}), 'dataset.json')
    assert list(old['labels'].items()) == [('background', 0), ('a', 1), ('b', 2)]
    assert nnunet_labels(dict(labels=dict(background=0, a=1, ignore=2)), 'x')['ignore'] == 2


@pytest.mark.parametrize(('style', 'enhancing'), [('_{}', 4), ('-{}', 3)], ids=['2021', '2023'])
def test_brats(tmp_path, style, enhancing):
    names = dict(zip(('flair', 't1ce', 't1', 't2'), ('t2f', 't1c', 't1n', 't2w'))) if enhancing == 3 else {}
    for case in ('BraTS-GLI-00001-000', 'BraTS-GLI-00001-001'):
        for i, modality in enumerate(('t1', 't1ce', 't2', 'flair')):
            file = case + style.format(names.get(modality, modality))
            write_nifti(tmp_path / case / f'{file}.nii.gz', (blob() * (i + 1)).astype(np.float32), AFFINES['LPS'])
        label = np.array([0, 1, enhancing], np.uint8)[blob()]
        write_nifti(tmp_path / case / f'{case}{style.format("seg")}.nii.gz', label, AFFINES['LPS'])
    meta, cases = brats(tmp_path)
    assert meta['labels']['enhancing'] == enhancing and cases[0]['patient'] == cases[1]['patient']

    data = made(tmp_path, layout='brats')
    sample = data[0]
    assert data.metainfo['classes'] == ('WT', 'TC', 'ET')
    assert sample['inputs'].amax((1, 2, 3)).tolist() == [8, 4, 2, 6]  # flair, t1ce, t1, t2, as declared
    assert sample['data_samples'].gt_sem_seg.data.sum((1, 2, 3)).tolist() == [
        (blob() > 0).sum(), (blob() > 0).sum(), (blob() == 2).sum()
    ]  # fmt: skip
    other = made(tmp_path, layout=dict(type='brats', modalities=('t1', 't1ce', 't2', 'flair')))
    assert other.metainfo['modalities'] == ('t1', 't1ce', 't2', 'flair')
    assert other[0]['inputs'].amax((1, 2, 3)).tolist() == [2, 4, 6, 8]
    next(tmp_path.rglob(f'*{style.format(names.get("t1", "t1"))}.nii.gz')).unlink()
    with pytest.raises(BadVolume, match="no file of the modality 't1'; it has"):
        brats(tmp_path)


def test_synapse_and_plain_folders(tmp_path):
    for n in ('0001', '0005'):
        write_nifti(tmp_path / 'img' / f'img{n}.nii.gz', blob(), AFFINES['RAS'])
        write_nifti(tmp_path / 'label' / f'label{n}.nii.gz', blob(), AFFINES['RAS'])
    _, cases = synapse(tmp_path)
    assert [each['case'] for each in cases] == ['case0001', 'case0005'] and cases[1][
        'label'
    ] == 'label/label0005.nii.gz'
    with pytest.raises(BadVolume, match='has no image'):
        folders(tmp_path, 'img', 'label')
    with pytest.raises(FileNotFoundError, match='it does not exist'):
        folders(tmp_path, 'images')


def test_what_the_file_lists_must_be_there(root):
    (root / 'dataset.json').write_text(json.dumps(dict(labels=LABELS, training=[dict(image='imagesTr/gone.nii.gz')])))
    with pytest.raises(BadVolume, match="lists 'gone', of which imagesTr has no image"):
        dataset_json(root)
    (root / 'dataset.json').write_text('{')
    with pytest.raises(BadVolume, match='dataset.json is no JSON'):
        dataset_json(root)


def test_five_folds_of_sixty(tmp_path):  # V10
    cases = [dict(case=f'c{i:02d}', patient=f'p{i:02d}') for i in range(60)]
    write_folds(tmp_path / 'splits.json', make_folds(cases))
    parts = [read_fold(tmp_path / 'splits.json', k, cases, 'val') for k in range(5)]
    names = [{each['case'] for each in part} for part in parts]
    assert [len(each) for each in names] == [12] * 5 and len(set.union(*names)) == 60
    train = {each['case'] for each in read_fold(tmp_path / 'splits.json', 0, cases, 'train')}
    assert not train & names[0] and len(train) == 48


def test_patients_are_not_divided(tmp_path):  # V10
    cases = [dict(case=f'c{i}', patient=f'p{i // 3}') for i in range(30)]
    for fold in make_folds(cases, 4):
        assert {int(c[1:]) // 3 for c in fold['train']}.isdisjoint({int(c[1:]) // 3 for c in fold['val']})
    leaked = [dict(train=['c0', 'c3'], val=['c1'])]
    write_folds(tmp_path / 'leaked.json', leaked)
    with pytest.raises(BadVolume, match=r"patient 'p0' trains \(case 'c0'\) and validates \(case 'c1'\)"):
        read_fold(tmp_path / 'leaked.json', 0, cases, 'train')
    with pytest.raises(BadVolume, match='has 1 folds; there is no fold 3'):
        read_fold(tmp_path / 'leaked.json', 3, cases, 'train')
    with pytest.raises(BadVolume, match="1 unknown cases, the first 'c1'"):
        read_fold(tmp_path / 'leaked.json', 0, [each for each in cases if each['case'] != 'c1'], 'train')
    with pytest.raises(BadVolume, match='5 folds of 3 patients'):
        make_folds(cases[:9])
    check_leak(cases[:3], cases[3:], 'here')


def test_folds_of_a_data_set(root):
    cases = [dict(case=f'case_{i:02d}') for i in range(11)]
    write_folds(root / 'splits.json', make_folds(cases, 3))
    parts = [made(root, folds='splits.json', fold=1, part=part) for part in ('train', 'val')]
    assert sum(map(len, parts)) == 11


def test_the_second_epoch_reads_no_file(root, tmp_path):  # V12
    data = made(root, pipeline=LOAD + PATCH + PACK, cache_dir=str(tmp_path / 'cache'))
    first = files.reads
    whole = [data[i + len(data)]['inputs'] for i in range(len(data))]
    assert files.reads - first == 2 * len(data)
    again = [data[i + len(data)]['inputs'] for i in range(len(data))]
    assert files.reads - first == 2 * len(data)
    plain = made(root, pipeline=LOAD + PATCH + PACK)
    for i, (a, b) in enumerate(zip(whole, again)):
        assert torch.equal(a, b) and torch.equal(a, plain[i + len(data)]['inputs'])
    assert not [path for path in (tmp_path / 'cache').iterdir() if 'partial' in path.name]


def test_what_changes_the_result_makes_a_new_entry(root, tmp_path):  # V12
    def entries(*steps, **options):
        made(root, pipeline=[*LOAD, *steps, *PACK], cache_dir=str(tmp_path / 'cache'), cases=['case_00'], **options)[0]
        return len(list((tmp_path / 'cache').iterdir()))

    crop = dict(type='mmparts.CropForeground')
    assert entries() == 1 and entries() == 1
    assert entries(crop) == 2 and entries({**crop, 'margin': 1}) == 3
    write_case(root, 'case_00', blob(seed=3), AFFINES['LPS'])
    assert entries() == 4
    assert entries(metainfo=dict(labels=dict(zero=0, one=1, two=2))) == 5


def test_cached_volumes_are_maps_of_files(root, tmp_path):  # V12: ranks share the pages
    data = made(root, pipeline=LOAD, cache_dir=str(tmp_path / 'cache'))
    results = data[0]
    assert isinstance(results['img'], np.memmap) and results['img'].mode == 'r'
    assert isinstance(results['affine'], np.ndarray) and isinstance(results['source_shape'], tuple)


def test_a_slower_process_finds_the_entry_made(root, tmp_path, monkeypatch):
    data = made(root, pipeline=LOAD, cache_dir=str(tmp_path / 'cache'))
    write = cache.write_entry

    def raced(folder, results):
        write(folder, results)
        other = folder.parent / folder.name.split('.')[1]
        write(other, results)

    monkeypatch.setattr(cache, 'write_entry', raced)
    assert data[0]['img'].shape == (1, 7, 11, 9)
    assert not [path for path in (tmp_path / 'cache').iterdir() if path.name.startswith('.')]


def test_draws_are_numbered_and_do_not_depend_on_workers(root):
    data = made(root, pipeline=LOAD + PATCH + PACK)

    def epoch(workers, number=0):
        sampler = DrawSampler(data, seed=3, draws=2)
        sampler.set_epoch(number)
        loader = DataLoader(data, 4, sampler=sampler, num_workers=workers, collate_fn=pseudo_collate)
        return torch.stack([each for batch in loader for each in batch['inputs']])

    first = epoch(0)
    assert first.shape == (22, 1, 4, 4, 4) and len(first.flatten(1).unique(dim=0)) == 22
    assert torch.equal(first, epoch(2)) and not torch.equal(first, epoch(0, 1))


def test_every_case_is_drawn_so_often(root, monkeypatch):
    data = made(root)
    from mmparts.datasets.volumes import sampler as module

    drawn = []
    for rank in range(2):
        state = dict(rank=rank, world_size=2, dataset=data, shuffle=True, seed=0, epoch=4, round_up=True)
        monkeypatch.setattr(module.DefaultSampler, '__init__', lambda self, *_, state=state: vars(self).update(state))
        one = DrawSampler(data, draws=3)
        drawn.append(list(one))
        assert len(one) == len(drawn[-1]) == 17  # 33, rounded up
    everything = [i for part in zip(*drawn) for i in part][:33]
    assert len(set(everything)) == 33 and sorted(np.bincount(np.array(everything) % 11)) == [3] * 11


def test_mirror_axes_go_into_the_metainfo(root):  # V11
    mirror = dict(type='mmparts.RandomMirror', axes=(1, 2))
    assert made(root, pipeline=[*LOAD, mirror, *PACK]).metainfo['mirror_axes'] == (1, 2)
    assert made(root).metainfo['mirror_axes'] == ()


# holds: missing, empty, truncated, a web page
def test_a_bad_case_is_named_or_skipped_in_each_of_its_visits(root):
    (broken,) = root.glob('**/case_03*0000.nii.gz')
    broken.write_bytes(broken.read_bytes()[:100])
    with pytest.raises(Exception, match='case_03_0000.nii.gz'):
        made(root)[3]
    data = made(root, on_bad_image='skip', max_bad_images=1)
    for visit in range(3):  # the same case again is no further one
        assert data[3 + visit * len(data)]['data_samples'].case != 'case_03'
    assert data.bad_images() == [str(broken)]
    with pytest.raises(Exception, match='case_03_0000.nii.gz'):
        made(root, on_bad_image='skip', max_bad_images=1, test_mode=True)[3]
