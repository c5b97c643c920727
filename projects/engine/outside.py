"""What a config needs from outside, held against this machine before data is loaded: files of weights above all."""

import os.path as osp
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import mmengine
from mmengine.config import Config
from mmengine.fileio import load
from mmengine.runner import CheckpointLoader
from torch.hub import get_dir

from ..weights.fetch import FetchFailed, fetch, find, folders
from ..weights.index import Published, published
from ..weights.torch_file import trusted
from .checkpoints.checkpoint import load_checkpoint_file

TORCHVISION = ('torchvision://', 'modelzoo://')
# Of mmengine: torchvision's names -> addresses, so that torchvision itself is not needed.
ADDRESSES = osp.join(osp.dirname(mmengine.__file__), 'hub', 'torchvision_0.12.json')


class Lacking(FileNotFoundError):
    """Something that a config needs is not there; the message says where to put it, or which option goes without."""


@dataclass(frozen=True)
class Need:
    """Weights that a config starts from.

    where: the dotted name of the entry; source: what stands there; published: what the index knows of it.
    """

    where: str
    source: str
    published: Published | None

    def without(self) -> str:
        """The option that leaves them out."""
        return f'--cfg-options {self.where.removesuffix(".checkpoint")}=None'


def needs(cfg: Config) -> list[Need]:
    """Weights that the model of a config, or its run, starts from."""
    found = [Need(where, source, entry_of(source)) for where, source in sources(cfg.get('model') or {}, 'model')]
    if cfg.get('load_from') and not cfg.get('resume'):
        found.append(Need('load_from', cfg.load_from, entry_of(cfg.load_from)))
    return found


def sources(node, where: str) -> Iterator[tuple[str, str]]:
    """(dotted name, source) of all weights within an entry."""
    if isinstance(node, dict):
        for key, value in node.items():
            if key == 'checkpoint' and isinstance(value, str):
                yield f'{where}.{key}', value
            else:
                yield from sources(value, f'{where}.{key}')
    elif isinstance(node, (list, tuple)):
        for number, value in enumerate(node):
            yield from sources(value, f'{where}.{number}')


def entry_of(source: str) -> Published | None:
    """What the index knows of a source; of torchvision's names, what they stand for."""
    for prefix in TORCHVISION:
        if source.startswith(prefix):
            return torchvision_entry(source.removeprefix(prefix))
    return published().get(osp.basename(source.partition('#')[0]))


def torchvision_entry(name: str) -> Published:
    """A file of torchvision's, by the name of its model.

    Raises:
        Lacking: there is none of that name.
    """
    addresses = load(ADDRESSES)
    if name not in addresses:
        raise Lacking(f'torchvision has no weights called {name!r}; there are {", ".join(sorted(addresses)[:12])} ...')
    url = addresses[name]
    file = osp.basename(url)
    digits = osp.splitext(file)[0].rpartition('-')[2]
    return published().get(file) or Published(file, 'BSD-3-Clause', (url,), digits)


def require(cfg: Config, fetches: bool = True) -> None:
    """Find or fetch all weights that a config starts from; one that lies in the folder of weights is taken from there.

    Args:
        fetches: whether the network may be asked; else what would be fetched is said to be lacking.

    Raises:
        Lacking: one line for each that is not to be had.
    """
    lines = [line for line in (lack(cfg, need, fetches) for need in needs(cfg)) if line]
    if lines:
        raise Lacking('\n'.join(lines))


def lack(cfg: Config, need: Need, fetches: bool = True) -> str | None:
    """Why weights are not to be had, if so."""
    remote = need.source.startswith(TORCHVISION)
    if '://' in need.source and not remote:
        return None  # fetched by the loader of its scheme
    if not remote and osp.isfile(need.source):
        return None
    if need.published is None:
        return f'{need.where}: there is no file {need.source}; put it there, or go without it: {need.without()}'
    there = local(need.published)
    if there is not None:
        if not remote:
            cfg.merge_from_dict({need.where: str(there)})
        return None
    if not fetches:
        return f'{need.where}: {need.published.name} is not there: mmparts weights fetch {need.published.name}'
    try:
        fetch(need.published, None if remote else Path(osp.dirname(need.source) or '.'))
    except FetchFailed as error:
        return f'{need.where}: {error}. Without these weights: {need.without()}'
    return None


def local(entry: Published) -> Path | None:
    """A published file that is there: in the folders of weights, or where torch keeps what it fetched."""
    kept = Path(get_dir()) / 'checkpoints' / entry.name
    return find(entry.name) or (kept if kept.is_file() else None)


def load_from_torchvision(filename: str, map_location=None):
    """mmengine's loader for ``torchvision://resnet50``, without torchvision, and safe."""
    entry = entry_of(filename)
    path = local(entry) or fetch(entry, folders()[0])
    return load_checkpoint_file(str(path), map_location, trusted())


def install() -> None:
    """Let mmengine load torchvision's weights by this."""
    CheckpointLoader.register_scheme(prefixes=TORCHVISION, loader=load_from_torchvision, force=True)
