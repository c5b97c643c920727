"""Published files that our configs start from or that convert to our models: where the authors keep them.

``index.json`` has for each its name, the addresses (the authors' first, then mirrors), the licence, and, where known,
the first digits of its SHA-256, its size and the config whose model it fills. In torch's naming the hash is part of the
name.
"""

import json
from dataclasses import dataclass
from functools import cache
from pathlib import Path


@dataclass(frozen=True)
class Published:
    """A file that others publish.

    sha256: first digits; '' where nobody says them. size: in bytes, where known. mib: the same as the authors round it.
    note: what to do where there is no address.
    """

    name: str
    licence: str
    urls: tuple[str, ...] = ()
    sha256: str = ''
    size: int | None = None
    config: str = ''
    note: str = ''
    mib: float | None = None


@cache
def published() -> dict[str, Published]:
    """Name -> entry."""
    rows = json.loads(Path(__file__).with_name('index.json').read_text(encoding='utf-8'))
    return {row['name']: Published(**{**row, 'urls': tuple(row['urls'])}) for row in rows}
