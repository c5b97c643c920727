"""The report of retrieval: its numbers are those of the metric, it comes back from JSON and is drawn."""

import json

import cv2
import numpy as np
import torch
import torch.nn.functional as F

from mmparts.evaluation.retrieval import RetrievalRecall
from mmparts.structures import MultimodalSample
from mmparts.tasks import Retrieval
from mmparts.visualization.report import Album


def samples(folder, count: int = 12, width: int = 8) -> list[MultimodalSample]:
    """Items with one to three texts near their image."""
    random = torch.Generator().manual_seed(0)
    made = []
    for index in range(count):
        path = str(folder / f'{index}.png')
        cv2.imwrite(path, np.full((20, 30, 3), 20 * index, np.uint8))
        image = F.normalize(torch.randn(width, generator=random), dim=0)
        texts = F.normalize(image + 0.6 * torch.randn(1 + index % 3, width, generator=random), dim=1)
        sample = MultimodalSample(metainfo=dict(img_id=index, img_path=path))
        sample.gt_texts = [f'text {index} {number}' for number in range(len(texts))]
        sample.pred_embeddings = dict(image=image, text=texts)
        made.append(sample)
    return made


def test_the_report_of_retrieval(tmp_path):
    task, items = Retrieval(), samples(tmp_path)
    metric = RetrievalRecall()
    metric.process({}, [dict(img_id=item.img_id, pred_embeddings=item.pred_embeddings) for item in items])
    expected = metric.compute_metrics(metric.results)
    kept = [task.evidence(dict(item.to_dict(), img_path=item.img_path, img_id=item.img_id), {}) for item in items]
    kept = task.settled(kept)
    found = task.findings(task, json.loads(json.dumps(kept)), None)
    assert all(len(json.dumps(one)) < 300 + 60 * len(one['texts']) for one in kept), 'vectors are not kept'
    for one, item in zip(kept, items):
        expected_of_own = item.pred_embeddings['text'] @ item.pred_embeddings['image']
        np.testing.assert_allclose(one['similarities'], expected_of_own, atol=1e-4)
    of_texts, of_images = found.places
    for k in (1, 5):
        assert round(100 * float((of_texts < k).float().mean()), 4) == expected[f'image_R@{k}']
        assert round(100 * float((of_images < k).float().mean()), 4) == expected[f'text_R@{k}']
    assert 0 < expected['image_R@1'] < 100, 'some are found and some are not'
    assert f'{float((of_texts == 0).float().mean()):.1%}' in found.verdict()
    album = Album()
    assert [section.key for section in found.sections(album)] == ['recall', 'curves', 'images']
    worst = int(found.quality().argmin())
    own = [one['places'] for one in kept]
    assert worst == max(range(len(own)), key=lambda index: max(own[index]))
    assert 'comes first' in found.caption(worst) and f'image-{worst}' in album
