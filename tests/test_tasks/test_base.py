"""Models find their task, parts become small."""

from types import FunctionType

import pytest
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope
from tiny import CONFIGS
from toy import Toy

from mmparts.registry import MODELS, TASKS
from mmparts.tasks import Detection, Task, task_of, task_of_sample
from mmparts.tasks.base import tasks
from mmparts.tasks.shrink import shrink


@pytest.mark.parametrize(
    'name', ['dino/dino-4scale_small_2xb4-7e_shapes.py', 'mask2former/mask2former_r50_8xb2-lsj-50e_coco.py']
)
def test_a_config_a_class_and_a_model_have_one_task(name):
    cfg = Config.fromfile(CONFIGS / name)
    with DefaultScope.overwrite_default_scope('mmdet'):
        kind = MODELS.get(cfg.model.type)
        model = MODELS.build(Detection().tiny(cfg))
    for each in (cfg, cfg.model, kind, model):
        assert type(task_of(each)) is Detection and task_of(each).name == 'detection'


def test_a_model_without_a_task_is_refused_with_the_names_of_all():
    with pytest.raises(KeyError, match='Toy says task=None.*detection'):
        task_of(Toy())
    misspelt = type('Misspelt', (Toy,), dict(task='detecton'))
    with pytest.raises(KeyError, match="Misspelt says task='detecton'"):
        task_of(misspelt)
    with pytest.raises(KeyError, match='gt_instances'):
        task_of_sample(Detection.sample())


def test_every_task_is_complete():
    """What the base class leaves open, and words that tools read."""
    methods = {name: value for name, value in vars(Task).items() if isinstance(value, FunctionType)}
    open_ends = [name for name, method in methods.items() if 'NotImplementedError' in method.__code__.co_names]
    assert {'item', 'fields', 'views', 'summary', 'annotations'} <= set(open_ends)
    for task in tasks():
        assert TASKS.get(name_of(task)) is task
        assert not [name for name in open_ends if getattr(task, name) is getattr(Task, name)], task
        assert task.predictions and task.truths and task.metrics


def name_of(task: type) -> str:
    (name,) = [name for name, each in TASKS.module_dict.items() if each is task]
    return name


@MODELS.register_module(force=True)
class Says:
    tiny = dict(arch=dict(depth=1), inner=dict(width=2))

    def __init__(self, arch='large', inner=None, embed_dims=512, num_layers=1):
        pass


@MODELS.register_module(force=True)
class Asked:
    @staticmethod
    def tiny(cfg):
        return dict(width=cfg['part']['embed_dims'] // 2)

    def __init__(self, part, width=8):
        pass


def test_a_part_says_how_it_becomes_small_and_words_do_the_rest():
    says = dict(type='mmparts.Says', inner=dict(width=9, other=3), init_cfg=dict(type='Normal'))
    made = shrink(ConfigDict(type='mmparts.Asked', part=says, channels=(64, 4), num_heads=2, num_points=12544))
    assert made.part == dict(says, arch=dict(depth=1), inner=dict(width=2, other=3), embed_dims=32)
    assert made.width == 16 and made.channels == [8, 1] and made.num_points == 100


def test_nothing_is_loaded_into_a_tiny_model():
    cfg = Config.fromfile(CONFIGS / 'detr' / 'detr_r50_8xb2-500e_coco.py')
    assert 'torchvision://' in cfg.pretty_text and 'torchvision://' not in str(Detection().tiny(cfg))


def test_what_the_model_hands_to_its_parts_is_written_on_the_model_alone():
    part = shrink(ConfigDict(type='mmparts.Says'), frozenset(['embed_dims']))
    assert 'embed_dims' not in part
    made = Detection().tiny(Config.fromfile(CONFIGS / 'detr' / 'detr_r50_8xb2-500e_coco.py'))
    assert made.num_queries == 20 and made.embed_dims == 32
    assert not [name for name, each in made.items() if isinstance(each, dict) and 'num_queries' in each]


def test_pixels_past_black_and_white_are_cut_and_others_are_spread():
    task = Detection()
    moved = torch.tensor([-20.0, 0.0, 100.0, 255.0, 280.0]).repeat(3, 2, 1)
    assert task.image(moved)[0, :, 0].tolist() == [0, 0, 100, 255, 255]
    assert task.image(torch.tensor([-2.0, 0.0, 2.0]).repeat(3, 2, 1))[0, :, 0].tolist() == [0, 127, 255]
    assert task.image(torch.tensor([3, 200], dtype=torch.uint8).repeat(3, 2, 1))[0, :, 0].tolist() == [3, 200]
