"""check_configs finds what is wrong, says what would be right, and has nothing against what is shipped."""

import re
import runpy
import shutil
import sys
from pathlib import Path

import mmdet
import pytest
import yaml
from mmengine.config import Config
from mmengine.registry import DefaultScope

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.analysis.config_checks.config_check import ConfigCheck
from mmparts.analysis.config_checks.config_files import (
    TABLE,
    check_folder,
    check_header,
    check_index,
    check_levels,
    check_name,
    check_runtime,
    read_metafile,
    shipped,
    with_table,
)

ROOT = Path(__file__).resolve().parents[2]
TOOL = ROOT / 'tools' / 'check_configs.py'
DINO = 'mmparts::dino/dino-4scale_r50_8xb2-12e_coco.py'


@pytest.fixture
def tool(monkeypatch, capsys):
    """``tool(*args)``: exit code and output of the tool."""

    def run(*args):
        monkeypatch.setattr(sys, 'argv', ['check_configs.py', *map(str, args)])
        monkeypatch.setenv('COLUMNS', '200')
        with pytest.raises(SystemExit) as stop:
            runpy.run_path(str(TOOL), run_name='__main__')
        return stop.value.code, capsys.readouterr().out

    return run


def check(tmp_path: Path, text: str) -> dict[str, str]:
    """Problem by place of a config with this text."""
    config = tmp_path / 'own.py'
    config.write_text(text)
    return {one.where: one.problem for one in ConfigCheck(Config.fromfile(config)).findings}


def test_nothing_is_wrong_with_what_is_shipped(tool):
    code, output = tool()
    assert code == 0, output
    assert f'{len(shipped(ROOT / "configs"))} configs, 0 findings' in output


@pytest.mark.parametrize(
    ('change', 'where', 'problem'),
    [
        (
            'model = dict(head=dict(num_clases=3))',
            'model.head.num_clases',
            r'SetPredictionHead takes no `num_clases`. Did you mean `num_classes`\? It takes: .*terms',
        ),
        ("model = dict(groups=[dict(type='mmparts.Denoising', nums=3)])", 'model.groups[0].nums', '`num`'),
        (
            "model = dict(head=dict(matcher=dict(type='mmparts.HungarianMatcer')))",
            'model.head.matcher.type',
            '`mmparts.HungarianMatcher`',
        ),
        ("model = dict(type='QueryDetector')", 'model.type', '`mmparts.QueryDetector`'),
        (
            "model = dict(neck=dict(type='mmfoo.ChannelMapper'))",
            'model.neck.type',
            'no installed package, `mmfoo`.*mmdet.Chan',
        ),
        ('model = dict(backbone=dict(norm_cfg=dict(momentun=0.1)))', 'model.backbone.norm_cfg.momentun', '`momentum`'),
        ('train_dataloader = dict(batchsize=4)', 'train_dataloader.batchsize', '`batch_size`'),
        ("train_dataloader = dict(dataset=dict(anno_file=''))", 'train_dataloader.dataset.anno_file', '`ann_file`'),
        (
            "train_dataloader = dict(dataset=dict(pipeline=[dict(type='Resize', scales=3)]))",
            'train_dataloader.dataset.pipeline[0].scales',
            '`scale`',
        ),
        (
            "train_dataloader = dict(sampler=dict(type='DefaultSampler', shufle=True))",
            'train_dataloader.sampler.shufle',
            '`shuffle`',
        ),
        ("val_evaluator = dict(metrics='bbox')", 'val_evaluator.metrics', '`metric`'),
        (
            'optim_wrapper = dict(optimizer=dict(learning_rate=1))',
            'optim_wrapper.optimizer.learning_rate',
            'AdamW takes no',
        ),
        (
            'optim_wrapper = dict(paramwise_cfg=dict(custom_key={}))',
            'optim_wrapper.paramwise_cfg.custom_key',
            'custom_keys',
        ),
        ("param_scheduler = [dict(type='MultiStepLR', milestone=[1])]", 'param_scheduler[0].milestone', '`milestones`'),
        (
            "param_scheduler = [dict(type='PolyLR', begin=0.8, by_epoch=True)]",
            'param_scheduler[0].begin',
            'whole number',
        ),
        (
            "param_scheduler = [dict(type='PolyLR', begin=-0.8, by_epoch=True, convert_to_iter_based=True)]",
            'param_scheduler[0].begin',
            'a number from 0',
        ),
        ('train_cfg = dict(max_epoch=1)', 'train_cfg.max_epoch', '`max_epochs`'),
        (
            'default_hooks = dict(checkpoint=dict(max_keep_ckpt=3))',
            'default_hooks.checkpoint.max_keep_ckpt',
            'max_keep_ckpts',
        ),
        (
            "custom_hooks = [dict(type='AdamW')]",
            'custom_hooks[0].type',
            '`AdamW` is one of OPTIMIZERS; here stands one of HOOKS',
        ),
        ('train_dataloder = dict()', 'train_dataloder', '`train_dataloader`'),
    ],
)
def test_a_slip_is_named_with_what_was_meant(tmp_path, change, where, problem):
    found = check(tmp_path, f'_base_ = {DINO!r}\n{change}\n')
    assert list(found) == [where]
    assert re.search(problem, found[where]), found[where]


