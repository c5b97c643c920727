"""Time and memory of large volumes, each measured in a process of its own: `pytest -m long FILE -s` prints them."""

import json
import os
import resource
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

CLASSES, SHAPE = 8, (512, 512, 128)  # x, y, z
ROOT = Path(__file__).resolve().parents[2]


def measured(what: str, *args) -> dict:
    """What a function of :data:`MEASURES` says, and how far the process rose above its start."""
    done = subprocess.run(
        [sys.executable, __file__, what, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    assert not done.returncode, done.stderr[-2000:]
    found = json.loads(done.stdout.splitlines()[-1])
    print(what, *args[1:], found)
    return found


def peak() -> float:
    """Megabytes, of the process so far."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1 << 20 if sys.platform == 'darwin' else 1 << 10)


def export(folder: str, keep_logits: str) -> dict:
    """A case from file to file: 1 mm for the network, windows, logits back on the grid of the file, the label file."""
    import nibabel
    from mmengine.config import Config

    from mmparts.inference.volumes import VolumePredictor, predict_volumes
    from mmparts.registry import MODELS

    labels = {'background': 0} | {f'c{i}': i for i in range(1, CLASSES)}
    data = Path(folder) / 'data' / 'imagesTr'
    data.mkdir(parents=True)
    image = np.random.default_rng(0).integers(0, CLASSES, [n // 8 for n in SHAPE]).astype(np.int16)
    for axis in range(3):
        image = image.repeat(8, axis)
    nibabel.save(nibabel.Nifti1Image(image, np.diag([0.9, 0.9, 1.5, 1])), str(data / 'large_0000.nii.gz'))
    (data.parent / 'dataset.json').write_text(json.dumps(dict(channel_names={'0': 'CT'}, labels=labels)))

    model = dict(
        type='mmparts.Segmentor',
        dims=3,
        in_channels=1,
        num_classes=CLASSES,
        encoder=dict(type='mmparts.ConvEncoder', channels=(8,)),
        data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
        inference=dict(type='mmparts.SlidingInference', size=(64, 96, 96), overlap=0.25),
        keep_logits=keep_logits == 'True',
    )
    steps = ['LoadVolume', 'ZScore', 'Spacing', 'LoadVolumeLabel', 'PackVolume']
    dataset = dict(type='mmparts.VolumeDataset', data_root=str(data.parent), layout='dataset_json')
    dataset['pipeline'] = [
        dict(type=f'mmparts.{each}', **(dict(spacing=(1.5, 1.0, 1.0)) if each == 'Spacing' else {})) for each in steps
    ]
    cfg = Config(dict(model=model, test_dataloader=dict(dataset=dataset)))
    meta = dict(modalities=('CT',), labels=labels, classes=tuple(labels), targets='labels', mirror_axes=())
    checkpoint = Path(folder) / 'a.pth'
    torch.save(dict(state_dict=MODELS.build(cfg.model).state_dict(), meta=dict(dataset_meta=meta)), checkpoint)
    start = time.process_time()
    predictor = VolumePredictor(cfg, [str(checkpoint)])
    failed = predict_volumes(str(data), cfg, predictor, str(Path(folder) / 'out'))
    shape = nibabel.load(Path(folder) / 'out' / 'large.nii.gz').shape
    return dict(seconds=time.process_time() - start, failed=failed, shape=shape)


def slide(whose: str) -> dict:
    """192 x 192 x 128 by windows of 64 under a convolution of kernel 1 to four classes."""
    from monai.inferers import sliding_window_inference

    from mmparts.segment.sliding import SlidingInference

    torch.manual_seed(0)
    net = nn.Conv3d(1, 4, 1).requires_grad_(False)
    images = torch.randn(1, 1, 128, 192, 192)
    ours = SlidingInference((64, 64, 64))
    before, seconds = peak(), []
    for _ in range(3):
        start = time.process_time()
        if whose == 'monai':
            sliding_window_inference(images, (64, 64, 64), 1, net, 0.5, 'gaussian')
        else:
            ours(images, net)
        seconds.append(time.process_time() - start)
    return dict(seconds=min(seconds), rise=peak() - before)


def case(root: str) -> dict:
    """A case of the hippocampus, by the U-Net of 1.2 M parameters: files, windows, metric of a mask a voxel off."""
    from mmengine.config import Config
    from mmengine.registry import DefaultScope

    from mmparts.registry import DATASETS, METRICS, MODELS

    cfg = Config.fromfile(ROOT / 'configs' / 'u_net' / 'u-net_3d-small_1xb2-26e_hippocampus.py')
    with DefaultScope.overwrite_default_scope('mmseg'):
        cases = DATASETS.build({**cfg.val_dataloader.dataset, 'data_root': root, 'cache_dir': None})
        metric, model = METRICS.build(cfg.val_evaluator), MODELS.build(cfg.model).eval()
    metric.dataset_meta, seconds = cases.metainfo, []
    for index in range(len(cases)):
        start = time.process_time()
        data = cases[index]
        with torch.no_grad():
            (sample,) = model.val_step(dict(inputs=[data['inputs']], data_samples=[data['data_samples']]))
        sample.pred_sem_seg.data = sample.gt_sem_seg.data.roll(1, 1)  # as large a mask as that of a trained net
        metric.process({}, [sample.to_dict()])
        seconds.append(time.process_time() - start)
    return dict(seconds=sum(seconds[1:]) / len(seconds[1:]), cases=len(seconds), dice=metric.evaluate(len(cases)))


MEASURES = dict(export=export, slide=slide, case=case)


@pytest.mark.long
@pytest.mark.parametrize('keep_logits', [True, False])
def test_512_x_512_x_128_with_8_classes_under_3_gb(tmp_path, keep_logits):  # V4
    found = measured('export', tmp_path, keep_logits)
    assert not found['failed'] and tuple(found['shape']) == SHAPE
    assert found['peak'] < 3000


@pytest.mark.long
def test_windows_take_no_more_than_monais():  # V6
    pytest.importorskip('monai.inferers')
    ours, theirs = (measured('slide', whose) for whose in ('ours', 'monai'))
    assert ours['seconds'] < 1.1 * theirs['seconds'] and ours['rise'] < 1.1 * theirs['rise']


@pytest.mark.long
def test_a_case_of_the_hippocampus_takes_less_than_0_4_seconds():  # V17
    from volume_files import REAL  # not there where this file is a script

    root = REAL / 'msd_hippocampus_3d'
    if not root.is_dir():
        pytest.skip('needs the real data')
    found = measured('case', root)
    assert found['cases'] == 12 and found['seconds'] < 0.4


if __name__ == '__main__':
    print(json.dumps(MEASURES[sys.argv[1]](*sys.argv[2:]) | dict(peak=peak())))
