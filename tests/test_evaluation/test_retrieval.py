"""Recall of retrieval against a brute-force form."""

import pytest
import torch
import torch.nn.functional as F

from mmparts.evaluation import RetrievalRecall
from mmparts.evaluation.retrieval import joined, recalls


def brute(scores, owner, k):
    """Of images for texts, and of texts for images, one by one."""
    count = len(scores)
    images = [owner[t] in sorted(range(count), key=lambda i: (-scores[i][t], i))[:k] for t in range(len(owner))]
    order = [sorted(range(len(owner)), key=lambda t: (-scores[i][t], t))[:k] for i in range(count)]
    texts = [any(owner[t] == i for t in best) for i, best in enumerate(order)]
    return [100 * sum(found) / len(found) for found in (images, texts)]


@pytest.mark.parametrize('ties', [False, True])
def test_recall_is_the_brute_force(ties):
    owner = torch.tensor([0, 0, 1, 2, 2, 2, 3, 4, 0])
    scores = torch.randn(5, 9, generator=torch.Generator().manual_seed(0))
    scores = scores.round() if ties else scores
    found = recalls(scores, owner, (1, 2, 3))
    wanted = list(zip(*(brute(scores.tolist(), owner.tolist(), k) for k in (1, 2, 3))))
    wanted = [*wanted[0], *wanted[1]]
    assert found[:-1] == pytest.approx(wanted, abs=1e-3)
    assert found[-1] == pytest.approx(sum(wanted) / 6, abs=1e-3)


def test_metric_joins_items_of_one_image():
    vectors = F.normalize(torch.randn(3, 4, generator=torch.Generator().manual_seed(0)), dim=-1)
    metric = RetrievalRecall(ks=(1,))
    samples = [
        dict(img_id=7, pred_embeddings=dict(image=vectors[0], text=vectors[0])),
        dict(img_id='b', pred_embeddings=dict(image=vectors[1], text=vectors[1:3])),
        dict(img_id=7, pred_embeddings=dict(image=vectors[0], text=vectors[2])),
    ]
    metric.process({}, samples)
    images, texts, owner = joined(metric.results)
    assert images.shape == (2, 4) and texts.shape == (4, 4) and owner.tolist() == [0, 1, 1, 0]
    assert list(metric.compute_metrics(metric.results)) == metric.names() == ['image_R@1', 'text_R@1', 'mean_R']
