"""Imports run one way, in no circle, also by string; families meet in configs only.

registry <- {weights, ops <- layers} <- families
registry <- {datasets <- evaluation, visualization} <- tasks <- engine <- {inference, analysis} <- commands
"""

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parent.parent / 'projects'

BASE = {'registry', 'version', 'structures', 'shipped'}
BRICKS = {'weights', 'ops', 'layers'}
FAMILIES = {'detr', 'backbones', 'classify', 'segment', 'perceiver', 'multimodal'}
SERVICES = {'datasets', 'evaluation', 'visualization'}

# What each part of the package may import, beside itself. A new folder needs a line here.
MAY_IMPORT = {
    '': {'startup', 'version', 'shipped', 'inference', 'commands'},  # the package's own __init__
    'shipped': set(),
    '__main__': {'commands'},
    'startup': {'ops'},  # and nothing that takes time
    'options': set(),
    'version': set(),
    'registry': {'version'},
    'utils': {'registry'},
    'structures': set(),  # what data sets hand to models and models to metrics
    'weights': BASE,
    'ops': BASE,
    'layers': BASE | {'ops'},
    **{family: BASE | BRICKS for family in FAMILIES},
    **{service: BASE for service in SERVICES},
    'evaluation': BASE | {'datasets'},  # the form of annotations
    'tasks': BASE | SERVICES | {'layers'},  # asks what a backbone gives
    'commands': BASE | SERVICES | {'options', 'tasks', 'engine', 'inference', 'analysis', 'weights'},
    'engine': BASE | SERVICES | {'tasks', 'weights'},  # the launcher: puts data, metrics and pictures to work
    'inference': BASE | SERVICES | {'tasks', 'engine', 'weights', 'ops'},  # an export names variants of ops
    'analysis': BASE | SERVICES | BRICKS | FAMILIES | {'tasks', 'engine', 'inference'},  # looks at everything
}

# Papers of the set-prediction family by year: none stands on a later one. What is not listed is the core.
DETR_PAPERS = {
    'detr_masks': 2020,
    'pretraining': 2021,
    'smca_detr': 2021,
    'cell_detr': 2021,
    'h_detr': 2022,
    'dab_detr': 2022,
    'denoising': 2022,
    'mask_dino': 2023,
    'co_detr': 2023,
}


def violations(path: str, source: str) -> list[str]:
    """What one file, given by its path within the package, imports against the rules."""
    part = top(path)
    if part not in MAY_IMPORT:
        return [f'projects/{path}: no rule for {part!r}; add one to MAY_IMPORT in {Path(__file__).name}']
    found = []
    for module, line in imported(path, source):
        target = module.split('.')[0]
        if module.startswith('mmparts'):
            found.append(f'projects/{path}:{line} imports {module}; inside the package imports are relative')
        elif target != part and target not in MAY_IMPORT[part]:
            found.append(
                f'projects/{path}:{line} imports {target or "the package itself"}; {part} may import only '
                f'{sorted(MAY_IMPORT[part])}'
            )
        elif later(path, module):
            found.append(f'projects/{path}:{line} imports {module}, of a later paper')
    return found


def top(path: str) -> str:
    """The part of the package in which a file lies; '' for the package's own __init__."""
    return Path(path).parts[0].removesuffix('.py').replace('__init__', '')


def later(path: str, module: str) -> bool:
    """Whether a file of the set-prediction family stands on a paper that came after its own."""
    folder, paper = (Path(path).with_suffix('').parts + ('',))[:2]
    target, other = (*module.split('.'), '')[:2]
    return folder == target == 'detr' and paper != '__init__' and DETR_PAPERS.get(other, 0) > DETR_PAPERS.get(paper, 0)


def name_of(path: Path) -> str:
    """Dotted name of a file within the package; a package goes by its folder's name."""
    return '.'.join(path.with_suffix('').parts).removesuffix('.__init__').replace('__init__', '')


FILES = {name_of(path.relative_to(PACKAGE)): path for path in sorted(PACKAGE.rglob('*.py')) if '.mim' not in path.parts}
MODULES = set(FILES)


