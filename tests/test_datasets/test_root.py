from pathlib import Path

import pytest
from mmengine.config import Config

from mmparts.datasets import merge_options, set_data_root

CONFIGS = Path(__file__).parents[2] / 'configs'
# Those that only say how data of a kind are loaded leave the root to the bases on them.
BASES = [
    path for path in sorted((CONFIGS / '_base_' / 'datasets').glob('*.py')) if 'data_root' in Config.fromfile(path)
]


def loaders(cfg: Config) -> list[str]:
    names = [f'{split}_dataloader' for split in ('train', 'val', 'test')]  # some data are for training or tests only
    return [name for name in names if cfg.get(name)]


def roots(cfg: Config) -> set[str]:
    return {cfg[loader].dataset.data_root for loader in loaders(cfg)} | {cfg.data_root}


@pytest.mark.parametrize('path', BASES, ids=lambda path: path.stem)
@pytest.mark.parametrize('root', ['/mnt/somewhere', '/mnt/somewhere/'])
def test_one_option_moves_every_data_set(path, root):
    cfg = Config.fromfile(path)
    old = cfg.data_root
    first = loaders(cfg)[0]
    moved = merge_options(cfg, {'data_root': root, f'{first}.batch_size': 3})
    assert roots(moved) == {'/mnt/somewhere/'} and moved[first].batch_size == 3
    assert old not in moved.dump() and old.rstrip('/') not in moved.dump()
    assert roots(cfg) == {old}, 'the config given is not changed'
    assert moved.filename == str(path)


def inside(node):
    """(key, value) of every entry of a config and of what is in it."""
    for key, value in node.items() if isinstance(node, dict) else enumerate(node):
        yield key, value
        if isinstance(value, (dict, list, tuple)):
            yield from inside(value)


@pytest.mark.parametrize('folder', sorted({path.parent.name for path in CONFIGS.glob('[!_]*/*.py')}))
def test_one_option_moves_all_that_a_shipped_config_reads(folder):
    for file in sorted((CONFIGS / folder).glob('*.py')):
        cfg = merge_options(Config.fromfile(file), {'data_root': '/mnt/somewhere'})
        parts = {key: cfg[key] for key in cfg if key.endswith(('_dataloader', '_evaluator')) and cfg[key] is not None}
        for key, value in inside(parts):
            if key == 'data_root' or key == 'ann_file' and 'data' in Path(str(value)).parts:
                assert value.startswith('/mnt/somewhere'), f'{file.name}: {key}={value} stays'
        roots = [value for key, value in inside(parts) if key == 'data_root']
        assert len(roots) >= sum(key.endswith('_dataloader') for key in parts), file.name


def test_paths_put_together_from_the_root_move_too_and_others_stay():
    cfg = Config(
        dict(
            data_root='data/coco',
            work_dir='work_dirs/data/coco',
            load_from='data/coco_weights.pth',
            train_dataloader=dict(
                dataset=dict(
                    type='ConcatDataset', datasets=[dict(data_root='data/coco/part/'), dict(data_root='data/other/')]
                )
            ),
            val_evaluator=[dict(ann_file='data/coco/annotations/val.json')],
        )
    )
    moved = set_data_root(cfg, 'x')
    assert [d.data_root for d in moved.train_dataloader.dataset.datasets] == ['x/part/', 'data/other/']
    assert moved.val_evaluator[0].ann_file == 'x/annotations/val.json'
    assert (moved.work_dir, moved.load_from) == ('work_dirs/data/coco', 'data/coco_weights.pth')


def test_a_config_without_a_root_says_so():
    with pytest.raises(ValueError, match='no top-level `data_root`'):
        set_data_root(Config(dict(train_dataloader=dict(dataset=dict(data_root='a/')))), 'b/')


def test_a_root_in_which_no_data_set_lies_says_so():
    cfg = Config(dict(data_root='data/imagenet/', train_dataloader=dict(dataset=dict(data_root='data/coco/'))))
    with pytest.raises(ValueError, match="data_root='b/' would move no data set, none lies in .* data/imagenet/"):
        set_data_root(cfg, 'b/')
    cfg.data_root = 'data/coco/'
    assert set_data_root(cfg, 'data/coco').train_dataloader.dataset.data_root == 'data/coco/', 'where it is already'


def test_without_data_root_options_are_merged_as_usual():
    cfg = Config(dict(data_root='a/', model=dict(depth=50)))
    assert merge_options(cfg, {'model.depth': 101}).model.depth == 101
    assert merge_options(cfg, None).model.depth == 50
