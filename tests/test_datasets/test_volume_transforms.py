"""Transforms of volumes: geometry against nibabel, ways back, sampling, seeds."""

from types import SimpleNamespace

import numpy as np
import pytest
import torch
from mmengine.dataset import RepeatDataset
from volume_files import AFFINES, REAL, blob

from mmparts.datasets import volumes
from mmparts.datasets.volumes import augment
from mmparts.datasets.volumes.geometry import orientation_of, spacing_of
from mmparts.datasets.volumes.patches import class_places
from mmparts.registry import TRANSFORMS
from mmparts.segment.file_grid import restore
from mmparts.segment.inference import WholeInference

pytest.importorskip('nibabel')


def results(label=None, affine='RAS', channels=1, seed=0):
    """What the loading transforms make of a case."""
    label = blob((20, 24, 18)) if label is None else label
    affine = AFFINES[affine][:, [2, 1, 0, 3]] if isinstance(affine, str) else affine
    noise = np.random.default_rng(seed).normal(0, 0.1, (channels, *label.shape))
    return dict(
        img=(label + noise).astype(np.float32),
        gt_seg_map=label,
        seg_fields=['gt_seg_map'],
        affine=affine,
        spacing=spacing_of(affine),
        source_affine=affine,
        source_shape=label.shape,
        rng=np.random.default_rng(seed),
    )


def back(moved, classes=3):
    """The label of a moved case on the grid of its file."""
    logits = torch.stack([torch.from_numpy((moved['gt_seg_map'] == i).astype(np.float32)) for i in range(classes)])

    def decode(values):
        return values.argmax(0, keepdim=True).to(torch.uint8)

    return restore(logits, moved['affine'], moved['source_affine'], moved['source_shape'], decode)[0].numpy()


def dice(a, b):
    return np.mean([2 * ((a == i) & (b == i)).sum() / ((a == i).sum() + (b == i).sum()) for i in (1, 2)])


@pytest.mark.parametrize('kind', AFFINES)
@pytest.mark.parametrize('axes', ['SAR', 'RAS', 'PLI'])
def test_orientation_and_back(kind, axes):
    before = results(affine=kind)
    label, affine = before['gt_seg_map'], before['affine']
    after = volumes.Orientation(axes)(before)
    assert after['orientation'] == axes == orientation_of(after['affine'])
    # every voxel still lies where it was
    for place in np.argwhere(after['gt_seg_map'] == 2)[::50]:
        old = np.linalg.inv(affine) @ after['affine'] @ [*place, 1]
        assert np.allclose(old, old.round()) and label[tuple(old[:3].round().astype(int))] == 2
    assert (back(after) == label).all()


def test_orientation_is_monais():
    monai = pytest.importorskip('monai.transforms')
    from monai.data import MetaTensor

    before = results(affine='oblique')
    image = MetaTensor(before['img'].copy(), affine=before['affine'])
    expected = monai.Orientation('LPI')(image)
    after = volumes.Orientation('LPI')(before)
    assert (after['img'] == np.asarray(expected)).all() and np.allclose(after['affine'], expected.affine)


def test_orientation_refuses_what_are_no_axes():
    with pytest.raises(ValueError, match='one of R L'):
        volumes.Orientation('RAX')
    with pytest.raises(ValueError, match='one of R L'):
        volumes.Orientation('RLS')


def test_spacing_there_and_back():  # V4
    label = blob((24, 80, 90))  # 72 x 56 x 63 mm
    before = results(label, affine='LPS')
    after = volumes.Spacing((1.0, 1.0, 1.0))(volumes.Orientation('SAR')(before))
    assert after['spacing'] == pytest.approx((1, 1, 1)) and after['gt_seg_map'].shape == (72, 56, 63)
    restored = back(after)
    assert restored.shape == label.shape and dice(restored, label) >= 0.97


