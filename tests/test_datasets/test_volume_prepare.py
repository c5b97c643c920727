"""tools/prepare_volumes.py: the index, the table, folds, and a name for every bad file."""

import json
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
from volume_files import AFFINES, blob, truncate, write_case, write_nifti

from mmparts.datasets.volumes import VolumeDataset
from mmparts.datasets.volumes.prepare import examine, table, write_index

ROOT = Path(__file__).resolve().parents[2]
LABELS = {'background': 0, 'a': 1, 'b': 2}


@pytest.fixture
def root(tmp_path):
    for i in range(6):
        write_case(tmp_path, f'p{i // 2}_{i}', blob(seed=i), AFFINES['oblique'], seed=i, channels=('0000', '0001'))
    (tmp_path / 'dataset.json').write_text(json.dumps(dict(channel_names={'0': 'T1', '1': 'T2'}, labels=LABELS)))
    return tmp_path


def run(*args):
    command = [sys.executable, str(ROOT / 'tools' / 'prepare_volumes.py'), *map(str, args)]
    return subprocess.run(command, capture_output=True, text=True)


def test_index_folds_and_table(root):
    done = run(root, '--folds', '3', '--patient', r'(p\d)_')
    assert done.returncode == 0, done.stderr
    assert '6 cases of 3 patients, 0 without a label; modalities: T1, T2' in done.stdout
    index = json.loads((root / 'index.json').read_text())
    case = index['cases'][0]
    assert case['shape'] == [7, 11, 9] and case['patient'] == 'p0' and len(case['intensities']) == 2
    assert case['voxels'] == dict(zip(LABELS, np.bincount(blob(seed=0).ravel()).tolist()))

    load = [dict(type=f'mmparts.{name}') for name in ('LoadVolume', 'LoadVolumeLabel', 'PackVolume')]
    parts = [
        VolumeDataset(str(root), 'index', folds='splits_final.json', fold=2, part=part, pipeline=load)
        for part in ('train', 'val')
    ]
    assert [len(part) for part in parts] == [4, 2] and parts[0].metainfo['modalities'] == ('T1', 'T2')
    assert len({parts[1].get_data_info(i)['patient'] for i in range(2)}) == 1
    assert parts[0][0]['inputs'].shape == (2, 7, 11, 9)


def test_every_bad_file_is_named_and_nothing_written(root):  # V2
    truncate(root / 'imagesTr' / 'p0_0_0001.nii.gz')
    write_nifti(root / 'labelsTr' / 'p0_1.nii.gz', blob((9, 11, 6)), AFFINES['oblique'])
    write_nifti(root / 'labelsTr' / 'p1_2.nii.gz', blob() * 3, AFFINES['oblique'])
    image = blob().astype(np.float32)
    image[0, 0, 0] = np.inf
    write_nifti(root / 'imagesTr' / 'p1_3_0000.nii.gz', image, AFFINES['oblique'])
    done = run(root)
    assert done.returncode == 1 and not (root / 'index.json').exists()
    bad = {line.split()[1].rstrip(':'): line for line in done.stdout.splitlines() if line.startswith('BAD')}
    assert sorted(bad) == ['p0_0', 'p0_1', 'p1_2', 'p1_3']
    for case, words in dict(
        p0_0=['p0_0_0001.nii.gz', 'truncated'],
        p0_1=['shape', '(7, 11, 9)', '(6, 11, 9)', 'labelsTr/p0_1.nii.gz'],
        p1_2=['values 3, 6', '2 b'],
        p1_3=['NaN or infinite', '(0, 0, 0)'],
    ).items():
        assert all(word in bad[case] for word in words), bad[case]
    assert 'error: 4 bad cases, the first: p0_0' in done.stderr


def test_empty_labels_and_scales_are_mentioned(root):
    write_nifti(root / 'labelsTr' / 'p2_5.nii.gz', blob() * 0, AFFINES['oblique'])
    write_nifti(root / 'imagesTr' / 'p2_5_0000.nii.gz', blob().astype(np.float32) * 1000, AFFINES['oblique'])
    text = table(examine(root, 'dataset_json'))
    assert '1 cases without foreground, the first: p2_5' in text and 'means of T1' in text


def test_a_pattern_without_a_patient_is_refused(root):
    from mmparts.datasets.volumes import BadVolume

    with pytest.raises(BadVolume, match="'p0_0' has no patient by the pattern"):
        examine(root, 'dataset_json', patient='x')


def test_an_index_is_whole_or_absent(root, monkeypatch):
    report = examine(root, 'dataset_json')
    monkeypatch.setattr('os.replace', lambda *_: (_ for _ in ()).throw(OSError('full')))
    with pytest.raises(OSError, match='full'):
        write_index(root / 'index.json', report)
    assert not list(root.glob('*index.json*'))


# holds: an output that is an input
@pytest.mark.parametrize('target', ['dataset.json', 'image', 'label'])
def test_inputs_are_not_written_over(root, target):
    case = examine(root, 'dataset_json').cases[0]
    path = root / dict(image=case['images'][1], label=case['label']).get(target, target)
    before = path.read_bytes()
    done = run(root, '--out', path)
    assert done.returncode == 1 and 'which is read' in done.stderr and 'Traceback' not in done.stderr
    assert path.read_bytes() == before


# holds: an output that is an input
def test_folds_that_are_there_stay(root):
    (root / 'splits_final.json').write_text('published')
    done = run(root, '--folds', '3')
    assert done.returncode == 1 and 'splits_final.json exists' in done.stderr
    assert (root / 'splits_final.json').read_text() == 'published' and not (root / 'index.json').exists()