def test_what_another_backbone_leaves_over_is_explained(tmp_path):
    found = check(tmp_path, f"_base_ = {DINO!r}\nmodel = dict(backbone=dict(type='mmparts.Swin', arch='tiny'))\n")
    assert {'model.backbone.depth', 'model.backbone.norm_eval'} <= set(found)
    assert re.search(
        f'left over from ResNet in {DINO}; write `_delete_=True` into `model.backbone`', found['model.backbone.depth']
    )


@pytest.mark.parametrize(
    'change',
    [
        "model = dict(backbone=dict(_delete_=True, type='mmparts.Swin', arch='tiny', out_indices=(1, 2, 3)))",
        "model = dict(head=dict(embed_dims=256), backbone=dict(init_cfg=dict(prefix='backbone.')))",
        "train_dataloader = dict(dataset=dict(_delete_=True, type='RepeatDataset', times=2, dataset=dict("
        "type='CocoDataset', ann_file='a.json', pipeline=[dict(type='RandomResize', scale=(9, 9), keep_ratio=True)])))",
        "param_scheduler = [dict(type='LinearLR', start_factor=0.1, end=2, by_epoch=True, convert_to_iter_based=True)]",
        "param_scheduler = [dict(type='PolyLR', begin=0.8, end=8, by_epoch=True, convert_to_iter_based=True)]",
        "custom_hooks = [dict(type='EMAHook', ema_type='ExpMomentumEMA', momentum=0.1, gamma=2, priority=49)]",
        "optim_wrapper = dict(type='AmpOptimWrapper', loss_scale='dynamic', accumulative_counts=2)",
        'my_number = 3\n_mine = []\nmodel = dict(num_queries=my_number)',
    ],
)
def test_what_is_right_passes(tmp_path, change):
    assert not check(tmp_path, f'_base_ = {DINO!r}\n{change}\n')


def test_a_config_of_ones_own_is_held_against_the_code_alone(tool, tmp_path):
    config = tmp_path / 'any name.py'
    config.write_text(f'_base_ = {DINO!r}\nmodel = dict(head=dict(num_clases=3))\n')
    code, output = tool(config)
    assert code == 1
    assert 'model.head.num_clases' in output and '`num_classes`' in output
    assert 'file name' not in output and 'first line' not in output
    config.write_text('model = dict(')
    code, output = tool(config)
    assert code == 1 and 'cannot be read' in output


MMDET = Path(mmdet.__file__).parent / '.mim' / 'configs'


@pytest.mark.parametrize(
    'name',
    [
        'dino/dino-4scale_r50_8xb2-12e_coco.py',
        'faster_rcnn/faster-rcnn_r50_fpn_1x_coco.py',
        'mask_rcnn/mask-rcnn_r50_fpn_ms-poly-3x_coco.py',
        'yolox/yolox_s_8xb8-300e_coco.py',
        'rtmdet/rtmdet_tiny_8xb32-300e_coco.py',
        'retinanet/retinanet_r50_fpn_1x_coco.py',
    ],
)
def test_configs_of_mmdet_pass(name):
    assert not ConfigCheck(Config.fromfile(MMDET / name)).findings