def test_spacing_keeps_the_middle_and_straight_lines():
    before = results()
    ramp = np.arange(20.0)[:, None, None] + np.zeros((20, 24, 18))
    before['img'] = ramp[None].astype(np.float32)
    middle = before['affine'] @ [9.5, 11.5, 8.5, 1]
    after = volumes.Spacing((0.5, None, 2.0), order=1, label_order=0)(before)
    shape = np.array(after['img'].shape[1:])
    assert tuple(shape) == (40, 24, 9)
    assert np.allclose(after['affine'] @ [*(shape - 1) / 2, 1], middle)
    inner = after['img'][0, 1:-1]
    assert np.allclose(np.diff(inner, axis=0), 0.5, atol=1e-4)
    assert np.allclose(inner[:, 0, 0], inner[:, 5, 5], atol=1e-4)


def test_a_coarse_axis_is_resampled_apart():
    before = results(affine='LPS')
    assert volumes.grid.coarse_axis(np.array(before['spacing']), 3) == 0
    after = volumes.Spacing((1.0, 0.7, 0.7))(before)  # order 0 along the coarse axis: slices are repeated
    assert {tuple(s.ravel()[:50]) for s in after['img'][0]} == {tuple(s.ravel()[:50]) for s in results()['img'][0]}
    assert volumes.grid.coarse_axis(np.array([0.24, 1.25, 1.25]), 3) is None  # two coarse axes


def test_crop_and_pad_and_back():
    before = results()
    label = before['gt_seg_map']
    before['img'] = np.where(label > 0, before['img'], 0).clip(0)
    after = volumes.PadVolume(size=(30, 10, 10), divisor=8)(volumes.CropForeground(margin=1)(before))
    assert [n % 8 for n in after['img'].shape[1:]] == [0, 0, 0] and after['img'].shape[1] == 32
    assert (back(after) == label).all()


def test_intensities():
    before = results(channels=2)
    image = before['img'] * 100 + 300
    scaled = volumes.ZScore()(dict(img=image))['img']
    assert np.allclose(scaled.mean((1, 2, 3)), 0, atol=1e-3) and np.allclose(scaled.std((1, 2, 3)), 1, atol=1e-3)

    image[:, :5] = 0
    scaled = volumes.ZScore(nonzero=True)(dict(img=image))['img']
    assert not scaled[:, :5].any() and np.allclose(scaled[:, 5:].mean((1, 2, 3)), 0, atol=1e-3)

    window = volumes.WindowIntensity(-125, 275)(dict(img=np.array([[[[-500.0, -125, 75, 275, 900]]]], np.float32)))
    assert window['img'].ravel().tolist() == [0, 0, 0.5, 1, 1]
    spread = volumes.PercentileIntensity(5, 95)(dict(img=np.arange(101.0).reshape(1, 1, 1, 101)))['img'].ravel()
    assert spread[5] == 0 and spread[95] == 1 and spread[50] == pytest.approx(0.5)
    fixed = volumes.ZScore(mean=[1, 2], std=[2, 4])(dict(img=np.full((2, 1, 1, 1), 5.0, np.float32)))['img']
    assert fixed.ravel().tolist() == [2, 0.75]
    assert not volumes.ZScore()(dict(img=np.full((1, 2, 2, 2), 7.0, np.float32)))['img'].any()  # constant


@pytest.mark.parametrize('balance', ['class', 'voxel'])
def test_a_third_of_the_patches_holds_foreground(balance):  # V5
    label = np.zeros((60, 60, 60), np.uint8)
    label[20:23, 20:23, 20:23], label[50, 50, 50] = 1, 2
    patch, hits, classes = volumes.RandomPatch((16, 16, 16), balance=balance), 0, np.zeros(3)
    case = {**results(label), 'class_places': class_places(label)}
    for _ in range(1000):
        found = patch(dict(case))['gt_seg_map']
        assert found.shape == (16, 16, 16)
        hits += found.any()
        classes += [(found == i).any() for i in range(3)]
    assert hits >= 330
    ratio = classes[2] / classes[1]
    assert ratio > 0.5 if balance == 'class' else ratio < 0.5  # 27 voxels against 1


