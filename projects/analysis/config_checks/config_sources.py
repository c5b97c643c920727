"""The files that a config is made of: which of them set an entry, and which variables nothing reads."""

import ast
import os
from collections.abc import Iterator
from functools import lru_cache
from pathlib import Path

from mmengine.config import Config


def chain(file: str) -> Iterator[str]:
    """A config and the bases below it, nearest first."""
    yield file
    for base in Config._get_base_files(file):
        yield from chain(Config._get_cfg_path(base, file)[0])


def set_by(file: str, keys: tuple) -> str | None:
    """The file of the chain that sets the entry at ``keys``, the nearest where several do; None where none does.

    What a base has in the same words is the base's.
    """
    here = _value(file, keys)
    if here is _NOTHING:
        return None
    for base in Config._get_base_files(file):
        path, _ = Config._get_cfg_path(base, file)
        if _value(path, keys) == here:
            return set_by(path, keys)
    return file


_NOTHING = object()


def read(file: str) -> Config:
    """A config or a base, read once until the file changes."""
    return _read(file, os.stat(file).st_mtime_ns)


@lru_cache(maxsize=64)
def _read(file: str, changed: int) -> Config:
    return Config.fromfile(file, import_custom_modules=False)


def _value(file: str, keys: tuple):
    found = read(file)
    for key in keys:
        try:
            found = found[key]
        except (KeyError, IndexError, TypeError, AttributeError):
            return _NOTHING
    return found


def unused(file: str, read: set[str]) -> Iterator[tuple[str, str, str | None]]:
    """(variable, file, base that it was meant to override, if any) of what nothing reads.

    Looked at are the config itself, and variables of its bases that override those of theirs: a base may offer what a
    config does not take up. A resolved config, as a run leaves it, still has the variables of its bases.

    Args:
        read: names that a runner or a tool reads.
    """
    chains = {path: [*chain(path)][1:] for path in dict.fromkeys(chain(file)) if path.endswith('.py')}
    texts = {path: Path(path).read_text(encoding='utf-8') for path in chains}
    trees = {path: ast.parse(text) for path, text in texts.items()}
    if is_dump(trees[file]):
        return
    own = {path: assigned(tree) for path, tree in trees.items()}
    for path, below in chains.items():
        above = [each for each in chains if path in chains[each]]
        for name in sorted(own[path] - read):
            overridden = next((each for each in below if name in own.get(each, ())), None)
            if path != file and overridden is None:
                continue
            if not loads(trees[path], name) and not any(f'_base_.{name}' in texts[each] for each in (path, *above)):
                yield name, path, overridden


def is_dump(tree: ast.Module) -> bool:
    """Whether a file has no bases and nothing but literals, as `Config.dump` writes it."""
    loaded = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Load)}
    targets = {ast.unparse(each) for node in tree.body if isinstance(node, ast.Assign) for each in node.targets}
    return '_base_' not in targets and loaded <= {'dict', 'set'} and all(isinstance(e, ast.Assign) for e in tree.body)


def assigned(tree: ast.Module) -> set[str]:
    """Variables that a file sets at its top level; those with an underscore in front are its own."""
    found = set()
    for node in tree.body:
        for target in node.targets if isinstance(node, ast.Assign) else ():
            found |= {target.id} if isinstance(target, ast.Name) else set()
    return {name for name in found if not name.startswith('_')}


def loads(tree: ast.Module, name: str) -> bool:
    return any(
        isinstance(node, ast.Name) and node.id == name and isinstance(node.ctx, ast.Load) for node in ast.walk(tree)
    )
