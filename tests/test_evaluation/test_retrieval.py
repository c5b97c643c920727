"""Recall of retrieval against a brute-force form."""

import pytest
import torch
import torch.nn.functional as F

from mmparts.evaluation import EqualTextRecall, RerankedRecall, RetrievalRecall
from mmparts.evaluation.reranking import reranked
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


def samples(texts, dims=4, seed=0):
    """Images with these texts, whose embeddings are random."""
    draw = torch.Generator().manual_seed(seed)
    made = []
    for number, own in enumerate(texts):
        image, rows = (F.normalize(torch.randn(count, dims, generator=draw), dim=-1) for count in (1, len(own)))
        made.append(dict(img_id=number, gt_texts=own, pred_embeddings=dict(image=image[0], text=rows)))
    return made


def test_images_that_share_a_text_are_all_right():
    texts = [['a ring'], ['a star', 'a red star'], ['a ring', 'a blue ring'], ['a star'], ['a cross']]
    made = samples(texts)
    vectors = {}  # the same text has the same embedding
    for sample in made:
        for row, text in enumerate(sample['gt_texts']):
            sample['pred_embeddings']['text'][row] = vectors.setdefault(text, sample['pred_embeddings']['text'][row])
    metric = EqualTextRecall(ks=(1, 2))
    metric.process({}, made)
    found = metric.compute_metrics(metric.results)

    names, images = list(vectors), [sample['pred_embeddings']['image'] for sample in made]
    for k in (1, 2):
        hits = []
        for name in names:
            order = sorted(range(5), key=lambda i, name=name: -float(images[i] @ vectors[name]))[:k]
            hits.append(any(name in texts[i] for i in order))
        assert found[f'image_R@{k}'] == pytest.approx(100 * sum(hits) / len(names), abs=1e-3)
        hits = []
        for i, own in enumerate(texts):
            order = sorted(names, key=lambda name, i=i: -float(images[i] @ vectors[name]))[:k]
            hits.append(any(name in own for name in order))
        assert found[f'text_R@{k}'] == pytest.approx(100 * sum(hits) / 5, abs=1e-3)
    metric.results[0] = (metric.results[0][0], ('a ring', 'another'))
    with pytest.raises(ValueError, match='2 texts and embeddings of 1'):
        metric.compute_metrics(metric.results)


def test_the_best_are_put_in_order_by_matching():
    """Against one by one; those that are not among the best stay behind, in the order of their cosines."""
    cosines = torch.randn(3, 7, generator=torch.Generator().manual_seed(1)).clamp(-1, 1)
    logits = torch.randn(3, 7, generator=torch.Generator().manual_seed(2))
    asked = []

    def match(queries, keys):
        asked.extend(zip(queries, keys))
        return logits[queries, keys]

    found = reranked(cosines, 3, match)
    for query in range(3):
        order = sorted(range(7), key=lambda key, query=query: -float(cosines[query, key]))
        best = sorted(order[:3], key=lambda key, query=query: -float(cosines[query, key] + logits[query, key]))
        assert found[query].argsort(descending=True).tolist() == best + order[3:]
    assert len(asked) == 9


def test_matching_that_knows_finds_all():
    made = samples([['a'], ['b', 'c'], ['d']])
    for number, sample in enumerate(made):
        sample.update(
            pred_tokens=torch.full((2, 3), number), pred_ids=[torch.tensor([number])] * len(sample['gt_texts'])
        )
    metric = RerankedRecall(best=4, ks=(1,))
    metric.process({}, made)
    with pytest.raises(RuntimeError, match='MatcherHook'):
        metric.compute_metrics(metric.results)
    metric.match = lambda tokens, ids: torch.tensor([5.0 * (t[0, 0] == i[0]) for t, i in zip(tokens, ids)])
    assert metric.compute_metrics(metric.results) == dict(zip(metric.names(), (100.0, 100.0, 100.0)))
    metric.match = lambda tokens, ids: torch.tensor([-5.0 * (t[0, 0] == i[0]) for t, i in zip(tokens, ids)])
    assert metric.compute_metrics(metric.results)['mean_R'] == 0.0
    with pytest.raises(ValueError, match='best=5'):
        RerankedRecall(best=5)