def test_forced_foreground_is_in_every_patch():
    patch = volumes.RandomPatch((5, 6, 7), foreground=1)
    label = np.zeros((20, 21, 22), np.uint8)
    label[0, 20, 11] = label[19, 0, 21] = 1
    assert all(patch(results(label, seed=i))['gt_seg_map'].any() for i in range(30))


def test_an_empty_label_warns_once(monkeypatch):  # V5
    logged = []
    monkeypatch.setattr(volumes.patches, 'print_log', lambda text, *_: logged.append(text))
    case = {**results(np.zeros((20, 20, 20), np.uint8)), 'seg_map_path': 'empty.nii.gz'}
    for _ in range(20):
        assert volumes.RandomPatch((8, 8, 8), foreground=1)(dict(case))['img'].shape == (1, 8, 8, 8)
    assert len(logged) == 1 and 'empty.nii.gz has no foreground' in logged[0]


def test_a_volume_smaller_than_the_patch_is_filled_up():  # V5
    after = volumes.RandomPatch((64, 64, 64), pad_label=255)(results(blob((31, 40, 26))))
    assert after['img'].shape == (1, 64, 64, 64) and (after['gt_seg_map'] == 255).sum() == 64**3 - 31 * 40 * 26
    assert (back(after)[2:-2, 2:-2, 2:-2] == blob((31, 40, 26))[2:-2, 2:-2, 2:-2]).all()


RANDOM = [
    dict(type='RandomMirror'),
    dict(type='RandomSpatial', probs=(1, 1, 1), elastic=(2.0, 8.0)),
    dict(type='RandomNoise', prob=1),
    dict(type='RandomBlur', prob=1),
    dict(type='RandomBrightness', prob=1),
    dict(type='RandomContrast', prob=1),
    dict(type='RandomGamma', prob=1),
    dict(type='RandomLowResolution', prob=1),
]


@pytest.mark.parametrize('cfg', RANDOM, ids=lambda cfg: cfg['type'])
def test_random_transforms_are_seeded_and_keep_shapes(cfg):
    transform = TRANSFORMS.build({**cfg, 'type': f'mmparts.{cfg["type"]}'})
    first, again, other = (transform(results(seed=0) | dict(rng=np.random.default_rng(s))) for s in (1, 1, 2))
    assert (first['img'] == again['img']).all() and (first['gt_seg_map'] == again['gt_seg_map']).all()
    assert (first['img'] != other['img']).any()
    assert first['img'].shape == (1, 20, 24, 18) and first['img'].dtype == np.float32
    assert first['gt_seg_map'].dtype == np.uint8 and set(np.unique(first['gt_seg_map'])) <= {0, 1, 2}
    assert not getattr(transform, 'deterministic', False)


def test_image_and_label_move_together():
    label = blob((40, 44, 38))
    case = results(label)
    case['img'] = label[None].astype(np.float32)
    for cfg in RANDOM[:2]:
        case = TRANSFORMS.build({**cfg, 'type': f'mmparts.{cfg["type"]}'})(case)
    assert dice(case['img'][0].round(), case['gt_seg_map']) > 0.95 and (case['gt_seg_map'] != label).any()


def test_mirrors_keep_the_affine_true():
    before = results(affine='oblique')
    label = before['gt_seg_map']
    assert (back(volumes.RandomMirror(prob=1.0)(before)) == label).all()


def test_rotations_are_in_millimetres():
    spacing = np.array([2.0, 1.0, 1.0])
    matrix = augment.rotation(np.random.default_rng(0), 40, spacing, anisotropy=3)
    turn = matrix * spacing[:, None] / spacing
    assert np.allclose(turn @ turn.T, np.eye(3)) and not np.allclose(matrix @ matrix.T, np.eye(3))
    flat = augment.rotation(np.random.default_rng(0), 40, np.array([3.0, 1, 1]), anisotropy=3)
    assert flat[0].tolist() == [1, 0, 0] and flat[1, 2] != 0


