"""Any config at a size that trains a step in a fraction of a second, and batches to feed it."""

from pathlib import Path

import torch
from mmdet.structures import DetDataSample
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from torch import nn

from mmparts.detr.structures import PredictionSet, Training
from mmparts.registry import MODELS
from mmparts.tasks import task_of
from mmparts.tasks.detection import sample_of

CONFIGS = Path(__file__).resolve().parent.parent / 'configs'
# Options of a training whose data are read in its own process.
IN_PROCESS = [
    f'{split}_dataloader.{word}' for split in ('train', 'val') for word in ('num_workers=0', 'persistent_workers=False')
]


def tiny(cfg: dict) -> ConfigDict:
    """The model of a config (or such a model itself), few channels wide and few layers deep."""
    return task_of(cfg).tiny(cfg)


def build(model: dict, seed: int = 0, scope: str = 'mmdet') -> nn.Module:
    """The model, with weights that depend on the seed alone, and every weight a little off its start.

    Many weights start at zero on purpose (the last layer of a box branch); a test that left them so would not see
    what they do.
    """
    torch.manual_seed(seed)
    with DefaultScope.overwrite_default_scope(scope):
        built = MODELS.build(model)
    for parameter in built.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return built


def base(name: str, **changes) -> ConfigDict:
    """A model of ``configs/_base_/models``, tiny, with ``changes`` merged in as a config would."""
    cfg = Config(dict(model=tiny(Config.fromfile(CONFIGS / '_base_' / 'models' / f'{name}.py'))))
    cfg.merge_from_dict(dict(model=changes))
    return cfg.model


def mask2former(name: str = 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py') -> ConfigDict:
    """The model of a config of mmdet's Mask2Former, as tiny."""
    return tiny(Config.fromfile(CONFIGS / name))


def samples(sizes=((64, 96), (96, 64)), counts=(3, 0), num_classes: int = 80, seed: int = 0) -> list[DetDataSample]:
    """One data sample for each (height, width), with so many random objects."""
    random = torch.Generator().manual_seed(seed)
    made = [sample_of(size, count, num_classes, random) for size, count in zip(sizes, counts)]
    for index, sample in enumerate(made):
        sample.set_metainfo(dict(img_id=index, img_path=f'image_{index}.png'))
    return made


def batch(model: nn.Module, sizes=None, counts=None, seed: int = 0) -> dict:
    """What the model's forward takes, padded by its own preprocessor: images of unequal sizes, one without objects."""
    return task_of(model).batch(model, sizes, counts, seed)


def prediction_set(
    logits, boxes, targets, name: str = 'match', masks=None, embeddings=None, **training
) -> PredictionSet:
    """Of a group that is trained in this way."""
    found = dict(logits=logits, boxes=boxes, masks=masks, embeddings=embeddings)
    return PredictionSet(Training(name, **training), found, targets)


def total(losses: dict) -> torch.Tensor:
    """What an optimiser would minimise."""
    return sum(value for name, value in flat(losses) if 'loss' in name)


def flat(losses: dict) -> list[tuple[str, torch.Tensor]]:
    """Names and tensors, also where a name stands for a list (mmdet's proposals)."""
    return [(name, each) for name, value in losses.items() for each in (value if isinstance(value, list) else [value])]


def without_gradient(model: nn.Module) -> list[str]:
    """Trainable parameters that a backward pass did not reach, or reached with NaN or infinity."""
    return [
        name
        for name, parameter in model.named_parameters()
        if parameter.requires_grad and (parameter.grad is None or not parameter.grad.isfinite().all())
    ]


def at_own_size(path: str) -> nn.Module:
    """The model of a config below ``configs``, nothing made smaller."""
    with DefaultScope.overwrite_default_scope('mmdet'):
        return MODELS.build(Config.fromfile(CONFIGS / path).model)


def unmoved_by_two_steps(model: nn.Module, data: dict) -> set[str]:
    """Trainable parameters that two steps of AdamW leave as they were; every one must have a gradient."""
    before = {key: value.clone() for key, value in model.named_parameters()}
    optimiser = torch.optim.AdamW(model.parameters(), lr=1e-3, weight_decay=0.0)
    for _ in range(2):  # what is behind a layer of zeros moves in the second step
        optimiser.zero_grad()
        total(model(**data, mode='loss')).backward()
        assert not without_gradient(model)
        optimiser.step()
    return {key for key, value in model.named_parameters() if value.requires_grad and value.equal(before[key])}


def assert_comes_back(model: nn.Module, fresh: nn.Module, data: dict, path: Path):
    """Saved to ``path`` and loaded into another model, the weights predict the same."""
    torch.save(model.state_dict(), path)
    fresh.load_state_dict(torch.load(path, weights_only=True))
    with torch.no_grad():
        ours, theirs = (each.eval()(**data, mode='predict') for each in (model, fresh))
    for one, other in zip(ours, theirs):
        assert one.pred_instances.bboxes.equal(other.pred_instances.bboxes)
        assert len(one.pred_instances.scores) and one.pred_instances.scores.equal(other.pred_instances.scores)
