"""Where the entries of a config come from."""

import os.path as osp
from collections.abc import Iterator

from mmengine.config import Config

from ...engine.reporting.report import flat
from ...evaluation.names import nearest
from .config_sources import set_by


def part(cfg: Config, key: str):
    """An entry by its path; numbers count lists.

    Raises:
        ValueError: there is none; the message has the nearest name.
    """
    found = cfg
    for word in key.split('.'):
        try:
            found = found[int(word)] if isinstance(found, (list, tuple)) else found[word]
        except (KeyError, IndexError, ValueError, AttributeError, TypeError):
            known = (
                list(found)
                if isinstance(found, dict)
                else range(len(found))
                if isinstance(found, (list, tuple))
                else ()
            )
            raise ValueError(f'the config has no {key}: {word!r} is missing{nearest(word, map(str, known))}') from None
    return found


def lines_of(cfg: Config, key: str | None = None, options: set[str] = frozenset()) -> Iterator[str]:
    """``entry = value  # file`` of all entries, or of those below one.

    Args:
        options: entries that the command line sets.
    """
    inside = part(cfg, key) if key else cfg.to_dict()
    entries = flat(inside, key or '') if isinstance(inside, (dict, list, tuple)) else {key: inside}
    for name, value in entries.items():
        yield f'{name} = {value!r}  # {origin(cfg, name, options)}'


def origin(cfg: Config, name: str, options: set[str]) -> str:
    """Who sets an entry."""
    if any(name == option or name.startswith(f'{option}.') for option in options):
        return 'command line'
    keys = tuple(int(word) if word.isdigit() else word for word in name.split('.'))
    try:
        found = set_by(cfg.filename, keys)
    except (TypeError, OSError):
        return 'unknown'
    return osp.relpath(found) if found else 'command line'
