"""Wheel, sdist and editable install: what is in them, and that a fresh process can use them."""

import os
import re
import shutil
import subprocess
import sys
import zipfile
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
SOURCES = (
    'setup.py',
    'pyproject.toml',
    'mmparts_startup.py',
    'mmparts_startup.pth',
    'MANIFEST.in',
    'README.md',
    'LICENSE',
    'CHANGELOG.md',
    'model-index.yml',
    'projects',
    'configs',
    'tools',
    'tests',
)
CONFIG = 'dino/dino-4scale_r50_8xb2-12e_coco.py'


def run(*args, cwd: Path, **environment: str) -> str:
    """The output of `python ARGS` in a process of its own, which must succeed."""
    environment = {**os.environ, 'PYTHONWARNINGS': 'ignore', 'OMP_NUM_THREADS': '1', **environment}
    done = subprocess.run([sys.executable, *map(str, args)], cwd=cwd, env=environment, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout[-2000:] + done.stderr[-4000:]
    return done.stdout


@pytest.fixture(scope='module')
def sources(tmp_path_factory) -> Path:
    """A copy of the checkout: a build fills projects/.mim, which an editable install needs to consist of links."""
    folder = tmp_path_factory.mktemp('sources')
    for name in SOURCES:
        if (ROOT / name).is_dir():
            shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns('.mim', '__pycache__'))
        else:
            shutil.copy(ROOT / name, folder / name)
    return folder


def wheel_of(source: Path, out: Path) -> Path:
    run('-m', 'pip', 'wheel', '--quiet', '--no-deps', '--no-build-isolation', '--wheel-dir', out, source, cwd=out)
    (wheel,) = out.glob('*.whl')
    return wheel


@pytest.fixture(scope='module', params=['checkout', pytest.param('sdist', marks=pytest.mark.long)])
def wheel(request, sources, tmp_path_factory) -> Path:
    """A wheel, built from the checkout or from the sdist."""
    out = tmp_path_factory.mktemp('wheel')
    if request.param == 'checkout':
        return wheel_of(sources, out)
    run('-m', 'build', '--no-isolation', '--sdist', '--outdir', out, sources, cwd=out)
    (sdist,) = out.glob('*.tar.gz')
    return wheel_of(sdist, out)


@pytest.fixture(scope='module')
def installed(wheel, tmp_path_factory) -> Path:
    """A folder that holds nothing but the wheel, installed."""
    target = tmp_path_factory.mktemp('installed')
    run('-m', 'pip', 'install', '--quiet', '--no-deps', '--target', target, wheel, cwd=target)
    return target


def test_wheel_holds_package_configs_and_tools(wheel):
    names = set(zipfile.ZipFile(wheel).namelist())
    assert {
        'mmparts/__init__.py',
        'mmparts/detr/detector.py',
        'mmparts/datasets/shapes/scene.py',
        'mmparts/visualization/report/page.html',
        'mmparts/visualization/report/style.css',
        'mmparts/.mim/model-index.yml',
        'mmparts/weights/index.json',
        'mmparts/.mim/tools/train.py',
        'mmparts/.mim/tools/dist_train.sh',
        'mmparts/.mim/configs/dino/metafile.yml',
        'mmparts/.mim/configs/_base_/default_runtime.py',
        f'mmparts/.mim/configs/{CONFIG}',
    } <= names
    modules = {
        f'mmparts/{path.relative_to(ROOT / "projects")}'
        for path in (ROOT / 'projects').rglob('*.py')
        if '.mim' not in path.parts
    }
    configs = {f'mmparts/.mim/{path.relative_to(ROOT)}' for path in (ROOT / 'configs').rglob('*.py')}
    assert modules | configs <= names
    assert {name.split('/')[0].split('-')[0] for name in names} == {'mmparts', 'mmparts_startup.py', 'mmparts_toolbox'}
    assert not [name for name in names if Path(name).name.startswith('test_') or '__pycache__' in name]


