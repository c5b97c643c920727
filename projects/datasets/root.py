"""``data_root`` from the command line. mmengine copies the variable into every data set when it parses a config, so
setting it afterwards changes nothing; here all those copies follow."""

import copy

from mmengine.config import Config


def merge_options(cfg: Config, options: dict | None) -> Config:
    """A copy of the config with ``--cfg-options`` applied; ``data_root`` moves every data set, see `set_data_root`."""
    options = dict(options or {})
    cfg = set_data_root(cfg, options.pop('data_root')) if 'data_root' in options else copy.deepcopy(cfg)
    cfg.merge_from_dict(options)
    return cfg


def set_data_root(cfg: Config, root: str) -> Config:
    """A copy of the config in which every path below its ``data_root`` lies below ``root`` instead.

    Those are the ``data_root`` of all data sets and whatever was put together from it, such as an evaluator's
    ``ann_file``. A data set with a root of its own elsewhere is left alone.

    Raises:
        ValueError: the config has no top-level ``data_root``, so it is not clear which one is meant; or none of its
            data sets lies below it.
    """
    old = cfg.get('data_root')
    if not isinstance(old, str) or not old.strip('/'):
        raise ValueError(
            f'{cfg.filename}: cannot set data_root={root!r}, the config has no top-level `data_root`; '
            'set the data sets one by one, e.g. train_dataloader.dataset.data_root=...'
        )
    old, new = old.rstrip('/') + '/', str(root).rstrip('/') + '/'
    content = cfg.to_dict()
    loaders = {key: value for key, value in content.items() if key.endswith('_dataloader')}
    if _move(loaders, old, '') == loaders:
        raise ValueError(
            f'{cfg.filename}: data_root={root!r} would move no data set, none lies in the `data_root` '
            f'of the config, {old}; write that of its data sets there'
        )
    moved = Config(_move(content, old, new), cfg_text=cfg.text, filename=cfg.filename)
    moved.data_root = new
    return moved


def _move(node, old: str, new: str):
    if isinstance(node, dict):
        return {key: _move(value, old, new) for key, value in node.items()}
    if isinstance(node, (list, tuple)):
        return type(node)(_move(value, old, new) for value in node)
    if isinstance(node, str) and (node + '/' == old or node.startswith(old)):
        return new + node[len(old) :]
    return node
