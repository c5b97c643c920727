"""Images to hold an exported file against its model."""

import os.path as osp

import cv2
import torch
from mmengine.config import Config
from torch import Tensor

from ...datasets.members import data_folders
from ...tasks import Graph
from ..detector import find_images

MOST = 3


def images_of_test(cfg: Config) -> list[str]:
    """A few of the test set; none where it is not on this machine."""
    for what, folder in data_folders(dict(test_dataloader=cfg.get('test_dataloader'))).items():
        if osp.isdir(folder) and 'test' in what:
            try:
                return find_images(folder)[:MOST]
            except FileNotFoundError:
                continue
    return []


def inputs_of(graph: Graph, path: str | None, size: tuple[int, ...], batch: int = 1) -> tuple[Tensor, ...]:
    """Inputs of a graph: an image of that size, N times; noise without a path, or where an image is no input."""
    examples = graph.examples(batch, size)
    if path is None or graph.inputs != ('images',) or len(size) != 2 or examples[0].shape[1] not in (1, 3):
        return examples
    grey = examples[0].shape[1] == 1
    image = cv2.imread(path, cv2.IMREAD_GRAYSCALE if grey else cv2.IMREAD_COLOR)
    if image is None:
        raise ValueError(f'{path} cannot be read as an image')
    image = torch.from_numpy(cv2.resize(image, tuple(size)[::-1])).reshape(*size, -1).permute(2, 0, 1).float()
    return (image[None].repeat(batch, 1, 1, 1),)
