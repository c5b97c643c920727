"""Predictions as files: JSON that other programs can read, or a pickle of everything."""

import json
from collections.abc import Sequence

from mmdet.evaluation import DumpDetResults
from mmdet.structures.mask import encode_mask_results
from mmengine.evaluator import BaseMetric

from ..engine.checkpoint import write_atomically

FORMATS = ('.json', '.pkl', '.pickle')


def to_record(sample: dict, classes: Sequence[str] | None = None, score_thr: float = 0.0) -> dict:
    """The predicted boxes and masks of one image as plain data.

    Args:
        sample: ``DetDataSample.to_dict()``, or the sample itself.
        classes: Class names; without them a record has label numbers alone.
        score_thr: Lower scores are left out.

    Returns:
        dict: ``image``, ``image_id``, ``width``, ``height``, and lists ``boxes`` (xyxy, pixels of the original image),
        ``labels``, ``names``, ``scores``, and ``masks`` where the model predicts them (COCO's RLE, of the size of the
        original image), best first.
    """
    prediction = sample['pred_instances'] if isinstance(sample, dict) else sample.pred_instances
    scores = prediction['scores'].detach().cpu().float()
    order = scores.argsort(descending=True)
    order = order[scores[order] >= score_thr]
    labels = prediction['labels'].cpu()[order].tolist()
    boxes = prediction['bboxes'].detach().cpu().float()[order]
    height, width = sample.get('ori_shape', (None, None))[:2]
    record = dict(
        image=sample.get('img_path'),
        image_id=sample.get('img_id'),
        width=width,
        height=height,
        boxes=[[round(value, 2) for value in box] for box in boxes.tolist()],
        labels=labels,
        scores=[round(score, 5) for score in scores[order].tolist()],
    )
    if classes is not None:
        record['names'] = [classes[label] for label in labels]
    if 'masks' in prediction:
        masks = encode_mask_results(prediction['masks'][order].cpu().numpy())
        record['masks'] = [dict(size=mask['size'], counts=mask['counts'].decode()) for mask in masks]
    return record


class DumpJson(BaseMetric):
    """A "metric" that collects the predictions of all processes and writes them to a JSON file."""

    def __init__(self, path: str):
        super().__init__(collect_device='cpu')
        self.path = path

    def process(self, data_batch: dict, data_samples: Sequence[dict]) -> None:
        classes = (self.dataset_meta or {}).get('classes')
        self.results.extend(to_record(sample, classes) for sample in data_samples)

    def compute_metrics(self, results: list) -> dict:
        write_atomically(json.dumps(dict(predictions=results)).encode(), self.path)
        return {}


def dump_metric(path: str) -> BaseMetric:
    """What writes the predictions of a test to ``path``, by its ending."""
    if not path.endswith(FORMATS):
        raise SystemExit(f'--out {path}: the name must end with {", ".join(FORMATS)}')
    return DumpJson(path) if path.endswith('.json') else DumpDetResults(out_file_path=path)
