"""Values that are wrong for every class: zero queries, a learning rate that is not a number."""

import math
from collections.abc import Iterator

Keys = tuple[str | int, ...]

AT_LEAST_1 = {
    'num_queries',
    'num_classes',
    'num_levels',
    'num_heads',
    'num_points',
    'embed_dims',
    'batch_size',
    'max_epochs',
    'max_iters',
    'val_interval',
    'max_per_img',
    'max_dets',
    'base_batch_size',
    'window_size',
    'patch_size',
    'T_max',
}
AT_LEAST_0 = {'num_workers', 'num_layers', 'begin', 'seed', 'warmup_iters', 'num_patterns'}
POSITIVE = {'lr', 'eps', 'max_norm', 'temperature', 'base_lr'}
NOT_NEGATIVE = {
    'weight_decay',
    'eta_min',
    'loss_weight',
    'lr_mult',
    'decay_mult',
    'start_factor',
    'end_factor',
    'box_noise',
    'epochs',
}
SHARES = {'drop_path', 'dropout', 'drop_path_rate', 'drop_rate', 'attn_drop_rate', 'prob', 'eta_min_ratio'}
GROUPS = {'Denoising': {'num': 1}}  # type -> key -> the least that means something


def faults(value, keys: Keys = ()) -> Iterator[tuple[Keys, str]]:
    """(way to an entry, what is wrong with it) of a config or a part of one."""
    if isinstance(value, dict):
        least = GROUPS.get(str(value.get('type')).rpartition('.')[2], {})
        for key, item in value.items():
            if key in least and is_number(item) and not item >= least[key]:
                yield (*keys, key), f'is {item}; at least {least[key]} is needed'
            # Epochs that become iterations may be parts of one.
            word = 'epochs' if key == 'begin' and value.get('convert_to_iter_based') else key
            fault = None if isinstance(item, (dict, list, tuple)) else fault_of(word, item)
            if fault:
                yield (*keys, key), f'is {item!r}; {fault}'
            yield from faults(item, (*keys, key))
    elif isinstance(value, (list, tuple)):
        for index, item in enumerate(value):
            yield from faults(item, (*keys, index))
    elif isinstance(value, float) and math.isnan(value):
        yield keys, 'is NaN; a number is needed'


def is_number(value) -> bool:
    return isinstance(value, (int, float)) and not isinstance(value, bool)


def fault_of(key: str, value) -> str | None:
    """The fault of a value under a key of a known meaning; None when it is right or its meaning unknown."""
    if value is None or isinstance(value, bool) or not isinstance(value, (int, float, str)):
        return None
    if isinstance(value, str):
        numeric = key in AT_LEAST_1 | AT_LEAST_0 and value.lstrip('-').isdigit()
        return f'a string; write the number {value}' if numeric else None
    if key in AT_LEAST_1 | AT_LEAST_0:
        least = 1 if key in AT_LEAST_1 else 0
        return None if value == math.floor(value) and value >= least else f'a whole number from {least} is needed'
    if key in POSITIVE:
        return None if 0 < value < math.inf else 'a number above 0 is needed'
    if key in NOT_NEGATIVE:
        return None if 0 <= value < math.inf else 'a number from 0 is needed'
    if key in SHARES:
        return None if 0 <= value <= 1 else 'a share from 0 to 1 is needed'
    return None
