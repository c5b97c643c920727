"""A config held against the code before anything is built: what train.py and test.py do first."""

import difflib
import os
import sys
from collections.abc import Iterable

from mmengine.config import Config

from .config_check import READ, ConfigCheck, Finding, dotted
from .config_sources import read, set_by

MOST = 10  # findings in one message


class ConfigErrors(ValueError):
    """A config with entries that are ignored, unknown or without meaning."""


def refuse(cfg: Config, options: Iterable[str] = ()) -> None:
    """Raise for a config, with command line options applied, that the code would not take as it stands.

    Args:
        options: dotted names that ``--cfg-options`` set.

    Raises:
        ConfigErrors: each finding with its place, the nearest name and the file that set it.
    """
    options = list(options)
    findings = list(dict.fromkeys([*unknown_options(cfg, options), *ConfigCheck(cfg).findings]))
    if not findings:
        return
    lines = [f'  {one.where}: {one.problem}{source(cfg, one.where, options)}' for one in findings[:MOST]]
    more = f'\n  and {len(findings) - MOST} more; tools/check_configs.py lists all' if len(findings) > MOST else ''
    raise ConfigErrors(f'{cfg.filename} is not right in {len(findings)} places:\n' + '\n'.join(lines) + more)


def unknown_options(cfg: Config, options: list[str]) -> list[Finding]:
    """Options whose first word nothing reads: mmengine would take them for new variables."""
    before = set(read(cfg.filename)) if cfg.filename else set()
    found = []
    for option in options:
        root = option.partition('.')[0]
        if root not in before | READ:
            close = difflib.get_close_matches(root, before | READ, n=1)
            question = f'; did you mean `{close[0]}`?' if close else ''
            found.append(Finding(option, f'nothing reads `{root}`{question}'))
    return found


def source(cfg: Config, where: str, options: list[str]) -> str:
    """' (set by ...)' of an entry; empty where the config itself sets it, or where it is not known."""
    keys = tuple(int(key) if key.isdigit() else key for key in where.replace('[', '.').replace(']', '').split('.'))
    plain = dotted(keys).replace('[', '.').replace(']', '')
    if any(plain == option or plain.startswith(f'{option}.') for option in options):
        return ' (set by --cfg-options)'
    try:
        file = set_by(cfg.filename, keys) if cfg.filename else None
    except Exception:  # only the message would be the richer for it
        file = None
    return f' (set by {os.path.relpath(file)})' if file and file != cfg.filename else ''


def check_or_exit(cfg: Config, options: dict | None) -> None:
    """:func:`refuse` for a tool: of several processes, one speaks."""
    try:
        refuse(cfg, options or ())
    except ConfigErrors as error:
        if int(os.environ.get('RANK', 0)):
            sys.exit(1)
        sys.exit(f'error: {error}')
