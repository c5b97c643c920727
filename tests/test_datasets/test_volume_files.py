"""Files of volumes: geometry and values from file to file, and what is said of bad ones."""

import numpy as np
import pytest
from volume_files import AFFINES, SHAPE, blob, truncate, unzip, write_nifti

from mmparts.datasets.volumes import BadVolume, LoadVolume, LoadVolumeLabel, open_volume, write_volume
from mmparts.datasets.volumes.geometry import geometry_fault, orientation_of, spacing_of

LABELS = dict(labels=dict(background=0, a=1, b=2))


def load(image, label=None, **options):
    images = [str(each) for each in (image if isinstance(image, list) else [image])]
    results = dict(img_paths=images, seg_map_path=None if label is None else str(label), **LABELS)
    return LoadVolumeLabel(**options)(LoadVolume(**options)(results))


@pytest.mark.parametrize('kind', AFFINES)
@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz', '.mha', '.nrrd', '.npz'])
def test_round_trip(tmp_path, kind, suffix):  # V1
    nibabel = pytest.importorskip('nibabel')
    if suffix in ('.mha', '.nrrd'):
        pytest.importorskip('SimpleITK')
        if kind == 'oblique':
            pytest.skip('ITK has no shear')
    source = write_nifti(tmp_path / 'source.nii.gz', blob(), AFFINES[kind])
    volume = open_volume(source)
    array = volume.load()
    assert array.shape == SHAPE[::-1] == volume.shape and array.dtype == np.uint8
    write_volume(tmp_path / f'out{suffix}', array, volume.affine, like=str(source))
    back = open_volume(tmp_path / f'out{suffix}')
    assert (back.load() == array).all() and back.load().dtype == np.uint8
    assert np.abs(back.affine - volume.affine).max() < 1e-4
    assert np.allclose(spacing_of(back.affine), np.linalg.norm(AFFINES[kind][:3, [2, 1, 0]], axis=0), atol=1e-4)
    assert orientation_of(back.affine)[::-1] == ''.join(nibabel.aff2axcodes(AFFINES[kind]))
    if suffix.startswith('.nii'):
        image = nibabel.load(tmp_path / f'out{suffix}')
        assert np.abs(image.affine - AFFINES[kind]).max() < 1e-4 and image.get_data_dtype() == np.uint8
        assert (np.asarray(image.dataobj) == blob()).all()


def test_slope_and_intercept(tmp_path):  # V1
    stored = np.arange(np.prod(SHAPE), dtype=np.int16).reshape(SHAPE)
    path = write_nifti(tmp_path / 'scaled.nii', stored, AFFINES['RAS'], slope=0.5, intercept=-100)
    image = load(path)['img']
    assert image.dtype == np.float32
    assert np.allclose(image[0].transpose(), 0.5 * stored - 100)


def test_an_unscaled_file_is_written_from_a_scaled_one(tmp_path):
    source = write_nifti(tmp_path / 's.nii', blob().astype(np.int16), AFFINES['LPS'], slope=0.5, intercept=-100)
    volume = open_volume(source)
    write_volume(tmp_path / 'out.nii.gz', blob().transpose(), volume.affine, like=str(source))
    assert (open_volume(tmp_path / 'out.nii.gz').load() == blob().transpose()).all()


def test_a_file_of_several_channels(tmp_path):
    array = np.stack([blob(), blob(seed=1)], -1).astype(np.float32)
    results = load(write_nifti(tmp_path / 'two.nii.gz', array, AFFINES['LAS']))
    assert results['img'].shape == (2, *SHAPE[::-1])
    assert (results['img'][1].transpose() == array[..., 1]).all()


def test_what_is_loaded_says_where_it_lies(tmp_path):
    image = write_nifti(tmp_path / 'i.nii.gz', blob().astype(np.float32), AFFINES['LPS'])
    results = load(image, write_nifti(tmp_path / 'l.nii.gz', blob(), AFFINES['LPS']))
    assert results['spacing'] == pytest.approx((3, 0.7, 0.7)) and results['orientation'] == 'SPL'
    assert results['source_shape'] == (7, 11, 9) and results['gt_seg_map'].dtype == np.uint8
    # voxel (d, h, w) = (1, 2, 3) is (x, y, z) = (3, 2, 1)
    assert np.allclose(results['affine'] @ [1, 2, 3, 1], AFFINES['LPS'] @ [3, 2, 1, 1])


def moved(kind, by):
    affine = AFFINES[kind].copy()
    affine[:3, 3] += by
    return affine


def test_image_and_label_on_one_grid(tmp_path):  # V2
    image = write_nifti(tmp_path / 'image.nii.gz', blob().astype(np.float32), AFFINES['oblique'])
    load(image, write_nifti(tmp_path / 'rounded.nii.gz', blob(), moved('oblique', 1e-7)))

    other = write_nifti(tmp_path / 'origin.nii.gz', blob(), moved('oblique', [5, 0, 0]))
    with pytest.raises(BadVolume, match=r'origin is \[-30.*image.nii.gz and \[-25.*origin.nii.gz.*voxels apart'):
        load(image, other)
    assert 'gt_seg_map' in load(image, other, on_mismatch='warn')

    with pytest.raises(BadVolume, match=r'shape \(D H W\) is \(7, 11, 9\) in .*\(7, 11, 8\) in .*shape.nii.gz'):
        load(image, write_nifti(tmp_path / 'shape.nii.gz', blob((8, 11, 7)), AFFINES['oblique']), on_mismatch='warn')
    with pytest.raises(BadVolume, match='spacing is'):
        load(image, write_nifti(tmp_path / 'spacing.nii.gz', blob(), AFFINES['oblique'] * [[1.1], [1.1], [1.1], [1]]))


