"""Does an exported file say what the model says? The same images through both."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor

from ...tasks import Graph


@dataclass
class Agreement:
    """Of one image.

    Attributes:
        differences: output -> largest difference over the largest value.
        objects: detections from a score of 0.3 on that the model has, and how many of them the file has as well: the
            same class, the box within a pixel. None where there are none to count.
        seconds: that the file took.
    """

    differences: dict[str, float]
    objects: tuple[int, int] | None
    seconds: float

    def __str__(self) -> str:
        said = ', '.join(f'{name} {value:.1e}' for name, value in self.differences.items())
        count = '' if self.objects is None else f'; {self.objects[1]} of {self.objects[0]} detections equal'
        return f'largest relative difference: {said}{count}; {self.seconds * 1000:.0f} ms'


def agree(graph: Graph, path: str, inputs: Sequence[Tensor]) -> Agreement:
    """Run an exported file and the model on the same inputs, as of `Graph.examples`."""
    with torch.no_grad():
        expected = [each.float().numpy() for each in graph(*inputs)]
    run = runner(path)
    start = time.perf_counter()
    found = run(*inputs)
    seconds = time.perf_counter() - start
    differences = {
        name: float(np.abs(one.astype(float) - other).max() / max(np.abs(one).max(), 1e-9))
        for name, one, other in zip(graph.outputs, expected, found)
        if name != 'labels'
    }
    return Agreement(differences, objects(graph.outputs, expected, found), seconds)


def objects(names: Sequence[str], expected: list, found: list, score: float = 0.3) -> tuple[int, int] | None:
    """(detections of the model, those of them that the file has)."""
    if 'labels' not in names:
        return None
    (boxes, scores, labels), (others, _, said) = expected[:3], found[:3]
    total = same = 0
    for image in range(len(boxes)):
        for index in np.flatnonzero(scores[image] >= score):
            close = np.abs(others[image] - boxes[image, index]).max(1) < 1
            total += 1
            same += bool((close & (said[image] == labels[image, index])).any())
    return total, same


def runner(path: str) -> Callable[..., list[np.ndarray]]:
    """Inputs -> outputs, of an exported file."""
    if path.endswith('.onnx'):
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.log_severity_level = 3
        options.intra_op_num_threads = torch.get_num_threads()
        session = onnxruntime.InferenceSession(path, options, providers=['CPUExecutionProvider'])
        names = [each.name for each in session.get_inputs()]
        return lambda *inputs: session.run(None, {name: each.numpy() for name, each in zip(names, inputs)})
    program = torch.export.load(path).module()
    return lambda *inputs: [each.detach().numpy() for each in program(*inputs)]
