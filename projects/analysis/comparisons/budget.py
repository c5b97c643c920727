"""Several configs of any kind, each trained for so many seconds of the processor, or so many steps, then evaluated.

Data, parts, losses, optimiser and batch are those of the config; the learning rate is its own, with a warm-up and then
a fall to zero over the budget. Time is the processor's: reading of data, steps, not the start and not the evaluation.
"""

import json
import time
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import torch
from mmengine.config import Config
from mmengine.evaluator import Evaluator
from mmengine.optim import build_optim_wrapper
from mmengine.registry import DefaultScope
from mmengine.runner import Runner, load_checkpoint, save_checkpoint
from torch import nn
from torch.utils.data import DataLoader

from ...engine.checkpoints.checkpoint import write_atomically
from ...engine.resuming.samples import seed_all
from ...registry import MODELS

POWER = 0.9  # of the fall


@dataclass
class Result:
    """What a config reached. ``seconds``: the processor's, of its training; ``metrics`` as the evaluators name them."""

    config: str
    seed: int
    seconds: float
    steps: int
    parameters: int
    loss: float
    metrics: dict[str, float]


def train(
    cfg: Config,
    seconds: float,
    seed: int = 0,
    warmup: float = 0.05,
    device: str = 'cpu',
    steps: int | None = None,
    save: Path | None = None,
) -> Result:
    """Train and evaluate the model of a config.

    Args:
        seconds: of the processor.
        warmup: share of the budget in which the rate grows.
        steps: the budget instead of seconds.
        save: folder for the weights, `CONFIG_seedN.pth`; a config that is not evaluated (a pre-training) needs it.

    Raises:
        ValueError: the config is not evaluated and its weights are not saved, or a loss is not finite.
    """
    evaluated = bool(cfg.get('val_evaluator') and cfg.get('val_dataloader'))
    if not evaluated and not save:
        raise ValueError(f'{cfg.filename} has no val_dataloader and val_evaluator; give a folder for its weights')
    seed_all(seed)
    with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmdet')):
        model = MODELS.build(cfg.model)
        model.init_weights()
        if cfg.get('load_from'):
            load_checkpoint(model, cfg.load_from, map_location='cpu')
        model.to(device)
        optimiser = build_optim_wrapper(model, cfg.optim_wrapper)
        loader = Runner.build_dataloader(alone(cfg.train_dataloader), seed=seed)
        judge = judged_by(cfg, model) if evaluated else None

        rates = [group['lr'] for group in optimiser.param_groups]
        model.train()
        start, done, last = time.process_time(), 0, 0.0
        for batch in endless(loader):
            share = done / steps if steps else (time.process_time() - start) / seconds
            if share >= 1:
                break
            for group, rate in zip(optimiser.param_groups, rates):
                group['lr'] = rate * factor(share, warmup)
            last = model.train_step(batch, optimiser)['loss'].item()
            done += 1
            if not torch.tensor(last).isfinite():
                raise ValueError(f'{cfg.filename}: the loss is {last} in step {done}')
        spent = time.process_time() - start
        if save:
            save_checkpoint(dict(state_dict=model.state_dict()), str(weights_of(save, cfg.filename, seed)))
        metrics = evaluate(model, *judge) if judge else {}
    parameters = sum(each.numel() for each in model.parameters())
    return Result(str(cfg.filename), seed, round(spent, 1), done, parameters, round(last, 4), metrics)


def weights_of(folder: Path, config: str | Path, seed: int) -> Path:
    return Path(folder) / f'{Path(config).stem}_seed{seed}.pth'


def factor(share: float, warmup: float) -> float:
    """Of the rate, after a share of the budget."""
    return (1 - share) ** POWER * min(1.0, (share + 0.02) / warmup if warmup else 1.0)


def alone(loader: dict) -> dict:
    """A loader whose work this process does itself, so that its time counts."""
    return {key: value for key, value in loader.items() if key != 'persistent_workers'} | dict(num_workers=0)


def endless(loader) -> Iterator[dict]:
    epoch = 0
    while True:
        if hasattr(loader.sampler, 'set_epoch'):
            loader.sampler.set_epoch(epoch)
        yield from loader
        epoch += 1


def judged_by(cfg: Config, model: nn.Module) -> tuple[DataLoader, Evaluator]:
    """What a config validates with; the model is told what it says of its classes."""
    loader, evaluator = Runner.build_dataloader(alone(cfg.val_dataloader), seed=0), Evaluator(cfg.val_evaluator)
    model.dataset_meta = evaluator.dataset_meta = loader.dataset.metainfo
    return loader, evaluator


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader, evaluator: Evaluator) -> dict[str, float]:
    model.eval()
    for batch in loader:
        evaluator.process(data_samples=model.val_step(batch), data_batch=batch)
    return {key: float(value) for key, value in evaluator.evaluate(len(loader.dataset)).items()}


def read(path: Path) -> list[Result]:
    """Results that were written; none where there is no file."""
    return [Result(**each) for each in json.loads(path.read_text())] if path.exists() else []


def write(results: Sequence[Result], path: Path):
    write_atomically(json.dumps([asdict(each) for each in results], indent=1).encode(), str(path))


def table(results: Sequence[Result], metrics: Sequence[str]) -> str:
    """Markdown, a row for each config; several seeds as mean and, in brackets, the smallest and largest."""
    shown = [name for name in metrics if any(name in each.metrics for each in results)]
    rows = [['config', 'parameters', 'steps', *shown], ['---'] * (3 + len(shown))]
    for config in dict.fromkeys(each.config for each in results):
        runs = [each for each in results if each.config == config]
        steps = round(sum(each.steps for each in runs) / len(runs))
        values = [spread([each.metrics[name] for each in runs if name in each.metrics]) for name in shown]
        rows.append([Path(config).stem, f'{runs[0].parameters:,}', str(steps), *values])
    return '\n'.join(f'| {" | ".join(row)} |' for row in rows)


def spread(values: Sequence[float]) -> str:
    if not values:
        return '-'
    mean = f'{sum(values) / len(values):.4g}'
    return mean if len(values) == 1 else f'{mean} ({min(values):.4g} to {max(values):.4g})'