def imported(path: str, source: str):
    """(module of ours, relative to the package, or its absolute name; line) of all that a file imports."""
    folders = Path(path).parts[:-1]
    tree = ast.parse(source)
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((name.name, node.lineno) for name in node.names if name.name.split('.')[0] == 'mmparts')
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            if node.module.split('.')[0] == 'mmparts':
                yield node.module, node.lineno
        elif isinstance(node, ast.ImportFrom):
            base = '.'.join((*folders[: len(folders) + 1 - node.level], *filter(None, [node.module])))
            for name in node.names:  # a submodule, or a name of the module itself
                full = f'{base}.{name.name}'.strip('.')
                yield (full if full in MODULES or (not base and full in MAY_IMPORT) else base), node.lineno
    yield from by_string(tree, folders)


def by_string(tree: ast.AST, folders: tuple[str, ...]):
    """The same of ``import_module('.name', __package__)``, and, where a file puts such names together, of all strings
    that are names of modules beside it; and of the kernels that `from_module` and `from_triton` load."""
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    called = {ast.unparse(call.func).split('.')[-1] for call in calls}
    for node in ast.walk(tree):
        if not isinstance(node, ast.Constant) or not isinstance(node.value, str):
            continue
        name = node.value
        if 'import_module' in called:
            dots = len(name) - len(name.lstrip('.'))
            above = folders[: len(folders) + 1 - max(dots, 1)]
            full = '.'.join((*above, name.lstrip('.')))
            if full in MODULES and name.lstrip('.'):
                yield full, node.lineno
        if called & {'from_module', 'from_triton'} and f'ops.{name.rpartition(".")[0]}' in MODULES - {'ops.'}:
            yield f'ops.{name.rpartition(".")[0]}', node.lineno


@pytest.mark.parametrize('name', sorted(MODULES))
def test_imports_run_one_way(name):
    path = FILES[name]
    assert not violations(str(path.relative_to(PACKAGE)), path.read_text())


def circles(edges: dict[str, set[str]]) -> list[list[str]]:
    """The groups of modules that reach each other (Tarjan would be faster; there are some hundred)."""
    reach = {}
    for start in edges:
        seen, todo = set(), list(edges[start])
        while todo:
            if (module := todo.pop()) not in seen:
                seen.add(module)
                todo += edges.get(module, ())
        reach[start] = seen
    return sorted({tuple(sorted({b for b in reach[a] if a in reach.get(b, ())})) for a in edges if a in reach[a]})


def test_no_circle_of_imports():
    edges = {
        name: {module for module, _ in imported(str(path.relative_to(PACKAGE)), path.read_text()) if module in MODULES}
        for name, path in FILES.items()
    }
    assert not circles(edges)
    assert circles({'a': {'b'}, 'b': {'c'}, 'c': {'a'}, 'd': {'a'}}) == [('a', 'b', 'c')]


@pytest.mark.parametrize(
    ('path', 'source', 'culprit'),
    [
        ('detr/head.py', 'from ..backbones.swin import Swin', 'backbones'),
        ('detr/head.py', 'from ..backbones import swin', 'backbones'),
        ('detr/head.py', 'from .. import backbones', 'backbones'),
        ('detr/deep/part.py', 'from ...segment import blocks', 'segment'),
        ('backbones/swin.py', 'def late():\n    from ..detr.boxes import move', 'detr'),
        ('layers/norm.py', 'from ..detr.boxes import move', 'detr'),
        ('ops/nms.py', 'from ..layers.norm import Norm', 'layers'),
        ('registry.py', 'from .ops import nms', 'ops'),
        ('datasets/coco.py', 'from ..engine.cli import train', 'engine'),
        ('engine/cli.py', 'from ..detr.detector import QueryDetector', 'detr'),
        ('detr/head.py', 'from mmparts.registry import MODELS', 'mmparts.registry'),
        ('detr/head.py', 'import mmparts.ops', 'mmparts.ops'),
        ('colours/red.py', 'import torch', 'colours'),
        ('detr/detr_masks/head.py', 'from ..mask_dino.masks import Masks', 'mask_dino.masks'),
        ('detr/head.py', 'from .mask_dino import masks', 'mask_dino.masks'),
        ('ops/table.py', "import_module('..layers.window_grid', __package__)", 'layers'),
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
        ('engine/cli.py', 'from ..shipped import config\nfrom ..datasets.root import set_data_root'),
        ('__init__.py', 'from .startup import install\nfrom .version import __version__'),
    ],
)
def test_a_right_import_passes(path, source):
    assert not violations(path, source)
