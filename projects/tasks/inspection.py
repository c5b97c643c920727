"""A look inside a set-prediction detector: what each decoder layer adds, and where the last one looks."""

import base64
import io
from collections.abc import Callable, Sequence

import numpy as np
import torch
from PIL import Image
from torch import nn

from ..evaluation import detection_errors as errors
from ..visualization.attention import find
from ..visualization.attention_figure import Frame, draw_looks, save_figure
from ..visualization.masked_attention import watch
from ..visualization.report.images import encoded

LOOKS = 3  # images whose attention is drawn


@torch.no_grad()
def by_layer(model: nn.Module, batches: Sequence[dict], evidence: Callable) -> list[dict]:
    """AP50 of each decoder layer; empty where the model does not tell its layers.

    Args:
        evidence: (data sample, info) -> evidence of an image.
    """
    if not hasattr(model, 'predict_layers'):
        return []
    found: list[list[dict]] = []
    for batch in batches:
        data = model.data_preprocessor(dict(inputs=batch['inputs'], data_samples=batch['data_samples']), False)
        for layer, (instances,) in enumerate(model.predict_layers(**_named(data))):
            sample = data['data_samples'][0]
            sample.pred_instances = instances
            found += [[]] * (layer == len(found))
            found[layer] = [*found[layer], evidence(sample, batch['info'])]
    return [dict(AP50=precision(each)) for each in found]


def _named(data: dict) -> dict:
    return dict(batch_inputs=data['inputs'], batch_data_samples=data['data_samples'])


def precision(images: list[dict]) -> float:
    """AP50, the mean over classes."""
    seen = errors.examine(images)
    counted = seen.kind != errors.FREE
    objects = np.bincount(seen.true_label)
    right = seen.kind == errors.RIGHT
    return errors.mean_precision(seen.label[counted], seen.score[counted], right[counted], objects)


@torch.no_grad()
def attention(model: nn.Module, batches: Sequence[dict], read: Callable, classes) -> list[tuple[str, str]]:
    """(base64 of WebP, caption) of the best object in each of the first images; empty where nothing can be drawn."""
    made = []
    for batch in batches[:LOOKS]:
        try:
            with watch(model) as watched:
                (sample,) = model.test_step(dict(inputs=batch['inputs'], data_samples=batch['data_samples']))
            look = watched.look()
            best = find(look, watched.select)[0]
        except (ValueError, AttributeError, IndexError):  # parts that tell nothing
            return made
        file = io.BytesIO()
        save_figure(draw_looks(read(sample), Frame.of(sample), look, [best], classes), file)
        name = classes[best.label] if classes is not None else f'class {best.label}'
        caption = (
            f'{watched.kind} of query {best.query}: {name} {best.score:.2f} in {sample.img_path.rpartition("/")[2]}'
        )
        made.append((base64.b64encode(encoded(Image.open(file), 640)).decode(), caption))
    return made
