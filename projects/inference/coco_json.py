"""Predictions as a COCO data set with scores, which annotation programs and other toolboxes read."""

from collections.abc import Sequence


def coco_of(records: Sequence[dict], classes: Sequence[str] | None) -> dict:
    """Records of detections (`Detection.record`) as COCO's ``images``, ``annotations`` (with ``score``) and
    ``categories``; ids count from 1.

    >>> record = dict(image='a.png', width=9, height=9, boxes=[[1, 2, 4, 4]], labels=[0], scores=[0.5])
    >>> coco_of([record], ['cell'])['annotations'][0]['bbox']
    [1, 2, 3, 2]
    """
    images, annotations, highest = [], [], -1
    for number, record in enumerate(records, 1):
        if 'error' in record:
            continue
        if 'boxes' not in record:
            raise ValueError('COCO holds boxes and masks of objects, which this model does not predict')
        images.append(dict(id=number, file_name=record['image'], width=record['width'], height=record['height']))
        masks = record.get('masks') or [None] * len(record['boxes'])
        for box, label, score, mask in zip(record['boxes'], record['labels'], record['scores'], masks):
            left, top, right, bottom = box
            width, height = right - left, bottom - top
            highest = max(highest, label)
            annotation = dict(
                id=len(annotations) + 1,
                image_id=number,
                category_id=label + 1,
                bbox=[round(value, 2) for value in (left, top, width, height)],
                area=round(width * height, 2),
                iscrowd=0,
                score=score,
            )
            annotations.append(annotation if mask is None else dict(annotation, segmentation=mask))
    names = classes or [f'class {label}' for label in range(highest + 1)]
    categories = [dict(id=label + 1, name=name) for label, name in enumerate(names)]
    return dict(images=images, annotations=annotations, categories=categories)
