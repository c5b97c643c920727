"""Holds a config against the code without building anything: does every ``type`` exist, is every keyword taken?

What it cannot see: values (a wrong number, a missing required argument), names behind ``**kwargs`` that a class keeps
to itself (counted as :attr:`ConfigCheck.unseen`), and the parts of :data:`NOT_REGISTERED`, which libraries look up in
ways of their own. A config is code: reading one runs it, and imports its ``custom_imports``, as training would.
"""

import difflib
import inspect
import os.path as osp
import re
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.util import find_spec

import mmengine.registry
from mmengine.config import Config
from mmengine.registry import DefaultScope, Registry
from mmengine.runner import Runner, set_random_seed
from torch.utils.data import DataLoader

from ...registry import MODELS as OURS
from ...registry import Keywords, keywords
from .config_sources import read, unused
from .config_values import faults

Keys = tuple[str | int, ...]  # the way to an entry of a config

# Entry of a config (a pattern) -> registries of its parts, and of parts under certain names below it.
INIT = {'init_cfg': ('WEIGHT_INITIALIZERS',)}
SOURCE = dict.fromkeys(('source', 'tokenizer'), ('TASK_UTILS',))
TRANSFORMS = {**dict.fromkeys(('pipeline', 'transforms', 'switch_pipeline'), ('TRANSFORMS',)), **SOURCE}
ROOTS: dict[str, tuple[tuple[str, ...], dict[str, tuple[str, ...]]]] = {
    r'model|tta_model': (('MODELS', 'TASK_UTILS'), INIT),
    r'\w+_dataloader': (
        ('DATASETS',),
        {
            **TRANSFORMS,
            'sampler': ('DATA_SAMPLERS',),
            'batch_sampler': ('DATA_SAMPLERS',),
            'collate_fn': ('FUNCTIONS',),
            'worker_init_fn': ('FUNCTIONS',),
        },
    ),
    r'\w+_pipeline': (('TRANSFORMS',), SOURCE),
    r'\w+_evaluator': (('METRICS', 'EVALUATOR'), {'postprocess_tracklet_cfg': ('TASK_UTILS',)}),
    r'(train|val|test)_cfg': (('LOOPS',), {}),
    r'optim_wrapper': (('OPTIM_WRAPPERS',), {'optimizer': ('OPTIMIZERS',)}),
    r'param_scheduler': (('PARAM_SCHEDULERS',), {}),
    r'(default|custom)_hooks': (('HOOKS',), TRANSFORMS),
    r'visualizer': (('VISUALIZERS',), {'vis_backends': ('VISBACKENDS',)}),
    r'vis_backends': (('VISBACKENDS',), {}),
    r'log_processor': (('LOG_PROCESSORS',), {}),
    r'model_wrapper_cfg': (('MODEL_WRAPPERS',), {}),
}

# Where else a misplaced `type` is looked for.
OTHERS = {
    'MODELS',
    'TASK_UTILS',
    'DATASETS',
    'DATA_SAMPLERS',
    'TRANSFORMS',
    'METRICS',
    'LOOPS',
    'HOOKS',
    'OPTIMIZERS',
    'OPTIM_WRAPPERS',
    'PARAM_SCHEDULERS',
    'VISUALIZERS',
    'VISBACKENDS',
    'WEIGHT_INITIALIZERS',
}

# Dicts whose `type` is no name of a registry: the key that they stand under (a pattern).
NOT_REGISTERED = r'nms|nms_cfg|dqs_cfg|roi_layer|upsample|upsample_cfg|\w+_trans|backend_args|file_client_args|layout'
NOT_REGISTERED_INSIDE = {'Albu'}  # its transforms are those of albumentations

# Keywords that the builder of a part takes out before its class sees them.
TAKEN_BY_BUILDER = {
    'OPTIM_WRAPPERS': {'constructor', 'paramwise_cfg'},
    'PARAM_SCHEDULERS': {'convert_to_iter_based'},
    'WEIGHT_INITIALIZERS': {'override', 'name'},
    'HOOKS': {'priority'},
}
# Keywords that the owner takes out of the dict under a key (a pattern).
TAKEN_BY_OWNER = {'requires_grad': r'\w*norm\w*', 'bg_cls_weight': r'loss_\w+', 'fallback_on_stride': r'dcn\w*'}
# Classes that hand their `**kwargs` to the part which an argument of theirs names.
FORWARDED = {'resize_type': 'TRANSFORMS', 'ema_type': 'MODELS'}


def parameters(function) -> set[str]:
    return set(inspect.signature(function).parameters)