@pytest.mark.parametrize(
    'name',
    [
        'dino-4scale_swin-l-p4-w12-384_8xb2-12e_coco.py',
        'detr_r50_8xb2-500e_coco.py',
        'mask-rcnn_r50_fpn_8xb2-amp-1x_coco.py',
        'upernet_r50_4xb4-160k_ade20k-512x512.py',
        'dino-4scale_small_2xb4-7e_shapes.py',
        'unetr_1xb2-25000i_btcv.py',
        'swin-tiny_16xb64-amp-80ki_imagenet.py',
        'clip_vit-b-p16_1xb64-test_imagenet.py',
    ],
)
def test_good_names(name):
    assert not [*check_name(name)]


@pytest.mark.parametrize(
    ('name', 'field'),
    [
        ('DINO_r50_8xb2-12e_coco.py', 'algorithm'),
        ('dino_R50_8xb2-12e_coco.py', 'parts'),
        ('dino_r50_8x2-12e_coco.py', 'training'),
        ('dino_r50_8xb2_coco.py', 'training'),
        ('dino_r50_8xb2-12e_COCO.py', 'data'),
        ('dino_coco.py', 'at least 3'),
        ('dino_8xb2-12w_coco.py', 'training'),
        ('dino_8xb2-i_coco.py', 'training'),
    ],
)
def test_bad_names(name, field):
    message = [one.problem for one in check_name(name)]
    assert field in message[0]


def test_what_a_config_builds_on(tmp_path):
    configs = tmp_path / 'configs'
    (configs / '_base_').mkdir(parents=True)
    write = lambda name, bases: (configs / name).write_text(f'_base_ = {bases!r}\n')  # noqa: E731
    for number in range(8):
        write(f'_base_/{number}.py', [f'./{number - 1}.py'] if number else [])
        write(f'{number}.py', [f'./{number - 1}.py'] if number else ['./_base_/5.py', 'mmdet::any.py'])

    def found(name):
        return [one.problem for one in check_levels(configs / name, configs)]

    assert not found('_base_/5.py') and not found('2.py')
    assert found('_base_/6.py') == ['6 bases stand above each other; at most 5']
    assert found('3.py') == ['3 configs stand above this one; at most 2']
    write('_base_/up.py', '../0.py')
    assert found('_base_/up.py') == ['is 0.py, a config; bases build on bases alone']
    write('two.py', ['./_base_/0.py', './0.py'])
    assert found('two.py') == ['a config builds on one config, which is named first']


def test_a_config_runs_in_what_its_task_runs_in(tmp_path):
    base = tmp_path / '_base_'
    base.mkdir()
    (base / 'default_runtime.py').write_text('')
    (base / 'detection_runtime.py').write_text("_base_ = './default_runtime.py'")
    (tmp_path / 'plain.py').write_text("_base_ = './_base_/default_runtime.py'")
    (tmp_path / 'right.py').write_text("_base_ = './_base_/detection_runtime.py'")
    (tmp_path / 'diff.py').write_text("_base_ = './right.py'")
    (finding,) = check_runtime(tmp_path / 'plain.py', tmp_path, 'detection')
    assert 'detection_runtime.py' in finding.problem
    assert not [*check_runtime(tmp_path / 'plain.py', tmp_path, 'flow')]
    assert not [*check_runtime(tmp_path / 'diff.py', tmp_path, 'detection')]


@pytest.mark.parametrize(
    ('text', 'good'),
    [
        ('# DETR, ResNet-50, 150 epochs.\n', True),
        ('# DETR. COCO val box AP: 39.5 (paper).\n', True),
        ('# DETR. Box AP 39.5 here: `make demo`.\n', True),
        ('# DETR, small.\n_base_ = []\n# 3.5 later', True),
        ('# DETR. COCO val box AP: 39.5.\n', False),
        ('# DETR, AP 40\n', False),
        ('_base_ = []\n', False),
        ('#\n', False),
    ],
)
def test_first_lines(text, good):
    assert (not [*check_header(text)]) is good


def listed(folder: Path) -> list[Path]:
    return [ROOT / model['Config'] for model in read_metafile(folder / 'metafile.yml')['Models']]


@pytest.fixture
def repository(tmp_path):
    """A copy of what stands around the configs of DINO."""
    folder = tmp_path / 'configs' / 'dino'
    folder.mkdir(parents=True)
    for name in ('metafile.yml', 'README.md', *(path.name for path in listed(ROOT / 'configs' / 'dino'))):
        shutil.copy(ROOT / 'configs' / 'dino' / name, folder)
    (tmp_path / 'model-index.yml').write_text('Import: [configs/dino/metafile.yml]')
    return tmp_path


