"""Every row of docs/coming_from.md runs, on a tiny model: our command as it is written, with files for its capitals."""

import json
import os
import re
import shlex
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from mmparts import commands

ROOT = Path(__file__).resolve().parents[2]
TEXT = (ROOT / 'docs' / 'coming_from.md').read_text(encoding='utf-8')
# What other tests run: on a Slurm; on files of the authors' layouts.
ELSEWHERE = {'tools/slurm_train.sh': 'tests/test_slurm', 'mmparts convert': 'tests/test_tools/test_convert_weights.py'}
NOTHING_TO_RUN = ('no anchors here', "a config of dicts, over a base: `_base_ = 'mmparts::dino/...'`")
SMALL = [
    *(f'model.{name}' for name in ('embed_dims=16', 'encoder.num_layers=1', 'decoder.num_layers=1')),
    *('model.backbone.base_channels=8', 'model.neck.norm_cfg.num_groups=4'),
    *('model.encoder.ffn_channels=32', 'model.decoder.ffn_channels=32'),
    *(f'{part}_dataloader.num_workers=0' for part in ('train', 'val', 'test')),
    *(f'{part}_dataloader.persistent_workers=False' for part in ('train', 'val', 'test')),
]


def rows() -> list[str]:
    """The last column of every table."""
    lines = [line for line in TEXT.splitlines() if line.startswith('|') and not line.startswith('|---')]
    return list(dict.fromkeys(line.rstrip(' |').rsplit('|', 1)[1].strip() for line in lines if '| here |' not in line))


def command_of(row: str) -> str | None:
    """What stands in the row to be run."""
    found = re.match(r'`([^`]+)`', row)
    return found[1] if found and row not in NOTHING_TO_RUN else None


def test_every_row_is_a_command_or_says_that_there_is_none():
    assert [row for row in rows() if command_of(row) is None] == [each for each in rows() if each in NOTHING_TO_RUN]
    assert len(rows()) > 30


@pytest.fixture(scope='module')
def place(tmp_path_factory, shapes, run_tool):
    """A folder of images, a tiny model that was trained on them, and the words for both."""
    place = tmp_path_factory.mktemp('place')
    content = json.loads((shapes / 'annotations' / 'instances_val.json').read_text())
    content['images'] = content['images'][:12]
    kept = {each['id'] for each in content['images']}
    content['annotations'] = [each for each in content['annotations'] if each['image_id'] in kept]
    (place / 'mine' / 'photos').mkdir(parents=True)
    for each in content['images']:
        shutil.copy(shapes / 'val' / each['file_name'], place / 'mine' / 'photos')
    (place / 'mine' / 'labels.json').write_text(json.dumps(content))
    (place / 'mine' / 'classes.txt').write_text('\n'.join(each['name'] for each in content['categories']))
    image = place / 'a.jpg'
    shutil.copy(place / 'mine' / 'photos' / content['images'][0]['file_name'], image)
    work = place / 'run'
    assert run_tool('train', place / 'mine', '--work-dir', work, '--epochs', '1', '--cfg-options', *SMALL) == 0
    (config,) = work.glob('*.py')
    names = dict(CONFIG=config, CHECKPOINT=work / 'epoch_1.pth', FOLDER=place / 'mine', WORK_DIR=work, IMAGE=image)
    names.update(IMAGES=place / 'mine' / 'photos', IN=work / 'epoch_1.pth', OUT=place / 'converted.pth')
    return place, {name: str(path) for name, path in names.items()}


def adapted(words: list[str], place: Path) -> list[str]:
    """What a test adds: a folder of its own for what is written, and small sizes."""
    small = ['--epochs', '1', '--val', '0.25', '--cfg-options', *SMALL]
    if words[:1] == ['train'] or words[0].endswith('dist_train.sh'):
        if '--resume' not in words:
            words = [*words, '--work-dir', str(place / f'run{len(list(place.iterdir()))}')]
        return [*words, *small] if words[1] == str(place / 'mine') else words
    if words[:2] == ['data', 'convert']:
        return [*words, '--out', str(place / f'data{len(list(place.iterdir()))}')]
    if words[0] == 'run' and len(words) == 3:
        return [*words, '--help']
    if words[0] == 'export':
        return [*words, '--size', '96', '96', '--out', str(place / 'model.onnx')]
    if words[0] == 'test' or words[0].endswith('dist_test.sh'):
        return [*words, '--work-dir', str(place / 'tested')]
    return words


@pytest.mark.long
@pytest.mark.parametrize('line', dict.fromkeys(filter(None, map(command_of, rows()))))
def test_a_row_runs(line, place, monkeypatch, capfd):
    folder, names = place
    for start, where in ELSEWHERE.items():
        if line.startswith(start):
            pytest.skip(f'see {where}')
    monkeypatch.chdir(folder)
    for name, path in names.items():
        line = re.sub(rf'(?<![\w-]){name}(?![\w])', repr(path) if line.startswith('mmparts.') else path, line)
    if line.startswith('mmparts.'):
        import mmparts

        assert eval(line, dict(mmparts=mmparts)) is not None
        return
    words = shlex.split(line)
    if words[0] == 'mmparts':
        monkeypatch.setattr(sys, 'argv', ['mmparts', *adapted(words[1:], folder)])
        with pytest.raises(SystemExit) as left:
            commands.main()
        if line.startswith('mmparts run mmdet') and 'ModuleNotFoundError' in str(left.value.code):
            pytest.skip(f'the tool of mmdet wants a package: {left.value.code}')
        assert not left.value.code, capfd.readouterr()
        return
    words = adapted([str(ROOT / each) if each.startswith('tools/') else each for each in words], folder)
    words = ['bash', *words] if words[0].endswith('.sh') else [sys.executable, *words[1:]]
    environment = {**os.environ, 'PATH': f'{Path(sys.executable).parent}:{os.environ["PATH"]}', 'OMP_NUM_THREADS': '1'}
    done = subprocess.run(words, cwd=folder, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-1500:] + done.stderr[-3000:]
