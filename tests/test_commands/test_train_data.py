"""`mmparts data check` and `mmparts train FOLDER`: from annotations of another tool to a checkpoint."""

import contextlib
import io
import json
import os
import resource
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from mmengine.config import Config
from mmengine.registry import init_default_scope
from tiny import IN_PROCESS

from mmparts.analysis.data_check import check, draw, tables
from mmparts.commands import data_check, train, train_data
from mmparts.datasets.survey import Survey

REAL = Path(os.environ.get('MMPARTS_DATA', Path(__file__).resolve().parents[3] / 'shared' / 'data'))
TINY = [
    *(f'model.{name}' for name in ('embed_dims=16', 'encoder.num_layers=1', 'decoder.num_layers=1')),
    *(f'default_hooks.{name}=None' for name in ('report', 'pictures', 'curves', 'visualization')),
    *('model.backbone.base_channels=8', 'model.neck.norm_cfg.num_groups=4'),
    *('model.encoder.ffn_channels=32', 'model.decoder.ffn_channels=32'),
    *IN_PROCESS,
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory, shapes):
    """A folder of 12 images with COCO annotations beside them, in one file."""
    out = tmp_path_factory.mktemp('mine') / 'mine'
    content = json.loads((shapes / 'annotations' / 'instances_val.json').read_text())
    content['images'] = content['images'][:12]
    kept = {each['id'] for each in content['images']}
    content['annotations'] = [each for each in content['annotations'] if each['image_id'] in kept]
    (out / 'photos').mkdir(parents=True)
    for each in content['images']:
        shutil.copy(shapes / 'val' / each['file_name'], out / 'photos')
    (out / 'labels.json').write_text(json.dumps(content))
    return out


def trains(run_tool, *words) -> str:
    """What `train` prints; it must succeed."""
    said = io.StringIO()
    with contextlib.redirect_stdout(said):
        code = run_tool('train', *words, '--cfg-options', *TINY)
    assert code == 0, said.getvalue()[-2000:]
    return said.getvalue()


@pytest.fixture(scope='module')
def trained(folder, tmp_path_factory, run_tool):
    """The work dir of `mmparts train FOLDER`, and what the command printed."""
    work = tmp_path_factory.mktemp('work') / 'run'
    return work, trains(run_tool, folder, '--work-dir', work, '--epochs', '1', '--val', '0.25')


def test_a_folder_is_trained_with_a_model_made_for_it(trained):
    work, said = trained
    assert (work / 'epoch_1.pth').is_file() and (work / 'data' / 'dino_small_data.py').is_file()
    assert 'coco: objects' in said and 'config: ' in said
    assert 's each on this machine' in said and 'Ctrl-C saves' in said, 'an estimate before the start'
    before = said[: said.index('step 1 of ')].splitlines()
    assert len(before) < 90, 'the first loss comes soon'
    assert 'environment, config and hooks stand in' in said and 'before_train_iter' not in said
    log = next(work.glob('2*/*.log')).read_text()
    assert 'before_train_iter' in log and 'System environment' in log, 'the file has it all'


@pytest.mark.long
def test_another_list_of_classes_starts_from_that_checkpoint(trained, folder, tmp_path, run_tool):
    work, _ = trained
    content = json.loads((folder / 'labels.json').read_text())
    used = {each['category_id'] for each in content['annotations']}
    names = [each['name'] for each in content['categories'] if each['id'] in used]
    for each in content['categories']:
        each['name'] = {names[0]: 'pebble'}.get(each['name'], each['name'])
    shutil.copytree(folder / 'photos', tmp_path / 'other' / 'photos')
    (tmp_path / 'other' / 'labels.json').write_text(json.dumps(content))
    start = ['--epochs', '1', '--from', work / 'epoch_1.pth', '--old-rate', '0.1', '--freeze', 'backbone']
    said = trains(run_tool, tmp_path / 'other', '--work-dir', tmp_path / 'run', *start)
    assert 'rows are matched by name: ' in said
    assert f'new, as the mean of the old: pebble; left behind: {names[0]}' in said
    assert 'WARNING - fine-tuning from' in said and 'frozen: backbone' in said
    assert '100.0 % of parameters' not in said and 'in part: ' in said


@pytest.mark.long
def test_records_of_a_training_stay_when_it_is_tested(trained, run_tool, capsys):
    work, _ = trained
    record = work / 'dino_small_data.py'
    before = record.read_text()
    config, options = str(work / 'data' / 'dino_small_data.py'), ['--cfg-options', *TINY, 'log_level=ERROR']
    assert run_tool('test', config, str(work / 'epoch_1.pth'), '--work-dir', str(work), *options) == 0
    assert record.read_text() == before
    assert any('load_from' in path.read_text() for path in work.glob('2*/dino_small_data.py'))


