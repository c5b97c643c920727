"""What a config costs: images a second and peak memory of inference and of a training step.

Weights are random and images are noise: no file is read and nothing is downloaded. Times hold neither data loading nor
preprocessing.
"""

import copy
import platform
from collections.abc import Callable

import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.optim import AmpOptimWrapper, build_optim_wrapper
from mmengine.registry import MODELS, init_default_scope
from torch import nn

from ...engine.cli import set_amp
from ...engine.optim.amp import Bfloat16OptimWrapper
from ...tasks import task_of
from ...tasks.shrink import without_pretrained
from .timing import measure

OPTIMIZER = dict(type='OptimWrapper', optimizer=dict(type='AdamW', lr=1e-4))


def build_untrained(cfg: Config, device: torch.device) -> nn.Module:
    """The model with random weights; pretrained ones that the config names are not looked for."""
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    model = MODELS.build(without_pretrained(cfg.model))
    model.init_weights()
    return model.to(device)


def measure_inference(
    cfg: Config, batch_size: int, shape: tuple[int, int], device: torch.device, amp_dtype: str | None = None, **limits
) -> dict:
    """Images in, predictions out. ``limits`` are those of :func:`.timing.measure`."""
    model = build_untrained(cfg, device)
    model.eval()
    batch = task_of(model).random(model, shape, batch_size, device)

    def step():
        with torch.no_grad(), _autocast(device, amp_dtype):
            model(**batch, mode='predict')

    return _measured(step, batch_size, device, **limits)


def measure_training(
    cfg: Config, batch_size: int, shape: tuple[int, int], device: torch.device, amp_dtype: str | None = None, **limits
) -> dict:
    """Loss, backward and the config's optimiser, with its own mixed precision where ``amp_dtype`` names none.

    Raises:
        SystemExit: mixed precision on another device than mmengine's, whose autocast would not apply.
    """
    cfg = copy.deepcopy(cfg)
    cfg.setdefault('optim_wrapper', OPTIMIZER)
    if amp_dtype:
        set_amp(cfg, amp_dtype)
    model = build_untrained(cfg, device)
    model.train()
    optimizer = build_optim_wrapper(model, cfg.optim_wrapper)
    if device.type != get_device() and isinstance(optimizer, (AmpOptimWrapper, Bfloat16OptimWrapper)):
        raise SystemExit(
            f'error: mixed precision on {device} would be timed without it, since mmengine turns it on '
            f'for {get_device()} on this machine; hide the GPUs with CUDA_VISIBLE_DEVICES=-1'
        )
    batch = task_of(model).random(model, shape, batch_size, device)

    def step():
        with optimizer.optim_context(model):
            loss, _ = model.parse_losses(model(**batch, mode='loss'))
        optimizer.update_params(loss)

    return _measured(step, batch_size, device, **limits)


def environment(device: torch.device) -> dict:
    """What the figures depend on beside the model."""
    name = torch.cuda.get_device_name(device) if device.type == 'cuda' else platform.processor() or platform.machine()
    return dict(
        device=str(device),
        hardware=name,
        threads=torch.get_num_threads(),
        torch=torch.__version__,
        python=platform.python_version(),
    )


def _measured(step: Callable[[], None], batch_size: int, device: torch.device, **limits) -> dict:
    timing, memory = measure(step, device, **limits)
    return dict(
        images_per_second=batch_size / timing.median,
        seconds_median=timing.median,
        seconds_best=timing.best,
        rounds=len(timing.seconds),
        peak_memory_bytes=memory.bytes,
        peak_memory_kind=memory.kind,
    )


def _autocast(device: torch.device, dtype: str | None):
    return torch.autocast(device.type, dtype=getattr(torch, dtype) if dtype else None, enabled=dtype is not None)