def test_gamma_keeps_mean_and_deviation():
    after = volumes.RandomGamma(prob=1.0)(results())['img']
    assert after.mean() == pytest.approx(results()['img'].mean(), abs=1e-4)
    assert after.std() == pytest.approx(results()['img'].std(), abs=1e-4)


def test_monai_transforms_follow_our_seed_and_geometry():
    monai = pytest.importorskip('monai.transforms')
    noise = volumes.MonaiTransform('RandGaussianNoised', prob=1.0, std=0.5)
    assert not noise.deterministic and volumes.MonaiTransform('ScaleIntensityd').deterministic
    first, again, other = (noise(results() | dict(rng=np.random.default_rng(s)))['img'] for s in (1, 1, 2))
    assert (first == again).all() and (first != other).any()

    both = ('img', 'gt_seg_map')
    before = results(affine='oblique')
    label = before['gt_seg_map']
    flipped = volumes.MonaiTransform('Flipd', both, spatial_axis=1)(before)
    assert (flipped['gt_seg_map'] == label[:, ::-1]).all() and flipped['gt_seg_map'].dtype == np.uint8
    assert (back(flipped) == label).all()
    spaced = volumes.MonaiTransform('Spacingd', both, pixdim=(1.5, 1.5, 1.5), mode=('bilinear', 'nearest'))(results())
    assert spaced['spacing'] == pytest.approx((1.5, 1.5, 1.5))

    with pytest.raises(ValueError, match='no dictionary transform'):
        volumes.MonaiTransform('Flip')
    several = volumes.MonaiTransform(
        'RandCropByPosNegLabeld', both, label_key='gt_seg_map', spatial_size=4, num_samples=2
    )
    with pytest.raises(ValueError, match='returned 2 samples'):
        several(results())
    assert monai is not None


def test_slices_are_images_for_mmseg():
    label = np.zeros((20, 24, 18), np.uint8)
    label[7, 3:9, 4:9] = 1
    for seed in range(5):
        after = volumes.RandomSlice(foreground=1.0)(results(label, seed=seed, channels=2))
        assert after['slice'] == 7 and after['img'].shape == (24, 18, 2) and (after['gt_seg_map'] == label[7]).all()
        assert (after['img'] == np.moveaxis(results(label, seed=seed, channels=2)['img'][:, 7], 0, -1)).all()
    assert len({volumes.RandomSlice()(results(label, seed=seed))['slice'] for seed in range(9)}) > 4


def test_packing():
    case = results(channels=2) | dict(
        labels=dict(background=0, a=1, b=2),
        regions=dict(all=('a', 'b'), core=('b',)),
        case='x',
        classes=('all', 'core'),
    )
    packed = volumes.PackVolume()(dict(case))
    assert packed['inputs'].shape == (2, 20, 24, 18) and packed['inputs'].dtype == torch.float32
    assert packed['data_samples'].gt_sem_seg.data.shape == (1, 20, 24, 18)
    regions = volumes.PackVolume()(case | dict(targets='regions'))['data_samples']
    assert regions.gt_sem_seg.data.shape == (2, 20, 24, 18) and regions.case == 'x'
    assert (regions.gt_sem_seg.data[0] == (packed['data_samples'].gt_sem_seg.data[0] > 0)).all()


@pytest.mark.skipif(not (REAL / 'msd_hippocampus_3d').is_dir(), reason='needs the real volumes')
def test_all_hippocampi_get_one_scale():  # V3
    data = volumes.VolumeDataset(
        str(REAL / 'msd_hippocampus_3d'),
        'dataset_json',
        pipeline=[dict(type='mmparts.LoadVolume'), dict(type='mmparts.ZScore'), dict(type='mmparts.PackVolume')],
    )
    assert len(data) == 60
    for i in range(60):
        inputs = data[i]['inputs']
        assert abs(inputs.mean()) < 0.05 and abs(inputs.std() - 1) < 0.05


