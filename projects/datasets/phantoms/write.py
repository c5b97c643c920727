"""Writes phantoms: volumes in nnU-Net's folders, cubes as npz. No network, the same voxels on every run.

    nested/, vessels/    dataset.json, imagesTr/NAME_0000.nii.gz ..., labelsTr/NAME.nii.gz
    cubes/               NAME.npz: cube, label, wavelengths
    phantoms.json        what they were made with

A case depends on (VERSION, seed, kind, index) alone. By the data sets' rule every fifth case validates.
"""

import json
import os
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np
from mmengine.logging import print_log

from ..files import dump, whole_folder
from ..volumes.files import write_volume
from . import nested, spectral, vessels

VERSION = 1  # raise it whenever a voxel changes
MANIFEST = 'phantoms.json'
KINDS = ('nested', 'vessels', 'cubes')
VOLUMES = dict(nested=(nested.nested, nested.LABELS), vessels=(vessels.vessels, vessels.LABELS))


@dataclass(frozen=True)
class Manifest:
    """What decides every voxel."""

    kinds: tuple[str, ...]
    cases: int
    size: int
    seed: int
    version: int = VERSION
    name: str = 'phantoms'


def make_phantoms(
    out: str | os.PathLike,
    kinds: Sequence[str] = KINDS,
    cases: int = 20,
    size: int = 40,
    seed: int = 0,
    overwrite: bool = False,
) -> bool:
    """Write the phantoms into the folder ``out``; do nothing when the same ones are there.

    Args:
        kinds: of `KINDS`.
        cases: of each kind.
        size: longest side in voxels; each side is 0.75 to 1 times that.
        overwrite: replace phantoms made with other parameters; other folders are never replaced.

    Returns:
        True if they were written, False if they were there already.

    Raises:
        FileExistsError: ``out`` holds something else.
    """
    unknown = [kind for kind in kinds if kind not in KINDS]
    if unknown or not kinds:
        raise ValueError(f'kind {(unknown or [None])[0]!r}; there are {", ".join(KINDS)}')
    for name, value, least in (('cases', cases, 1), ('size', size, 16)):
        if value < least:
            raise ValueError(f'{name}={value}: must be at least {least}')
    out, manifest = Path(out).absolute(), Manifest(tuple(kinds), cases, size, seed)
    if is_there(out, manifest, overwrite):
        print_log(f'{out}: these phantoms are there already', 'current')
        return False
    with whole_folder(out) as folder:
        for kind in kinds:
            write_cubes(folder / kind, manifest) if kind == 'cubes' else write_volumes(folder / kind, kind, manifest)
        dump(asdict(manifest), folder / MANIFEST)
    print_log(f'{out}: wrote {cases} cases each of {", ".join(kinds)}', 'current')
    return True


def is_there(out: Path, manifest: Manifest, overwrite: bool) -> bool:
    """Whether ``out`` holds exactly these phantoms; raises where it holds anything that may not be replaced."""
    if not out.exists() or (out.is_dir() and not any(out.iterdir())):
        return False
    if not (out / MANIFEST).is_file():
        raise FileExistsError(f'{out} exists and was not written by make_phantoms (no {MANIFEST} in it)')
    if overwrite:
        return False
    found, wanted = json.loads((out / MANIFEST).read_text()), json.loads(json.dumps(asdict(manifest)))
    if found != wanted:
        differing = [f'{key}={found.get(key)}, not {value}' for key, value in wanted.items() if found.get(key) != value]
        raise FileExistsError(
            f'{out} holds other phantoms: {"; ".join(differing)}. Choose another folder, or replace them (--overwrite)'
        )
    return True


def generator(manifest: Manifest, kind: str, index: int) -> np.random.Generator:
    """Random numbers of a case."""
    return np.random.default_rng([VERSION, manifest.seed, KINDS.index(kind), index])


def write_volumes(folder: Path, kind: str, manifest: Manifest):
    """NIfTI in nnU-Net's folders."""
    make, labels = VOLUMES[kind]
    for index in range(manifest.cases):
        phantom, name = make(generator(manifest, kind, index), manifest.size), f'{kind}_{index:03d}'
        for i, channel in enumerate(phantom.channels.values()):
            write_volume(folder / 'imagesTr' / f'{name}_{i:04d}.nii.gz', channel, phantom.affine)
        write_volume(folder / 'labelsTr' / f'{name}.nii.gz', phantom.label, phantom.affine)
    names = {str(i): name for i, name in enumerate(phantom.channels)}
    content = dict(channel_names=names, labels=labels, numTraining=manifest.cases, file_ending='.nii.gz')
    (folder / 'dataset.json').write_text(json.dumps(content, indent=1) + '\n', encoding='utf-8')


def write_cubes(folder: Path, manifest: Manifest):
    """Scenes as npz."""
    folder.mkdir(parents=True)
    for index in range(manifest.cases):
        scene = spectral.scene(generator(manifest, 'cubes', index), manifest.size)
        np.savez_compressed(folder / f'cube_{index:03d}.npz', **scene)
