"""What a config trains, as plain facts: what tests/recipes.yml says of it, read from the config itself.

Arguments that a config leaves out are taken from the class, so a changed default of a part is a changed fact, too.
"""

import inspect
import re
from collections.abc import Iterator
from pathlib import Path

import yaml
from mmengine.config import Config

from mmparts.registry import MODELS

TABLE = Path(__file__).with_name('recipes.yml')
# The arguments of extra query groups that papers give numbers for.
GROUPS = dict(
    Denoising=('num', 'copies', 'label_noise', 'box_noise', 'contrastive'),
    OneToMany=('num', 'repeat', 'weight'),
    Collaborative=('num', 'weight'),
)
SIZES = ('size', 'scale', 'crop_size', 'ratio_range', 'spacing', 'foreground')


def table() -> dict[str, dict]:
    """The facts that each config shall have: those of the rows it names, in their order, and then its own."""
    with TABLE.open(encoding='utf-8') as file:
        content = yaml.safe_load(file)
    rows = {}
    for name, own in content['configs'].items():
        row = {}
        for part in [*(content['rows'][part] for part in own['of']), own]:
            row.update(part)
        if row.get('no_decay'):
            row['no_decay'] = sorted(row['no_decay'])
        rows[name] = {key: value for key, value in row.items() if value is not None and key not in ('of', 'source')}
    return rows


def own() -> dict[str, str]:
    """Patterns of our own configs that no paper gives numbers for, with the reason."""
    with TABLE.open(encoding='utf-8') as file:
        return yaml.safe_load(file)['own']


def facts(cfg: Config, name: str) -> dict:
    """The facts of a config; ``name`` tells on how many processes it trains."""
    cfg = cfg.to_dict()
    found = {**model_facts(cfg['model']), **data_facts(cfg)}
    if cfg.get('optim_wrapper'):  # others are only evaluated
        found |= {**optimizer_facts(cfg['optim_wrapper']), **schedule_facts(cfg)}
        found['batch'] = int(re.search(r'_(\d+)xb\d+', name)[1]) * cfg['train_dataloader']['batch_size']
    return {key: value for key, value in found.items() if value not in (None, {}, [])}


def optimizer_facts(wrapper: dict) -> dict:
    optimizer, parts = wrapper['optimizer'], wrapper.get('paramwise_cfg') or {}
    keys = parts.get('custom_keys', {})
    switches = ' '.join(name for name in ('nesterov', 'amsgrad') if optimizer.get(name))
    norms = ['norm'] if parts.get('spare_norms') else []
    free = [name for name, each in keys.items() if each.get('decay_mult') == 0] + list(parts.get('no_decay', ()))
    return dict(
        optimizer=f'{short(optimizer["type"])} {switches}'.strip(),
        lr=optimizer['lr'],
        decay=optimizer.get('weight_decay', 0.0),
        momentum=optimizer.get('momentum'),
        clip=(wrapper.get('clip_grad') or {}).get('max_norm'),
        lr_mult={name: each['lr_mult'] for name, each in keys.items() if each.get('lr_mult', 1) != 1},
        no_decay=sorted({*free, *norms, *(name for name in ('norm', 'bias') if parts.get(f'{name}_decay_mult') == 0)}),
        layer_decay=parts.get('layer_decay'),
    )


def schedule_facts(cfg: dict) -> dict:
    train, schedules = cfg['train_cfg'], cfg.get('param_scheduler') or []
    schedules = schedules if isinstance(schedules, (list, tuple)) else [schedules]
    length = f'{train["max_epochs"]} epochs' if 'max_epochs' in train else f'{train["max_iters"]} steps'
    return dict(length=length, schedule=[in_words(each, length) for each in schedules])


