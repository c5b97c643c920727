"""The registries of mmparts: children of mmdet's, reachable as ``mmparts.Name`` from any OpenMMLab config.

As children they see every part of mmdet by its bare name; the alias at mmengine's root lets mmseg and mmpretrain
configs find them too, with no ``custom_imports``. mmengine does not import a parent's locations on the way up, hence
they are repeated here.
"""

import inspect

import mmdet.registry as mmdet
from mmengine.registry import Registry

SCOPE = 'mmparts'

# Importing these registers every part.
LOCATIONS = [
    f'{SCOPE}.{name}'
    for name in ('ops', 'detr', 'backbones', 'segment', 'datasets', 'evaluation', 'engine', 'visualization')
]


def _child(parent: Registry) -> Registry:
    child = Registry(parent.name, parent=parent, scope=SCOPE, locations=parent._locations + LOCATIONS)
    parent.root.children[SCOPE] = child
    return child


# One line for each of mmdet's registries: a missing one would break `_base_ = 'mmparts::...'`.
RUNNERS = _child(mmdet.RUNNERS)
RUNNER_CONSTRUCTORS = _child(mmdet.RUNNER_CONSTRUCTORS)
LOOPS = _child(mmdet.LOOPS)
HOOKS = _child(mmdet.HOOKS)
DATASETS = _child(mmdet.DATASETS)
DATA_SAMPLERS = _child(mmdet.DATA_SAMPLERS)
TRANSFORMS = _child(mmdet.TRANSFORMS)
MODELS = _child(mmdet.MODELS)
MODEL_WRAPPERS = _child(mmdet.MODEL_WRAPPERS)
WEIGHT_INITIALIZERS = _child(mmdet.WEIGHT_INITIALIZERS)
OPTIMIZERS = _child(mmdet.OPTIMIZERS)
OPTIM_WRAPPERS = _child(mmdet.OPTIM_WRAPPERS)
OPTIM_WRAPPER_CONSTRUCTORS = _child(mmdet.OPTIM_WRAPPER_CONSTRUCTORS)
PARAM_SCHEDULERS = _child(mmdet.PARAM_SCHEDULERS)
METRICS = _child(mmdet.METRICS)
EVALUATOR = _child(mmdet.EVALUATOR)
TASK_UTILS = _child(mmdet.TASK_UTILS)
VISUALIZERS = _child(mmdet.VISUALIZERS)
VISBACKENDS = _child(mmdet.VISBACKENDS)
LOG_PROCESSORS = _child(mmdet.LOG_PROCESSORS)

# What tools must know of a kind of model. A model class names its own, `task = 'detection'`; the tasks stand in tasks/.
TASKS = Registry('task', scope=SCOPE, locations=[f'{SCOPE}.tasks'])

# What the names in published checkpoints mean: subclasses of WeightLayout (weights/layout.py).
WEIGHT_LAYOUTS = Registry('weight layout', scope=SCOPE, locations=LOCATIONS)


def resolve(cfg: dict, registry: Registry = MODELS) -> type:
    """The class that ``cfg['type']`` names in the scope of the running config."""
    kind = cfg['type']
    if not isinstance(kind, str):
        return kind
    with registry.switch_scope_and_registry(None) as current:
        found = current.get(kind)
    if found is None:
        raise KeyError(
            f'{kind} is in no registry that the scope {current.scope} can see; '
            f'write the scope before the name, as in `mmparts.{kind.split(".")[-1]}`'
        )
    return found


def build_part(cfg: dict, registry: Registry = MODELS, **defaults):
    """Build ``cfg``, filling in those ``defaults`` that its class accepts and the config does not set.

    This is how a number that several parts share (``embed_dims``, ``num_classes`` ...) is written once, on the
    detector, and an explicit value in a part's own config still wins.
    """
    accepted = inspect.signature(resolve(cfg, registry)).parameters
    shared = {name: value for name, value in defaults.items() if name in accepted}
    return registry.build({**shared, **cfg})