def edit(path: Path, old: str, new: str) -> None:
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


@pytest.mark.parametrize(
    ('file', 'old', 'new', 'problem'),
    [
        (
            'metafile.yml',
            'box AP: 49.0',
            'box AP: 49.1',
            r'Paper, box AP is 49.1; the first line of the config says 49.0',
        ),
        ('metafile.yml', 'Config: configs/dino/dino-5scale', 'Config: configs/dino/dino-6scale', 'no such file'),
        (
            'metafile.yml',
            'Config: configs/dino/dino-5scale',
            'Config: configs/dino/dino-6scale',
            'dino-5scale.* 0 times',
        ),
        ('metafile.yml', 'In Collection: DINO', 'In Collection: DYNO', 'In Collection is DYNO'),
        ('metafile.yml', '- Name: dino-5scale', '- Name: dino-9scale', 'Name should be'),
        ('metafile.yml', 'Parameters: 46884712', 'Parameters: 47 M', 'tools/benchmark.py'),
        ('README.md', '(dino-5scale_r50_8xb2-12e_coco.py)', '(no.py)', 'does not link dino-5scale'),
        ('README.md', '| 49.0 |', '| 50.0 |', '--write-readmes'),
    ],
)
def test_files_out_of_step(repository, file, old, new, problem):
    folder = repository / 'configs' / 'dino'
    assert not [*check_folder(folder, repository)]
    edit(folder / file, old, new)
    found = [one.problem for _, one in check_folder(folder, repository)]
    assert any(re.search(problem, one) for one in found), found


def test_a_new_folder_must_be_listed(repository):
    assert not [*check_index(repository)]
    folder = repository / 'configs' / 'new'
    folder.mkdir()
    assert {one.problem for _, one in check_folder(folder, repository)} == {'has no metafile.yml', 'has no README.md'}
    (folder / 'metafile.yml').touch()
    (finding,) = check_index(repository)
    assert 'configs/new/metafile.yml' in finding.problem


@pytest.mark.parametrize(
    ('part', 'old'),
    [
        ('projects/detr/README.md', '| OneToMany |'),
        ('projects/detr/README.md', 'DeformableCrossAttention'),
        ('projects/README.md', 'detr/h_detr.py'),
        ('docs/models.md', '46,884,712'),
    ],
)
def test_a_stale_generated_part_is_renewed(part, old):
    renewed = runpy.run_path(str(TOOL))['renewed']
    text = (ROOT / part).read_text()
    start = text.index('made by tools/check_configs.py')
    assert old in text[start:] and renewed(ROOT / part, text) == text
    assert renewed(ROOT / part, text[:start] + text[start:].replace(old, 'something else', 1)) == text


def test_a_stale_generated_part_is_a_finding(tmp_path):
    tool = runpy.run_path(str(TOOL))
    generated = tool['GENERATED']
    page = tmp_path / 'models.md'
    generated[page] = (('<!-- a -->', '<!-- /a -->'), lambda file: 'new')
    page.write_text('<!-- a -->\nold\n<!-- /a -->')
    (finding,) = tool['check_files']([])[page]
    assert '--write-readmes' in finding.problem


def test_table_is_made_from_the_metafile():
    meta, readme = read_metafile(ROOT / 'configs' / 'dino' / 'metafile.yml'), ROOT / 'configs' / 'dino' / 'README.md'
    made = with_table(f'before\n{TABLE[0]}\nold\n{TABLE[1]}\nafter', meta, readme, ROOT)
    assert 'old' not in made and made.startswith('before\n') and made.endswith('\nafter')
    assert '| 46,884,712 | 49.0 | - |' in made
    assert '[detr/queries.py](../../projects/detr/queries.py)' in made
    assert with_table(made, meta, readme, ROOT) == made


MODELS = [
    model
    for path in sorted((ROOT / 'configs').glob('*/metafile.yml'))
    for model in yaml.safe_load(path.read_text())['Models']
]


@pytest.mark.parametrize('model', MODELS, ids=lambda model: model['Name'])
def test_parameters_in_metafiles_are_exact(model):
    with DefaultScope.overwrite_default_scope('mmdet'):
        built = build_on_meta(Config.fromfile(ROOT / model['Config']))
    assert Parameters.of(built).as_papers_count == model['Metadata']['Parameters']