# Dicts without a `type` that are read by name (pattern -> names): what else stands in them is ignored in silence.
PLAIN = {
    r'\w+_dataloader': parameters(DataLoader) | {'num_batch_per_epoch'},
    r'auto_scale_lr': {'enable', 'base_batch_size'},
    r'env_cfg': {'cudnn_benchmark', 'mp_cfg', 'dist_cfg', 'resource_limit'},
    r'randomness': parameters(set_random_seed),
}
# What mmengine's DefaultOptimWrapperConstructor documents.
PARAMWISE = {
    'custom_keys',
    'bias_lr_mult',
    'bias_decay_mult',
    'norm_decay_mult',
    'dwconv_decay_mult',
    'flat_decay_mult',
    'dcn_offset_lr_mult',
    'bypass_duplicate',
}
# Constructors, and the words that they read.
CONSTRUCTORS = {None: PARAMWISE, 'mmparts.ParamwiseConstructor': PARAMWISE | {'spare_norms', 'no_decay'}}
RUNNER = parameters(Runner) - {'self'} | {
    'auto_scale_lr',
    'custom_imports',
    'model_wrapper_cfg',
    'tta_model',
    'tta_pipeline',
}


# Names that a runner or a tool of ours reads.
READ = RUNNER | {'find_unused_parameters', 'runner_type', 'fsdp', 'strategy', 'compile'}
VALUED = RUNNER - {'work_dir', 'env_cfg', 'visualizer', 'custom_imports'}  # whose values are looked at


@dataclass(frozen=True)
class Finding:
    """Something wrong.

    Args:
        where: the entry of the config, like ``model.head.num_clases``, or what else is meant.
        problem: what was got and what would be right.
    """

    where: str
    problem: str


class ConfigCheck:
    """``findings`` and ``unseen`` places of one config.

    Args:
        cfg: as ``Config.fromfile`` returns it; its file is read again to tell where a leftover comes from.
    """

    def __init__(self, cfg: Config):
        self.cfg = cfg
        self.findings: list[Finding] = []
        self.unseen: list[str] = []
        OURS.import_from_location()  # else their names could not be proposed
        with DefaultScope.overwrite_default_scope(cfg.get('default_scope', 'mmengine')):
            for name in cfg:
                self._check_root(name, cfg[name])
                if name in VALUED:
                    self.findings += [Finding(dotted(keys), problem) for keys, problem in faults(cfg[name], (name,))]
        if cfg.filename and cfg.filename.endswith('.py'):
            self._check_unused(cfg.filename)

    def _check_unused(self, file: str) -> None:
        """Variables of the config, and overrides in its bases, that have no effect."""
        for name, path, overridden in unused(file, READ):
            where = '' if path == file else f' of {osp.relpath(path)}'
            if overridden:
                kept = f'what {osp.relpath(overridden)} made of its own `{name}` stays as it is'
            else:
                kept = 'a config is what stands under the names that a runner reads'
            close = [] if overridden else difflib.get_close_matches(name, RUNNER, n=1, cutoff=0.75)
            question = f'did you mean `{close[0]}`? ' if close else ''
            self._add((name,), f'nothing reads this variable{where}; {question}{kept}')

    def _check_root(self, name: str, value) -> None:
        for pattern, (kinds, nested) in ROOTS.items():
            if re.fullmatch(pattern, name):
                self._walk(value, (name,), kinds, nested)
        for pattern, names in PLAIN.items():
            if re.fullmatch(pattern, name) and isinstance(value, dict):
                self._check_names(value, (name,), names, name)
        if name == 'optim_wrapper' and value.get('constructor') in CONSTRUCTORS:
            words = CONSTRUCTORS[value.get('constructor')]
            self._check_names(value.get('paramwise_cfg') or {}, (name, 'paramwise_cfg'), words, 'paramwise_cfg')

    def _walk(self, value, keys: Keys, kinds: tuple[str, ...], nested: dict) -> None:
        """Check ``value`` and what is in it; ``kinds`` are the registries of the parts at this place."""
        if isinstance(value, (list, tuple)):
            for index, item in enumerate(value):
                self._walk(item, (*keys, index), kinds, nested)
        elif isinstance(value, dict):
            if 'type' in value:
                self._check_part(value, keys, kinds)
            if value.get('type') in NOT_REGISTERED_INSIDE:
                self.unseen.append(dotted(keys))
                return
            for key, item in value.items():
                if re.fullmatch(NOT_REGISTERED, key):
                    self.unseen.extend([dotted((*keys, key))] if isinstance(item, dict) and 'type' in item else [])
                else:
                    self._walk(item, (*keys, key), nested.get(key, kinds), nested)

    def _check_part(self, part: dict, keys: Keys, kinds: tuple[str, ...]) -> None:
        kind, found = find(part['type'], kinds)
        if found is None:
            self._add((*keys, 'type'), unknown(part['type'], kinds))
            return
        taken = keywords(found)
        for argument, registry in FORWARDED.items():
            if taken.free and argument in taken.names:
                _, target = find(part.get(argument, default(found, argument)), (registry,))
                taken = merged(taken, keywords(target)) if target else taken
        allowed = taken.names | TAKEN_BY_BUILDER.get(kind, set())
        if taken.free:
            self.unseen.append(dotted(keys))
            part = {key: None for key in part if difflib.get_close_matches(key, allowed, n=1, cutoff=0.85)}
        self._check_names(part, keys, allowed, getattr(found, '__name__', str(found)))

    def _check_names(self, given: dict, keys: Keys, allowed: set[str], owner: str) -> None:
        for key in given:
            under = next((str(name) for name in reversed(keys) if isinstance(name, str)), '')
            if key in allowed or key in ('type', '_scope_') or re.fullmatch(TAKEN_BY_OWNER.get(key, r'(?!)'), under):
                continue
            self._add((*keys, key), f'{owner} takes no `{key}`. {self._advice(key, keys, allowed)}')

    def _advice(self, key: str, keys: Keys, allowed: set[str]) -> str:
        left = leftover(self.cfg.filename, keys, key, entry(self.cfg, keys).get('type')) if self.cfg.filename else None
        if left:
            file, kind = left
            return f'It is left over from {kind} in {file}; write `_delete_=True` into `{dotted(keys)}` to start anew.'
        close = difflib.get_close_matches(key, allowed, n=1)
        names = ', '.join(sorted(allowed)) or 'nothing'
        return (f'Did you mean `{close[0]}`? ' if close else '') + f'It takes: {names}.'

    def _add(self, keys: Keys, problem: str) -> None:
        self.findings.append(Finding(dotted(keys), problem))