def test_inputs_without_normalisation_are_flagged():  # V3
    sample = dict(inputs=torch.rand(1, 4, 4, 4) * 1000)
    assert 'no normalisation; put ZScore' in volumes.check.scale_fault([sample])
    assert volumes.check.scale_fault([dict(inputs=torch.randn(1, 4, 4, 4))]) is None


def test_modalities_in_another_order_are_refused():
    first = dict(modalities=('flair', 't1'), labels=dict(background=0, a=1), regions=None)
    volumes.check.compare('a', first, 'b', dict(first))
    with pytest.raises(
        ValueError, match=r"modalities of the checkpoint are \['flair', 't1'\], of the val set \['t1', 'flair'\]"
    ):
        volumes.check.compare('the checkpoint', first, 'the val set', first | dict(modalities=('t1', 'flair')))
    with pytest.raises(ValueError, match='labels of a are'):
        volumes.check.compare('a', first, 'b', first | dict(labels=dict(background=0, a=2)))


def made_of(**metainfo):
    """A data set that is nothing but its metainfo and an input of mean 0."""
    data = object.__new__(volumes.VolumeDataset)
    meta = dict(modalities=('t1', 't2'), labels=dict(background=0, a=1), mirror_axes=(2,)) | metainfo
    data.__dict__.update(
        on_bad_image='error', _bad=None, _metainfo=meta, _fully_initialized=True, data_address=[0], serialize_data=True
    )
    return data


def runner_of(monkeypatch, resume=False, **loops):
    from mmengine.runner import BaseLoop

    warnings = []
    monkeypatch.setattr(volumes.check, 'scale_fault', lambda dataset: None)

    class Loop(BaseLoop):
        def __init__(self, dataset):
            self.dataloader = SimpleNamespace(dataset=dataset)

        def run(self):
            """Nothing."""

    inference = WholeInference(mirror_axes=(0, 2))
    runner = SimpleNamespace(
        model=SimpleNamespace(inference=inference), logger=SimpleNamespace(warning=warnings.append), _resume=resume
    )
    for name in ('train', 'val', 'test'):
        setattr(runner, f'_{name}_loop', Loop(loops[name]) if name in loops else None)
    return runner, warnings


def test_a_checkpoint_of_other_data_is_refused(monkeypatch):  # wrong order of modalities
    hook = volumes.CheckVolumesHook()
    runner, _ = runner_of(monkeypatch, test=made_of())
    hook.before_run(runner)
    saved = dict(meta=dict(dataset_meta=dict(modalities=('t2', 't1'), labels=dict(background=0, a=1))))
    with pytest.raises(ValueError, match='modalities of the checkpoint'):
        hook.after_load_checkpoint(runner, saved)
    training, _ = runner_of(monkeypatch, train=made_of(), val=made_of())
    hook.before_run(training)
    hook.after_load_checkpoint(training, saved)  # to be fine-tuned
    with pytest.raises(ValueError, match='of the train set are .*, of the val set'):
        hook.before_run(runner_of(monkeypatch, train=made_of(), val=made_of(modalities=('t2', 't1')))[0])


def test_mirrors_of_inference_keep_to_those_of_training(monkeypatch):  # V11
    hook = volumes.CheckVolumesHook()
    runner, warnings = runner_of(monkeypatch, train=RepeatDataset(made_of(), 2))  # wrappers hide nothing
    hook.before_run(runner)
    assert runner.model.inference.mirror_axes == (2,) and 'the axes (0,), but' in warnings[0]

    runner, warnings = runner_of(monkeypatch, test=made_of())
    hook.before_run(runner)
    assert runner.model.inference.mirror_axes == (0, 2)  # the test set mirrors nothing; the checkpoint decides
    hook.after_load_checkpoint(runner, dict(meta=dict(dataset_meta=dict(modalities=('t1', 't2'), mirror_axes=()))))
    assert runner.model.inference.mirror_axes == () and 'mirrors of none' in warnings[0]