def test_a_turned_label_is_named_by_its_direction(tmp_path):
    first = open_volume(write_nifti(tmp_path / 'a.nii', blob((9, 9, 9)), AFFINES['RAS']))
    turned = AFFINES['RAS'][:, [1, 0, 2, 3]]
    second = open_volume(write_nifti(tmp_path / 'b.nii', blob((9, 9, 9)), turned))
    assert geometry_fault(first, first) is None and geometry_fault(first, second).startswith('direction is')


@pytest.mark.parametrize('suffix', ['.nii', '.nii.gz'])
def test_a_truncated_file_is_named(tmp_path, suffix):  # V2
    array = np.random.default_rng(0).normal(size=(30, 30, 30))
    path = write_nifti(tmp_path / f'cut{suffix}', array, AFFINES['RAS'])
    truncate(path)
    with pytest.raises(OSError, match=rf'cannot read the volume .*cut{suffix} \(truncated'):
        load(path)
    unzipped = unzip(write_nifti(tmp_path / 'whole.nii.gz', array, AFFINES['RAS']))
    assert load(unzipped)['img'].shape == (1, 30, 30, 30)


def test_modalities_on_one_grid_and_in_number(tmp_path):
    paths = [write_nifti(tmp_path / f'{i}.nii.gz', blob(seed=i).astype(np.float32), moved('RAS', i)) for i in (0, 9)]
    with pytest.raises(BadVolume, match='origin is'):
        load(paths)
    with pytest.raises(BadVolume, match=r"1 channels, but the modalities are \('flair', 't1'\)"):
        LoadVolume()(dict(img_paths=[str(paths[0])], modalities=('flair', 't1')))


def test_bad_values_are_named(tmp_path):
    image = blob().astype(np.float32)
    image[1, 2, 3] = np.nan
    path = write_nifti(tmp_path / 'nan.nii.gz', image, AFFINES['RAS'])
    with pytest.raises(BadVolume, match=r'nan.nii.gz: 1 of 693 voxels are NaN .* \(d, h, w\) = \(3, 2, 1\)'):
        load(path)
    assert LoadVolume(on_nan='zero')(dict(img_paths=[str(path)]))['img'][0, 3, 2, 1] == 0

    fine = write_nifti(tmp_path / 'fine.nii.gz', blob().astype(np.float32), AFFINES['RAS'])
    label = blob()
    label[0, 0, 0] = 7
    with pytest.raises(BadVolume, match=r'label.nii.gz has the value 7; the labels are 0 background, 1 a, 2 b'):
        load(fine, write_nifti(tmp_path / 'label.nii.gz', label, AFFINES['RAS']))
    with pytest.raises(BadVolume, match='the label has the value 0.5; labels are whole numbers'):
        load(fine, write_nifti(tmp_path / 'half.nii.gz', blob() * 0.5, AFFINES['RAS']))
    floats = write_nifti(tmp_path / 'floats.nii.gz', blob().astype(np.float32), AFFINES['RAS'])
    assert (load(fine, floats)['gt_seg_map'] == blob().transpose()).all()


def test_what_is_no_volume_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match='no volume at'):
        open_volume(tmp_path / 'none.nii.gz')
    (tmp_path / 'text.nii.gz').write_text('hello')
    with pytest.raises(OSError, match='text.nii.gz'):
        open_volume(tmp_path / 'text.nii.gz')
    with pytest.raises(BadVolume, match='no format of volumes'):
        (tmp_path / 'a.dcm').write_text('')
        open_volume(tmp_path / 'a.dcm')
    flat = write_nifti(tmp_path / 'flat.nii', np.zeros((4, 4), np.float32), AFFINES['RAS'])
    with pytest.raises(BadVolume, match='is no volume'):
        open_volume(flat)
    np.savez(tmp_path / 'c.npz', cube=np.zeros((2, 2, 2)))
    with pytest.raises(BadVolume, match='holds cube'):
        open_volume(tmp_path / 'c.npz')
    np.savez(tmp_path / 's.npz', array=np.zeros((2, 2, 2)), affine=np.zeros((4, 4)))
    with pytest.raises(BadVolume, match='places no voxels'):
        open_volume(tmp_path / 's.npz')


def test_nothing_half_written(tmp_path, monkeypatch):  # V13
    nibabel = pytest.importorskip('nibabel')

    def full(image, path):
        with open(path, 'wb') as file:
            file.write(b'half')
        raise OSError(28, 'No space left on device')

    monkeypatch.setattr(nibabel, 'save', full)
    (tmp_path / 'old.nii.gz').write_bytes(b'old')
    with pytest.raises(OSError, match=r'cannot write .*old.nii.gz: .*No space left'):
        write_volume(tmp_path / 'old.nii.gz', blob().transpose(), np.eye(4))
    assert [path.name for path in tmp_path.iterdir()] == ['old.nii.gz'] and (
        tmp_path / 'old.nii.gz'
    ).read_bytes() == b'old'