def test_data_and_configs_are_told_apart(folder):
    assert train.is_data(str(folder)) and train.is_data('boxes.csv')
    assert not train.is_data('config.py') and not train.is_data('mmparts::dino/x.py')


def test_a_folder_that_was_converted_keeps_its_config(tmp_path):
    (tmp_path / 'dino_small_x.py').write_text('')
    args = train.parser().parse_args([str(tmp_path), '--epochs', '3'])
    assert train_data.config_for(args) == str(tmp_path / 'dino_small_x.py')
    assert args.cfg_options == {'train_cfg.max_epochs': 3, 'train_cfg.val_interval': 1}
    (tmp_path / 'dino_small_y.py').write_text('')
    with pytest.raises(SystemExit, match='has several configs'):
        train_data.config_for(args)


class TestCheck:
    def config(self, folder: Path, trained) -> Config:
        init_default_scope('mmdet')
        cfg = Config.fromfile(trained[0] / 'data' / 'dino_small_data.py')
        cfg.merge_from_dict(dict(option.split('=') for option in ()))
        return cfg

    def test_counts_doubles_and_unreadable_files(self, folder, trained, tmp_path):
        cfg = self.config(folder, trained)
        copy = tmp_path / 'photos'
        shutil.copytree(folder / 'photos', copy)
        files = [
            sorted(each['file_name'] for each in json.loads(Path(path).read_text())['images'])
            for path in sorted((trained[0] / 'data' / 'annotations').glob('*.json'))
        ]
        (train_names, val_names) = files
        shutil.copy(copy / train_names[0], copy / val_names[0])  # two splits; may be of another size, then it is bad
        (copy / train_names[1]).write_bytes(b'nothing')
        for loader in (cfg.train_dataloader, cfg.val_dataloader):
            loader.dataset.data_prefix.img = f'{copy}/'
        report = check(cfg)
        assert str(copy / train_names[1]) in report.unreadable
        assert report.findings[0].endswith(report.unreadable[str(copy / train_names[1])]) or len(report.unreadable) > 1
        sides = {split for places in report.doubles for split, _ in places}
        assert sides == {'train', 'val'} or str(copy / val_names[0]) in report.unreadable
        counts = json.loads((trained[0] / 'data' / 'annotations' / 'instances_train.json').read_text())
        survey = report.surveys['train']
        assert survey.images == len(counts['images']) and sum(survey.objects.values()) == len(counts['annotations'])
        assert len(tables(report)) == 2
        written = draw(cfg, report, tmp_path / 'out')
        assert all(path.stat().st_size > 1000 for path in written) and written[0].name == 'sides.png'

    def test_command(self, folder, trained, capsys):
        config = str(trained[0] / 'data' / 'dino_small_data.py')
        assert data_check.main(data_check.parser().parse_args([config, '--fast'])) == 0
        assert 'sides against strides' in capsys.readouterr().out

    def test_limits_are_said(self):
        each = Survey('train', 2, ('a', 'b'), crowded=120, per_image=[120, 1], sides={'a': [5.0, 9.0] * 60, 'b': [3.0]})
        each.objects.update(a=120, b=1)
        lines = list(each.findings(100))
        assert any('61 of 121 objects are below 8 px' in line for line in lines)
        assert 'more objects than the model has queries (120 and 100); set num_queries to 180' in ' '.join(lines)
        assert any('few objects of b (1)' in line for line in lines)
        assert any('up to 120 objects of a class' in line for line in lines) and any(
            'few objects of b (1)' in line for line in lines
        )
        assert not [line for line in each.findings(200) if 'queries' in line]


@pytest.mark.long
@pytest.mark.skipif(not (REAL / 'bccd_blood_cells').is_dir(), reason='no real data beside the checkout')
def test_ten_minutes_from_voc_to_a_model(tmp_path):
    """The stopwatch: Pascal VOC -> COCO -> small DINO -> AP50 of at least one half, in 10 minutes of CPU time."""
    before = resource.getrusage(resource.RUSAGE_CHILDREN)
    for words in (
        ['data', 'convert', REAL / 'bccd_blood_cells' / 'voc_xml', '--out', 'cells'],
        ['train', 'cells', '--work-dir', 'run'],
    ):
        done = subprocess.run([sys.executable, '-m', 'mmparts', *words], cwd=tmp_path, capture_output=True, text=True)
        assert done.returncode == 0, done.stderr[-3000:]
    after = resource.getrusage(resource.RUSAGE_CHILDREN)
    records = [json.loads(line) for line in next((tmp_path / 'run').glob('2*/vis_data/scalars.json')).open()]
    ap = [record['coco/bbox_mAP_50'] for record in records if 'coco/bbox_mAP_50' in record][-1]
    minutes = (after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime) / 60
    print(f'AP50 {ap:.3f} in {minutes:.1f} minutes of CPU time')
    assert ap >= 0.5 and minutes < 10
