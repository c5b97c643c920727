"""A step that was not finite, done once more from the bundle that the guard of a training left."""

from contextlib import nullcontext
from functools import partial

import torch
from mmengine.registry import init_default_scope
from mmengine.runner import autocast

from ..engine.checkpoints.plain import restored
from ..engine.faults.forensics import Diagnosis, diagnose
from ..registry import MODELS
from ..weights.torch_file import read_torch

KEYS = ('model', 'state_dict', 'batch', 'random_states', 'place')


def replay(path: str, device: str = 'cpu', precision: str | None = None) -> tuple[Diagnosis, dict]:
    """What goes bad, and where the training was (epoch, iter, seed, rank).

    Args:
        path: the bundle.
        precision: 'float32', 'bfloat16' or 'float16'; None: that of the training.

    Raises:
        ValueError: the file is no bundle.
    """
    bundle = read_torch(path)
    lacking = [key for key in KEYS if not isinstance(bundle, dict) or key not in bundle]
    if lacking:
        raise ValueError(
            f'{path} is no bundle of a step: it has no {", ".join(lacking)}; NanGuardHook writes such files'
        )
    init_default_scope(bundle.get('default_scope', 'mmdet'))
    config = without_pretrained(restored(bundle['model']))
    model = MODELS.build(config)
    model.load_state_dict(restored(bundle['state_dict']))
    model.to(device).train()
    dtype = precision or precision_of(bundle.get('optim_wrapper') or {})
    kind = device.split(':')[0]
    context = nullcontext if dtype == 'float32' else partial(autocast, device_type=kind, dtype=DTYPES[dtype])
    found = diagnose(model, restored(bundle['batch'], device), restored(bundle['random_states']), context)
    return found, bundle['place']


DTYPES = dict(bfloat16=torch.bfloat16, float16=torch.float16)


def precision_of(wrapper: dict) -> str:
    """Of a config of an optimiser wrapper."""
    if 'Bfloat16' in str(wrapper.get('type')):
        return 'bfloat16'
    return wrapper.get('dtype') or 'float16' if 'Amp' in str(wrapper.get('type')) else 'float32'


def without_pretrained(config: dict) -> dict:
    """A model's config that loads no file: the bundle has the weights."""
    return {
        key: without_pretrained(value) if isinstance(value, dict) else value
        for key, value in config.items()
        if not (key == 'init_cfg' and isinstance(value, dict) and 'checkpoint' in value)
    }
