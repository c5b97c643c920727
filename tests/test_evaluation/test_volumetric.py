"""Measures of volumes against MONAI, medpy and hand-made cases; rules for empty sets; averages; processes."""

import csv
import itertools

import numpy as np
import pytest
from mmengine.logging import MMLogger

from mmparts.evaluation import VolumeMetric
from mmparts.evaluation.volumetric.centreline import skeleton, tree_length, tree_metrics
from mmparts.evaluation.volumetric.measures import MEASURES, Rules, measure

SPACING = (0.5, 1.0, 3.0)
META = dict(labels=dict(background=0, a=1, b=2), classes=('background', 'a', 'b'))


def crafted_pair():
    """A cube of 12^3 against itself and a block of 4^3, 20 voxels away."""
    truth = np.zeros((20, 20, 60), bool)
    truth[4:16, 4:16, 4:16] = True
    found = truth.copy()
    found[8:12, 8:12, 36:40] = True
    return truth, found


def test_the_two_rules_of_hd95():  # V9
    truth, found = crafted_pair()
    rows = {rule: measure(truth, found, (1, 1, 1), Rules(('Dice', 'HD95'), hd=rule)) for rule in ('medpy', 'monai')}
    assert rows['medpy']['HD95'] == 0 and rows['monai']['HD95'] == pytest.approx(21.85, abs=0.005)
    assert rows['medpy']['Dice'] == pytest.approx(0.98182, abs=5e-6)


def blobs(seed):
    from scipy import ndimage

    noise = ndimage.gaussian_filter(np.random.default_rng(seed).standard_normal((2, 14, 16, 9)), (0, 2, 2, 1))
    return noise[0] > 0.02, noise[0] + noise[1] / 3 > 0.02


@pytest.mark.parametrize('seed', range(3))
def test_medpy_agrees(seed):
    medpy = pytest.importorskip('medpy.metric.binary')
    truth, found = blobs(seed)
    row = measure(truth, found, SPACING, Rules(MEASURES, hd='medpy'))
    expected = dict(
        Dice=medpy.dc(found, truth),
        IoU=medpy.jc(found, truth),
        sensitivity=medpy.sensitivity(found, truth),
        precision=medpy.precision(found, truth),
        HD95=medpy.hd95(found, truth, SPACING),
        ASSD=medpy.assd(found, truth, SPACING),
    )
    for name, value in expected.items():
        assert row[name] == pytest.approx(value, abs=1e-6), name
    assert row['volume_difference'] == pytest.approx((found.sum() - truth.sum()) * 1.5 / 1000)


@pytest.mark.parametrize('seed', range(3))
def test_monai_agrees(seed):
    monai = pytest.importorskip('monai.metrics')
    import torch

    truth, found = blobs(seed)
    pair = [torch.from_numpy(mask)[None, None].float() for mask in (found, truth)]
    row = measure(truth, found, SPACING, Rules(MEASURES, hd='monai', tolerance=1.2))
    assert row['Dice'] == pytest.approx(monai.compute_dice(*pair).item(), abs=1e-6)
    hd95 = monai.compute_hausdorff_distance(*pair, percentile=95, spacing=SPACING, include_background=True)
    assert row['HD95'] == pytest.approx(hd95.item(), abs=1e-5)
    assd = monai.compute_average_surface_distance(*pair, symmetric=True, spacing=SPACING, include_background=True)
    assert row['ASSD'] == pytest.approx(assd.item(), abs=1e-5)
    nsd = monai.compute_surface_dice(*pair, [1.2], include_background=True, spacing=SPACING)
    assert row['NSD'] == pytest.approx(nsd.item(), abs=1e-6)


def test_two_cubes_offset_by_two_voxels():
    truth, found = np.zeros((2, 16, 16, 16), bool)
    truth[4:10, 4:10, 4:10] = found[6:12, 4:10, 4:10] = True
    row = measure(truth, found, (3, 1, 1), Rules(('Dice', 'HD95', 'NSD'), tolerance=6))
    assert row['Dice'] == pytest.approx(4 / 6) and row['HD95'] == pytest.approx(6) and row['NSD'] == 1
    assert measure(truth, found, (3, 1, 1), Rules(('HD95',), spacing_aware=False))['HD95'] == pytest.approx(2)