def in_words(schedule: dict, length: str) -> str:
    kind = short(schedule['type'])
    unit = 'epochs' if schedule.get('by_epoch', True) else 'steps'
    if kind == 'LinearLR':
        return f'up from x{schedule["start_factor"]:g} in {schedule["end"]} {unit}'
    if kind == 'MultiStepLR':
        return f'x{schedule.get("gamma", 0.1):g} after {", ".join(map(str, schedule["milestones"]))} {unit}'
    if kind == 'ExponentialLR':
        return f'x{schedule["gamma"]:g} each epoch'
    end = f'{schedule["end"]} {unit}' if 'end' in schedule and f'{schedule["end"]} {unit}' != length else 'the end'
    if kind == 'PolyLR':
        return f'poly {schedule["power"]:g} to {schedule["eta_min"]:g} at {end}'
    ratio = schedule.get('eta_min_ratio', 0) or schedule.get('eta_min', 0)
    begin = f' from {schedule["begin"]} {unit}' if schedule.get('begin') else ''
    return f'cosine{begin} to x{ratio:g} at {end}'


def model_facts(model: dict) -> dict:
    costs = [each for where, each in typed(model) if len(where) > 1 and where[-2] in ('costs', 'match_costs')]
    terms = [each for where, each in typed(model) if len(where) > 1 and where[-2] == 'terms']
    groups = {short(each['type']): each for each in model.get('groups', ())}
    queries = [each['num_queries'] for _, each in typed(model) if 'num_queries' in each and 'transformer' not in each]
    preprocessor = model.get('data_preprocessor') or {}
    return dict(
        queries=model.get('num_queries', queries[0] if queries and 'panoptic_head' in model else None),
        costs={short(each['type'], 'Cost'): number(each, 'weight') for each in costs} | mask_costs(model),
        losses={short(each['type'], 'Term'): number(each, 'weight') for each in terms},
        groups={name: {key: default(each, key) for key in GROUPS.get(name, ())} for name, each in groups.items()},
        head_losses=dict(head_losses(model)),
        auxiliary={name: each['weight'] for name, each in (model.get('auxiliary') or {}).items()},
        mixing={key: value for key, value in (model.get('mixing') or {}).items() if key != 'type'},
        drop_path=(model.get('backbone') or model.get('encoder') or {}).get('drop_path') or None,
        mean=preprocessor.get('mean'),
        std=preprocessor.get('std'),
        colours=None if 'mean' not in preprocessor else 'RGB' if preprocessor.get('bgr_to_rgb') else 'as they are',
    )


def mask_costs(model: dict) -> dict:
    """What a matcher that reads masks, too, counts them for."""
    matcher = (model.get('head') or {}).get('matcher') or {}
    return {key: matcher[key] for key in ('cross_entropy', 'dice') if key in matcher}


def head_losses(model: dict) -> Iterator[tuple[str, float | str]]:
    """(where, weight) of the losses that heads of mmdet and mmseg, and classifiers, name."""
    for where, each in typed(model):
        if str(where[-1] if where else '').startswith('loss'):
            place = '.'.join(
                str(part) for part in where if not isinstance(part, int) and part not in ('groups', 'heads')
            )
            yield place, number(each, 'loss_weight')


def number(part: dict, weight: str) -> float | dict:
    """The weight of a term, and beside it the other numbers and switches that the config gives it."""
    beside = {
        key: brief(value) for key, value in part.items() if key not in ('type', weight, 'use_sigmoid', 'reduction')
    }
    main = default(part, weight)
    return {'weight': main, **beside} if beside else main


def brief(value):
    """A long list of one number and another last one in words."""
    if isinstance(value, (list, tuple)) and len(value) > 10 and len(set(value[:-1])) == 1:
        return f'{value[0]:g} but {value[-1]:g} for the last'
    return value


def default(part: dict, key: str):
    """An argument of a part, its class's default where the config leaves it out."""
    if key in part:
        return part[key]
    name = part['type']
    kind = MODELS.get(name) or MODELS.get(f'mmdet.{name}')
    parameter = inspect.signature(kind).parameters.get(key) if kind else None
    return 1.0 if parameter is None else parameter.default


