import pytest
import torch

from mmparts.evaluation import TopKAccuracy


def sample(scores, label):
    return dict(pred_scores=torch.tensor(scores), gt_label=torch.tensor(label))


def test_shares_in_percent():
    metric = TopKAccuracy(topk=(1, 2))
    metric.process({}, [sample([0.1, 0.7, 0.2], 1), sample([0.1, 0.7, 0.2], 2)])
    metric.process({}, [sample([0.1, 0.7, 0.2], 0), sample([0.5, 0.5, 0.0], 1)])
    assert metric.evaluate(4) == dict(top1=25.0, top2=75.0)
    assert metric.names() == ['top1', 'top2']


def test_more_than_there_are_classes():
    with pytest.raises(ValueError, match='tells 3 classes apart'):
        TopKAccuracy(topk=(1, 5)).process({}, [sample([0.1, 0.7, 0.2], 1)])