NAN = float('nan')
BOTH, ONLY_FOUND, ONLY_TRUE = (False, False), (False, True), (True, False)  # (truth, found) have voxels
RULES = [
    ('brats', {BOTH: (1, 0), ONLY_FOUND: (0, 373.13), ONLY_TRUE: (0, 373.13)}),
    ('vtunet', {BOTH: (1, 0), ONLY_FOUND: (0, 0), ONLY_TRUE: (0, 0)}),
    ('transunet', {BOTH: (0, 0), ONLY_FOUND: (1, 0), ONLY_TRUE: (0, 0)}),  # V14
    ('monai', {BOTH: (NAN, NAN), ONLY_FOUND: (NAN, NAN), ONLY_TRUE: (0, NAN)}),
    ('diagonal', {BOTH: (1, 0), ONLY_FOUND: (0, 13), ONLY_TRUE: (0, 13)}),
]


@pytest.mark.parametrize(('rule', 'expected'), RULES, ids=[rule for rule, _ in RULES])
def test_rules_for_empty_sets(rule, expected):
    for (has_truth, is_found), (dice, distance) in expected.items():
        truth, found = (np.full((3, 4, 12), has) for has in (has_truth, is_found))
        row = measure(truth, found, (1, 1, 1), Rules(('Dice', 'HD95'), empty=rule))
        assert (row['Dice'], row['HD95']) == pytest.approx((dice, distance), nan_ok=True)


def sample(case, truth, found, **more):
    return dict(case=case, gt_sem_seg=dict(data=truth), pred_sem_seg=dict(data=found), **more)


def cases(count=13, seed=0):
    rng = np.random.default_rng(seed)
    made = []
    for i in range(count):
        truth = rng.integers(0, 3, (1, 6, 7, 8))
        found = np.where(rng.random(truth.shape) < 0.2, rng.integers(0, 3, truth.shape), truth)
        made.append(sample(f'case_{i:02d}', truth, found, source_affine=np.diag([*SPACING, 1])))
    return made


def evaluated(samples, meta=META, **kwargs):
    metric = VolumeMetric(**kwargs)
    metric.dataset_meta = meta
    metric.process({}, samples)
    return metric.evaluate(len(samples))


def test_mean_over_cases_then_regions():
    pairs = [(s['gt_sem_seg']['data'], s['pred_sem_seg']['data']) for s in cases()]
    dice = [[2 * ((t == i) & (f == i)).sum() / ((t == i).sum() + (f == i).sum()) for i in (1, 2)] for t, f in pairs]
    found = evaluated(cases(), measures=['Dice'])
    assert found['volume/Dice_a'] == pytest.approx(np.mean(dice, 0)[0])
    assert found['volume/Dice'] == pytest.approx(np.mean(dice))
    median = evaluated(cases(), measures=['Dice'], average='median')
    assert median['volume/Dice_b'] == pytest.approx(np.median(dice, 0)[1])


def test_pooled_is_of_all_voxels():
    both = sum((s['gt_sem_seg']['data'] == 1)[s['pred_sem_seg']['data'] == 1].sum() for s in cases())
    total = sum((s[key]['data'] == 1).sum() for s in cases() for key in ('gt_sem_seg', 'pred_sem_seg'))
    found = evaluated(cases(), measures=['Dice'], average='pooled')
    assert found['volume/Dice_a'] == pytest.approx(2 * both / total)
    with pytest.raises(ValueError, match='not of HD95'):
        VolumeMetric(average='pooled')


def test_one_sided_empties_are_counted_and_the_table_names_its_rules(monkeypatch):
    samples = cases(3)
    samples[0]['pred_sem_seg']['data'] = np.zeros((1, 6, 7, 8), int)  # both regions missed
    logged = []
    monkeypatch.setattr(MMLogger.get_current_instance(), 'info', logged.append)
    found = evaluated(samples, hd_rule='monai', empty_rule='transunet', spacing_aware=False)
    assert found['volume/one_sided_empty'] == 2
    (text,) = logged
    assert "voxel HD95 (voxels, monai's rule)" in text and 'empty sets: transunet' in text
    assert 'mean over cases, then over regions; 3 cases' in text


def test_ignored_voxels_count_nowhere():
    (clean,), (dirty,) = cases(1), cases(1)
    dirty['gt_sem_seg']['data'] = np.where(np.arange(8) < 3, 255, dirty['gt_sem_seg']['data'])
    clean = sample('case', *(clean[k]['data'][..., 3:] for k in ('gt_sem_seg', 'pred_sem_seg')))
    assert evaluated([dirty], measures=['Dice', 'precision']) == evaluated([clean], measures=['Dice', 'precision'])


