"""File names from annotation files: they may not point outside the folder of the data."""

import posixpath
import re

SCHEME = re.compile(r'[a-zA-Z][a-zA-Z0-9+.-]*:')  # of a URL, or a drive of Windows


def check_inside(name: str, source: str, what: str = 'image') -> str:
    """``name`` if it stays in the folder that it is relative to.

    Args:
        name: as the annotation file has it.
        source: that file, for the message.

    Raises:
        ValueError: it is absolute, climbs out by ``..``, is a URL (which would be fetched), or no name at all.
    """
    if not isinstance(name, str) or not name or '\0' in name:
        raise ValueError(f'{source} names the {what} {name!r}; a file name in its folder is needed')
    plain = name.replace('\\', '/')
    if SCHEME.match(plain):
        raise ValueError(f'{source} names the {what} {name!r}, a URL or drive; only files in its folder are read')
    if posixpath.isabs(plain) or posixpath.normpath(plain).split('/')[0] in ('..', '.'):
        raise ValueError(f'{source} names the {what} {name!r}, which leaves the folder of the {what}s')
    return name
