"""The registries of mmparts: children of mmdet's, reachable as ``mmparts.Name`` from any OpenMMLab config.

As children they see every part of mmdet by its bare name; the alias at mmengine's root lets mmseg and mmpretrain
configs find them too, with no ``custom_imports``. mmengine does not import a parent's locations on the way up, hence
they are repeated here.
"""

import ast
import inspect
import re
import textwrap
from dataclasses import dataclass
from functools import cache

import mmdet.registry as mmdet
from mmengine.registry import Registry

SCOPE = 'mmparts'

# Importing these registers every part.
FAMILIES = ('detr', 'backbones', 'classify', 'perceiver', 'segment', 'multimodal')
LOCATIONS = [f'{SCOPE}.{name}' for name in ('ops', *FAMILIES, 'datasets', 'evaluation', 'engine', 'visualization')]


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
    """Build ``cfg``, filling in those ``defaults`` that its class takes and the config does not set.

    This is how a number that several parts share (``embed_dims``, ``num_classes`` ...) is written once, on the
    detector, and an explicit value in a part's own config still wins. What a class takes: see :func:`keywords`.
    """
    taken = keywords(resolve(cfg, registry)).names
    shared = {name: value for name, value in defaults.items() if name in taken}
    return registry.build({**shared, **cfg})


@dataclass(frozen=True)
class Keywords:
    """Names that a class takes; ``free``: it also takes names that its signature does not tell."""

    names: frozenset[str]
    free: bool


@cache
def keywords(kind) -> Keywords:
    """What a class or function takes; up the classes as long as each hands its ``**kwargs`` on to the next.

    What a constructor gives its parent itself, as in ``super().__init__(num_layers=1, **kwargs)``, it does not take.
    """
    inits = [kind]
    if inspect.isclass(kind):
        inits = [vars(base)['__init__'] for base in kind.__mro__[:-1] if '__init__' in vars(base)]
    names: set[str] = set()
    given, positions, free = {'self'}, 0, False
    for init in inits:
        try:
            arguments = list(inspect.signature(init).parameters.values())
        except ValueError:  # written in C
            return Keywords(frozenset(names), True)
        own = [one.name for one in arguments if one.kind in (one.POSITIONAL_OR_KEYWORD, one.KEYWORD_ONLY)]
        names.update(name for place, name in enumerate(own) if name not in given and not 0 < place <= positions)
        rest = next((one.name for one in arguments if one.kind is one.VAR_KEYWORD), None)
        if rest is None:
            return Keywords(frozenset(names), free)
        call = handing_on(init, rest)
        if not call.hands_on:
            break
        given, positions, free = given | call.names, call.positions, free or call.keeps
    return Keywords(frozenset(names), bool(inits))


@dataclass(frozen=True)
class Handing:
    """How a constructor calls that of its parent.

    Args:
        hands_on: its ``**kwargs`` go there.
        keeps: it also uses them otherwise.
        names, positions: what else goes there, by name and by place.
    """

    hands_on: bool = False
    keeps: bool = False
    names: frozenset[str] = frozenset()
    positions: int = 0


def handing_on(init, rest: str) -> Handing:
    """What a constructor does with its ``**rest``; where its source cannot be read, the usual is assumed."""
    try:
        tree = ast.parse(textwrap.dedent(inspect.getsource(init)))
    except (OSError, TypeError, SyntaxError):
        return Handing(hands_on=inspect.isfunction(init), keeps=True)
    uses = sum(isinstance(node, ast.Name) and node.id == rest for node in ast.walk(tree))
    for call in (node for node in ast.walk(tree) if isinstance(node, ast.Call)):
        handed = [isinstance(word.value, ast.Name) and word.value.id == rest for word in call.keywords if not word.arg]
        if any(handed) and re.fullmatch(r'super\(.*\)\.__init__', ast.unparse(call.func)):
            given = frozenset(word.arg for word in call.keywords if word.arg)
            places = sum(not isinstance(argument, ast.Starred) for argument in call.args)
            return Handing(True, uses > sum(handed), given, places)
    return Handing()
