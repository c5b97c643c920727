"""Imports run one way: registry <- ops <- layers <- families, registry <- services; families meet in configs only."""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'projects'

BASE = {'registry', 'version'}
FAMILIES = {'detr', 'backbones', 'perceiver', 'multimodal', 'unet'}
SERVICES = {'datasets', 'evaluation', 'visualization'}

# What each part of the package may import, beside itself. A new folder needs a line here.
MAY_IMPORT = {
    '': {'ops', 'version'},  # the package's own __init__
    'version': set(),
    'registry': {'version'},
    'utils': {'registry'},
    'ops': BASE,
    'layers': BASE | {'ops'},
    **{family: BASE | {'ops', 'layers'} for family in FAMILIES},
    **{service: BASE for service in SERVICES},
    'engine': BASE | SERVICES | {''},  # the launcher: puts data, metrics and pictures to work
}


def violations(path: str, source: str) -> list[str]:
    """What one file, given by its path within the package, imports against the rules."""
    folders = Path(path).parts[:-1]
    part = folders[0] if folders else Path(path).stem.replace('__init__', '')
    if part not in MAY_IMPORT:
        return [f'projects/{path}: no rule for {part!r}; add one to MAY_IMPORT in {Path(__file__).name}']
    found = []
    for node in ast.walk(ast.parse(source)):
        for module, line in imported(node, folders):
            target = module.split('.')[0]
            if module.startswith('mmparts'):
                found.append(f'projects/{path}:{line} imports {module}; inside the package imports are relative')
            elif target != part and target not in MAY_IMPORT[part]:
                found.append(
                    f'projects/{path}:{line} imports {target or "the package itself"}; {part} may import only '
                    f'{sorted(MAY_IMPORT[part])}'
                )
    return found


def imported(node: ast.AST, folders: tuple[str, ...]):
    """(module of ours, relative to the package, or its absolute name; line) of an import statement."""
    if isinstance(node, ast.Import):
        yield from ((name.name, node.lineno) for name in node.names if name.name.split('.')[0] == 'mmparts')
    elif isinstance(node, ast.ImportFrom) and node.level == 0:
        if node.module.split('.')[0] == 'mmparts':
            yield node.module, node.lineno
    elif isinstance(node, ast.ImportFrom):
        above = folders[: len(folders) + 1 - node.level]
        if node.module or above:
            yield '.'.join((*above, node.module or '')), node.lineno
        else:  # `from .. import a, b`: submodules of the package, or names of its __init__
            names = [name.name for name in node.names]
            yield from ((name if name in MAY_IMPORT else '', node.lineno) for name in names)


@pytest.mark.parametrize(
    'path', [str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob('*.py')) if '.mim' not in path.parts]
)
def test_imports_run_one_way(path):
    assert not violations(path, (PACKAGE / path).read_text())


@pytest.mark.parametrize(
    ('path', 'source', 'culprit'),
    [
        ('detr/head.py', 'from ..backbones.swin import Swin', 'backbones'),
        ('detr/head.py', 'from ..backbones import swin', 'backbones'),
        ('detr/head.py', 'from .. import backbones', 'backbones'),
        ('detr/deep/part.py', 'from ...unet import blocks', 'unet'),
        ('backbones/swin.py', 'def late():\n    from ..detr.boxes import move', 'detr'),
        ('layers/norm.py', 'from ..detr.boxes import move', 'detr'),
        ('ops/nms.py', 'from ..layers.norm import Norm', 'layers'),
        ('registry.py', 'from .ops import nms', 'ops'),
        ('datasets/coco.py', 'from ..engine.cli import train', 'engine'),
        ('engine/cli.py', 'from ..detr.detector import QueryDetector', 'detr'),
        ('detr/head.py', 'from mmparts.registry import MODELS', 'mmparts.registry'),
        ('detr/head.py', 'import mmparts.ops', 'mmparts.ops'),
        ('colours/red.py', 'import torch', 'colours'),
    ],
)
def test_a_wrong_import_is_named(path, source, culprit):
    (message,) = violations(path, source)
    assert path in message and culprit in message


@pytest.mark.parametrize(
    ('path', 'source'),
    [
        ('detr/head.py', 'import torch\nfrom torch import nn\nfrom .boxes import move\nfrom . import terms'),
        (
            'detr/head.py',
            'from ..ops import ms_deform_attn\nfrom ..layers.norm import Norm\nfrom ..registry import MODELS',
        ),
        ('engine/cli.py', 'from .. import config\nfrom ..datasets.root import set_data_root'),
        ('__init__.py', 'from .ops.mmcv_ext import install\nfrom .version import __version__'),
    ],
)
def test_a_right_import_passes(path, source):
    assert not violations(path, source)
