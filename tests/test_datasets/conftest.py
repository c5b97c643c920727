"""A writer of tiny COCO files with whatever faults a test asks for."""

import json

import cv2
import numpy as np
import pytest


@pytest.fixture
def write_coco(tmp_path):
    """Writes ``ann.json`` and its images; returns the folder.

    ``boxes``: one list for each image of (category name, x, y, width, height).
    """

    def write(boxes, categories=('car', 'person', 'dog'), ids=None, size=(40, 30), change=None):
        ids = dict(zip(categories, ids or range(1, len(categories) + 1)))
        content = dict(
            images=[dict(id=i, file_name=f'{i}.png', width=size[0], height=size[1]) for i in range(len(boxes))],
            categories=[dict(id=number, name=name) for name, number in ids.items()],
            annotations=[
                dict(image_id=i, category_id=ids[name], bbox=box, area=box[2] * box[3], iscrowd=0)
                for i, objects in enumerate(boxes)
                for name, *box in objects
            ],
        )
        for number, annotation in enumerate(content['annotations']):
            annotation['id'] = number + 1
        if change:
            change(content)
        (tmp_path / 'ann.json').write_text(json.dumps(content))
        for image in content['images']:
            cv2.imwrite(str(tmp_path / image['file_name']), np.zeros((size[1], size[0], 3), np.uint8))
        return tmp_path

    return write
