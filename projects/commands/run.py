"""Run a tool of another package on our configs: `mmparts run mmdet confusion_matrix ...`."""

import argparse
import importlib.util
import os.path as osp
import runpy
import sys
from glob import glob

from ..options import Parser, near


def parser() -> Parser:
    parser = Parser(
        description='Run a tool that a package of OpenMMLab ships (mmdet, mmseg ...), with mmparts beside it: '
        'its configs may name our parts and bases, and the operators of a compiled mmcv are there. Without a tool: '
        'lists them.'
    )
    parser.add_argument('package', help='for example mmdet')
    parser.add_argument('tool', nargs='?', help='for example confusion_matrix, or analysis_tools/confusion_matrix')
    parser.add_argument('arguments', nargs=argparse.REMAINDER, help='those of the tool')
    return parser


def main(args: argparse.Namespace) -> None:
    tools = tools_of(args.package)
    if args.tool is None:
        print('\n'.join(sorted(tools)))
        return
    path = find(tools, args.tool, args.package)
    sys.argv = [path, *args.arguments]
    sys.path.insert(0, osp.dirname(path))
    runpy.run_path(path, run_name='__main__')


def tools_of(package: str) -> dict[str, str]:
    """The Python tools that a package ships: name relative to their folder, without ending -> path."""
    spec = importlib.util.find_spec(package) if package.isidentifier() else None
    if spec is None or not spec.submodule_search_locations:
        raise SystemExit(f'error: no package {package!r} is installed{near(package, ["mmdet", "mmseg", "mmparts"])}')
    for folder in (osp.join(place, '.mim', 'tools') for place in spec.submodule_search_locations):
        paths = glob(osp.join(folder, '**', '*.py'), recursive=True)
        if paths:
            return {osp.splitext(osp.relpath(path, folder))[0]: path for path in paths}
    raise SystemExit(f'error: {package} ships no tools (looked for .mim/tools in its folder)')


def find(tools: dict[str, str], name: str, package: str) -> str:
    """The tool of that name, with or without its folder and ending."""
    name = osp.splitext(name)[0]
    found = [path for key, path in tools.items() if name in (key, osp.basename(key))]
    if len(found) == 1:
        return found[0]
    if found:
        keys = sorted(key for key in tools if osp.basename(key) == name)
        raise SystemExit(f'error: {package} has several tools {name!r}: {", ".join(keys)}')
    question = near(name, [osp.basename(key) for key in tools])
    raise SystemExit(f'error: {package} has no tool {name!r}{question}. `mmparts run {package}` lists them')