def test_metadata_names_the_extras(installed):
    (info,) = installed.glob('mmparts_toolbox-*.dist-info')
    meta = PathDistribution(info)
    extras = {
        extra: [re.sub(r'\s*;.*', '', line) for line in meta.requires if f'extra == "{extra}"' in line]
        for extra in meta.metadata.get_all('Provides-Extra')
    }
    assert meta.metadata['Name'] == 'mmparts-toolbox'
    assert set(extras) == {
        *('openmmlab', 'onedl', 'fast', 'coco', 'text', 'medical', 'triton'),
        *('docs', 'test', 'real', 'parity', 'export'),
    }
    assert {'mmengine==0.10.7', 'mmcv-lite==2.1.0', 'mmdet==3.3.0', 'mmsegmentation==1.2.2', 'setuptools<81'} <= set(
        extras['openmmlab']
    )
    assert {re.split('[<>=]', line)[0] for line in extras['onedl']} == {
        'onedl-mmengine',
        'onedl-mmcv',
        'onedl-mmdetection',
        'onedl-mmsegmentation',
    }
    assert any(line.startswith('transformers') for line in extras['parity'])
    assert any(line.startswith('pytest') for line in extras['test'])
    assert not [line for line in meta.requires if 'extra' not in line and line.startswith(('mm', 'onedl'))]


USE = f"""
import sys
import mmparts
from mmengine.config import Config
from mmengine.hub import get_config, get_model
assert mmparts.__file__.startswith(sys.argv[1]), mmparts.__file__
own = Config.fromfile('own.py')
assert own.model.num_classes == 3 and own.model.num_queries == 900
assert Config.fromfile(mmparts.config('{CONFIG}')).model.num_classes == 80
assert get_config('mmparts::{CONFIG}').model.num_queries == 900
if len(sys.argv) > 2:
    model = get_model('mmparts::dino/dino-4scale_small_2xb4-7e_shapes.py')
    assert type(model).__module__ == 'mmparts.detr.detector'
print('used')
"""


def use(package: Path, folder: Path, *args: str, **environment: str) -> None:
    (folder / 'own.py').write_text(f"_base_ = 'mmparts::{CONFIG}'\nmodel = dict(num_classes=3)\n")
    assert 'used' in run('-c', USE, package, *args, cwd=folder, **environment)


STARTED = """
import site, sys, time
sys.path.remove(sys.argv[2])
sys.modules.pop('mmparts_startup', None)
site.addsitedir(sys.argv[1])  # what Python does with an environment at its start
assert 'mmparts' not in sys.modules
import mmcv.ops
from mmengine.config import Config
assert Config.fromfile('own.py').model.num_classes == 3
assert sys.modules['mmparts'].__file__.startswith(sys.argv[1])
print('started')
"""


def test_a_process_that_never_imports_mmparts_reads_our_configs(installed, tmp_path):
    (tmp_path / 'own.py').write_text(f"_base_ = 'mmparts::{CONFIG}'\nmodel = dict(num_classes=3)\n")
    shield = tmp_path / 'shield'  # the start-up file of the environment that runs the tests stays out of it
    shield.mkdir()
    (shield / 'mmparts_startup.py').write_text('')
    assert 'started' in run('-c', STARTED, installed, shield, cwd=tmp_path, PYTHONPATH=str(shield))


def test_installed_wheel_has_the_command_line(installed, tmp_path):
    (script,) = installed.glob('bin/mmparts')
    shown = run(script, '--help', cwd=tmp_path, PYTHONPATH=str(installed))
    assert shown.startswith('usage: mmparts COMMAND') and 'predict' in shown


def test_installed_wheel_is_used(installed, tmp_path):
    use(installed / 'mmparts', tmp_path, PYTHONPATH=str(installed))


def test_this_install_is_used(tmp_path):
    import mmparts

    use(Path(mmparts.__file__).parent, tmp_path, 'and its hub')


HEAVY = ('torchvision', 'triton', 'numba', 'transformers', 'timm', 'mmdet.models', 'mmseg.models')


def test_importing_is_light(tmp_path):
    """Parts are imported when a registry is asked for one, optional packages when they are used."""
    loaded = run('-c', 'import sys, mmparts; print(*sys.modules, sep="\\n")', cwd=tmp_path).split()
    assert 'mmparts' in loaded
    assert not set(HEAVY) & set(loaded)


def test_every_command_of_the_makefile_keeps_the_editable_install():
    """`pip install ".[extra]"` without -e puts a copy in its place, which no later change of the checkout reaches."""
    text = (ROOT / 'Makefile').read_text().replace('\\\n', ' ')
    installs = [line for line in text.splitlines() if 'pip install' in line and re.search(r'["\s]\.(\[|"|\s|$)', line)]
    assert len(installs) >= 3 and not [line for line in installs if ' -e ' not in line]
