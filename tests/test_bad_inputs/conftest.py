"""Writes the small data set of damaged.py."""

import copy
import json

import cv2
import numpy as np
import pytest
from damaged import CONTENT, HEIGHT, WIDTH


@pytest.fixture
def write(tmp_path):
    """``write(change)``: ann.json and images; ``change`` gets the content before. Returns the folder."""

    def make(change=None, raw: bytes | None = None):
        content = copy.deepcopy(CONTENT)
        if change:
            change(content)
        (tmp_path / 'ann.json').write_bytes(json.dumps(content).encode() if raw is None else raw)
        for image in CONTENT['images']:
            picture = np.random.default_rng(image['id']).integers(0, 256, (HEIGHT, WIDTH, 3), np.uint8)
            cv2.imwrite(str(tmp_path / image['file_name']), picture)
        return tmp_path

    return make