def dotted(keys: Keys) -> str:
    """``('pipeline', 0, 'type')`` as ``pipeline[0].type``."""
    return ''.join(f'[{key}]' if isinstance(key, int) else f'.{key}' for key in keys).lstrip('.')


def entry(cfg: dict, keys: Keys):
    """What stands at ``keys``; an empty dict where there is nothing."""
    for key in keys:
        try:
            cfg = cfg[key]
        except (KeyError, IndexError, TypeError):
            return {}
    return cfg


def find(kind: str | type, kinds: tuple[str, ...]) -> tuple[str, type | None]:
    """The registry, of ``kinds``, that has ``kind`` in the current scope, and what it names there."""
    if not isinstance(kind, str):
        return kinds[0], kind
    for name in kinds:
        with getattr(mmengine.registry, name).switch_scope_and_registry(None) as registry:
            found = registry.get(kind)
        if found is not None:
            return name, found
    return kinds[0], None


def unknown(kind: str, kinds: tuple[str, ...]) -> str:
    """What is wrong with a ``type`` that :func:`find` did not find, and the names that may have been meant."""
    scope = kind.partition('.')[0] if '.' in kind else ''
    if scope and scope not in mmengine.registry.MODELS.children and find_spec(scope) is None:
        return f'no `{kind}`: there is no scope, and no installed package, `{scope}`.' + meant(kind, kinds)
    for name in sorted(OTHERS - set(kinds)):
        if find(kind, (name,))[1] is not None:
            return f'`{kind}` is one of {name}; here stands one of {" or ".join(kinds)}.'
    return f'no `{kind}` in {" or ".join(kinds)}.' + meant(kind, kinds)


def meant(kind: str, kinds: tuple[str, ...]) -> str:
    """A question that lists known names like ``kind``; empty when there are none."""
    names = dict(pair for name in kinds for pair in visible(getattr(mmengine.registry, name)))
    bare = kind.rpartition('.')[2]
    same = sorted(name for name, part in names.items() if part == bare)
    close = same or difflib.get_close_matches(kind, names, n=3, cutoff=0.7)
    return f' Did you mean {" or ".join(f"`{name}`" for name in close)}?' if close else ''


def visible(registry: Registry) -> Iterator[tuple[str, str]]:
    """(name to write, bare name) of every part that the current scope sees."""
    with registry.switch_scope_and_registry(None) as current:
        seen = current
        while seen is not None:
            yield from ((name, name) for name in seen.module_dict)
            seen = seen.parent
    for scope, child in registry.children.items():
        yield from ((f'{scope}.{name}', name) for name in child.module_dict)


def merged(taken: Keywords, target: Keywords) -> Keywords:
    return Keywords(taken.names | target.names, target.free)


def default(kind, argument: str):
    return inspect.signature(kind).parameters[argument].default


def leftover(file: str, keys: Keys, key: str, kind: str | type) -> tuple[str, str] | None:
    """(file, type) of the base from which a dict that is now a ``kind`` inherited ``key`` as a part of another type."""
    for base in Config._get_base_files(file):
        path, _ = Config._get_cfg_path(base, file)
        part = entry(read(path), keys)
        if isinstance(part, dict) and key in part and part.get('type') not in (None, kind):
            return base, part['type']
        deeper = leftover(path, keys, key, kind)
        if deeper:
            return deeper
    return None