def data_facts(cfg: dict) -> dict:
    found = {}
    for part in ('train', 'val'):
        loader = cfg.get(f'{part}_dataloader')
        if not loader:
            continue
        dataset = loader['dataset']
        while isinstance(dataset.get('dataset'), dict):
            dataset = dataset['dataset']
        found[part] = files(dataset)
        if part == 'train':
            sampler = loader['sampler']
            found['shuffled'] = default_shuffle(sampler)
            found['sizes'] = list(sizes(dataset.get('pipeline') or ()))
            found['normalised'] = list(normalised(dataset.get('pipeline') or ()))
        elif default_shuffle(loader['sampler']):
            raise AssertionError('the validation is shuffled')
    return found


def default_shuffle(sampler: dict) -> bool:
    return sampler.get('shuffle', True)  # DrawSampler always is


def files(dataset: dict) -> str:
    """Root and annotation file, folders or cases of a data set, in words."""
    prefix = dataset.get('data_prefix') or {}
    parts = [dataset.get('ann_file'), *(prefix[key].strip('/') for key in sorted(prefix))]
    if 'part' in dataset:
        parts.append(dataset['part'])
    parts += [f'{key} {plain(dataset[key])}' for key in ('fraction', 'folds') if dataset.get(key)]
    for key in ('cases', 'indices', 'files'):
        if dataset.get(key):
            parts.append(f'{len(dataset[key])} {key} from {first(dataset[key])}')
    root = str(dataset.get('data_root') or '').removeprefix('data/').strip('/')
    return ' '.join(map(str, filter(None, [root, *parts])))


def first(values: list) -> str:
    value = values[0]
    return f'{value["img_path"]} rows {plain(value["rows"])}' if isinstance(value, dict) else str(value)


def steps(pipeline) -> Iterator[dict]:
    for step in pipeline:
        branches = step.get('transforms', ())
        inner = [each for branch in branches for each in ([branch] if isinstance(branch, dict) else branch)]
        yield step
        yield from steps(inner)


def sizes(pipeline) -> Iterator[str]:
    """The steps of a pipeline that decide about size."""
    for step in steps(pipeline):
        given = {key: step[key] for key in SIZES if key in step}
        if 'scales' in step:
            sides = sorted({min(scale) for scale in step['scales']})
            given['sides'] = (
                f'{sides[0]}-{sides[-1]} ({len(sides)}) up to {max(max(scale) for scale in step["scales"])}'
            )
        kind = short(step['type'])
        if kind == 'RandomPatch':
            given['foreground'] = round(step.get('foreground', 1 / 3), 2)
        if given and 'Random' in kind + 'Random' * (kind in ('Resize', 'Spacing', 'CutPatches')):
            yield f'{kind} ' + '; '.join(plain(value) for value in given.values())


def normalised(pipeline) -> Iterator[str]:
    """The steps of a pipeline that scale the values of volumes."""
    for step in steps(pipeline):
        if short(step['type']) in ('ZScore', 'WindowIntensity', 'PercentileIntensity'):
            words = [f'{key} {plain(value)}' for key, value in step.items() if key != 'type']
            yield ' '.join([short(step['type']), *words])


def plain(value) -> str:
    return ' x '.join(map(str, value)) if isinstance(value, (list, tuple)) else str(value)


def typed(part, where: tuple = ()) -> Iterator[tuple[tuple, dict]]:
    """(where, part) of every part of a config."""
    if isinstance(part, dict):
        if 'type' in part:
            yield where, part
        for key, value in part.items():
            yield from typed(value, (*where, key))
    elif isinstance(part, (list, tuple)):
        for index, value in enumerate(part):
            yield from typed(value, (*where, index))


def short(name: str, ending: str = '') -> str:
    return str(name).rpartition('.')[2].removesuffix(ending)
