"""Metrics of flow, filled texts, clips and sets, by hand."""

import pytest
import torch

from mmparts.evaluation import ClipFidelity, EndPointError, GapAccuracy, SetAccuracy


def told(metric, samples: list[dict]) -> dict:
    metric.process({}, samples)
    return metric.compute_metrics(metric.results)


def test_end_point_error_counts_known_pixels():
    truth = torch.zeros(2, 2, 3)
    truth[:, 0, 0] = torch.tensor([6.0, 8.0])
    valid = torch.ones(2, 3, dtype=torch.bool)
    valid[1, 2] = False
    found = torch.zeros(2, 2, 3)
    found[0, 0, 1], found[0, 1, 2] = 2.5, 100
    one = dict(pred_flow=found, gt_flow=truth, gt_valid=valid)
    assert told(EndPointError(), [one]) == dict(epe=2.5, zero_epe=2.0, fl_all=20.0)
    other = dict(pred_flow=truth[:, :1, :1], gt_flow=truth[:, :1, :1])
    assert told(EndPointError(), [one, other])['epe'] == pytest.approx(12.5 / 6, abs=1e-4)
    with pytest.raises(ValueError, match='is true'):
        told(EndPointError(), [dict(pred_flow=found[:, :1], gt_flow=truth)])


def test_gaps_alone_count():
    asked = torch.tensor([True, False, True])
    sample = dict(asked=asked, pred_ids=torch.tensor([7, 8, 9]), gt_ids=torch.tensor([7, 0, 8]))
    assert told(GapAccuracy(), [sample]) == dict(accuracy=50.0)


def test_fidelity():
    video = torch.full((3, 1, 2, 2), 100, dtype=torch.uint8)
    sample = dict(
        gt_video=video,
        pred_video=video + 10,
        gt_audio=torch.zeros(4),
        pred_audio=torch.full((4,), 0.2),
        gt_label=torch.tensor(1),
        pred_label=torch.tensor(1),
    )
    found = told(ClipFidelity(), [sample])
    assert found['video_psnr'] == pytest.approx(20 * torch.log10(torch.tensor(25.5)).item(), abs=1e-3)
    assert found['audio_psnr'] == pytest.approx(20.0, abs=1e-3) and found['top1'] == 100
    assert found['still_psnr'] > 100 and found['silence_psnr'] > 100, 'nothing moves, nothing sounds'


def test_fidelity_tells_that_of_a_still_and_of_silence():
    video = torch.tensor([90, 110], dtype=torch.uint8).view(1, 2, 1, 1).expand(3, 2, 4, 4)
    audio = torch.tensor([0.2, -0.2])
    found = told(ClipFidelity(), [dict(gt_video=video, pred_video=video, gt_audio=audio, pred_audio=audio)])
    assert found['still_psnr'] == pytest.approx(20 * torch.log10(torch.tensor(25.5)).item(), abs=1e-3)
    assert found['silence_psnr'] == pytest.approx(20.0, abs=1e-3)
    assert found['video_psnr'] > 100 and found['audio_psnr'] > 100


def test_elements_count_equally():
    samples = [
        dict(pred_labels=torch.tensor([0, 1, 1]), gt_labels=torch.tensor([0, 1, 0])),
        dict(pred_labels=torch.tensor([2]), gt_labels=torch.tensor([2])),
    ]
    assert told(SetAccuracy(prefix='sets'), samples) == dict(accuracy=75.0)
    assert SetAccuracy(prefix='sets').names() == ['sets/accuracy']