def test_csv_has_a_row_for_each_case_and_region(tmp_path):
    evaluated(cases(4), csv_file=str(tmp_path / 'out' / 'cases.csv'))
    rows = list(csv.DictReader((tmp_path / 'out' / 'cases.csv').open()))
    names = [f'case_{i:02d}' for i in range(4)]
    assert [(r['case'], r['region']) for r in rows] == list(itertools.product(names, 'ab'))
    assert 0 < float(rows[0]['Dice']) < 1 and float(rows[0]['HD95']) >= 0
    assert [path.name for path in (tmp_path / 'out').iterdir()] == ['cases.csv']


def test_other_names_are_refused():
    (one,) = cases(1)
    with pytest.raises(ValueError, match=r"predicts \('background', 'b', 'a'\), the data set has"):
        evaluated([{**one, 'pred_classes': ('background', 'b', 'a')}])
    del one['gt_sem_seg']
    with pytest.raises(KeyError, match='case_00 has no gt_sem_seg'):
        evaluated([one])


def worker(rank, port, queue):
    import torch.distributed as dist

    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    everything = cases()
    indices = [(rank + 2 * i) % 13 for i in range(7)]  # as DefaultSampler: the last one of rank 1 is filled up
    metric = VolumeMetric(measures=['Dice', 'HD95', 'NSD'])
    metric.dataset_meta = META
    metric.process({}, [everything[i] for i in indices])
    queue.put((rank, metric.evaluate(13)))
    dist.destroy_process_group()


def test_two_processes_equal_one():  # V16
    import socket

    import torch.multiprocessing as mp

    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = mp.get_context('fork')
    queue = context.Queue()
    workers = [context.Process(target=worker, args=(rank, port, queue)) for rank in range(2)]
    for each in workers:
        each.start()
    found = dict(queue.get(timeout=120) for _ in workers)
    for each in workers:
        each.join()
    expected = evaluated(cases(), measures=['Dice', 'HD95', 'NSD'])
    assert found[0] == pytest.approx(expected, abs=1e-6)


def tree():
    """A trunk of 20 voxels along W that forks into two branches along H."""
    mask = np.zeros((7, 41, 30), bool)
    mask[2:5, 19:22, 2:22] = True
    mask[2:5, 5:36, 19:22] = True
    return mask


def test_tree_metrics():
    pytest.importorskip('skimage')
    whole = tree()
    assert tree_metrics(whole, whole, (1, 1, 1)) == dict(branches=1.0, length=1.0, cldice=1.0)
    cut = whole.copy()
    cut[:, 24:] = False  # one of the two arms
    row = tree_metrics(whole, cut, (1, 1, 1))
    assert row['branches'] == pytest.approx(2 / 3) and 0.6 < row['length'] < 0.8 and 0.7 < row['cldice'] < 1


def test_length_of_a_line_in_millimetres():
    line = np.zeros((3, 3, 11), bool)
    line[1, 1, :] = True
    assert tree_length(line, (1, 1, 2)) == pytest.approx(20)
    corner = np.zeros((1, 3, 3), bool)
    corner[0, 0, :2] = corner[0, 1, 1] = True  # three voxels, all neighbours: two links
    assert tree_length(corner, (1, 1, 1)) == pytest.approx(2)
    assert tree_length(line, (1, 1, 2), np.broadcast_to(np.arange(11) < 6, line.shape)) == pytest.approx(10)


def test_the_skeleton_is_thin():
    pytest.importorskip('skimage')
    assert 40 < skeleton(tree()).sum() < 60


def test_folds_together(tmp_path):  # V10
    from mmparts.evaluation.volumetric.folds import fold_table

    paths = [tmp_path / f'{k}.csv' for k in range(3)]
    means = []
    for k, path in enumerate(paths):
        found = evaluated(cases(9)[3 * k : 3 * k + 3], measures=['Dice'], csv_file=str(path))
        means.append((found['volume/Dice_a'], found['volume/Dice']))
    text = fold_table(paths)
    (a, whole) = np.array(means).T
    assert text.startswith('3 folds, 9 cases')
    assert f'Dice a: {a.mean():.4f} +- {a.std(ddof=1):.4f}' in text
    assert f'Dice mean: {whole.mean():.4f} +- {whole.std(ddof=1):.4f}' in text
    with pytest.raises(ValueError, match="the case 'case_00' is in .*0.csv and in .*0.csv"):
        fold_table([paths[0], paths[0]])
    (tmp_path / 'x.csv').write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match='is no table of cases'):
        fold_table([tmp_path / 'x.csv'])
