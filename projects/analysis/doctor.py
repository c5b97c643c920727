"""Whether this machine fits, and whether a config would run on it, in under a minute: versions, devices, then one batch
through loading, forward, backward and evaluation."""

import importlib.metadata
import os
import platform
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import torch
from mmengine.config import Config
from mmengine.device import get_device

GOOD, ODD, BAD = 'ok', 'note', 'BAD'
# Packages of one import name that overwrite each other.
RIVALS = (('mmcv', 'mmcv-lite'), ('mmengine', 'onedl-mmengine'), ('mmcv', 'onedl-mmcv'), ('mmcv-lite', 'onedl-mmcv'))
RIVALS += (('mmdet', 'onedl-mmdetection'), ('mmsegmentation', 'onedl-mmsegmentation'))
SECONDS = 20.0  # that a step may take on this machine before a smaller image stands in
MACS_A_SECOND = 20e9  # of a slow CPU


@dataclass
class Line:
    """A finding: state, what was looked at, what was found and what to do."""

    state: str
    what: str
    found: str


def machine() -> Iterator[Line]:
    """What is installed, and what it runs on."""
    yield Line(GOOD, 'python', f'{platform.python_version()} on {platform.system()} {platform.machine()}')
    yield from packages()
    yield torchvision()
    yield numba()
    yield from devices()
    yield start_up()
    yield from places()


def version(name: str) -> str | None:
    try:
        return importlib.metadata.version(name)
    except importlib.metadata.PackageNotFoundError:
        return None


def packages() -> Iterator[Line]:
    """Versions that fit each other, and packages that lie over one another."""
    found = {name: version(name) for pair in RIVALS for name in pair}
    shown = ', '.join(f'{name} {number}' for name, number in found.items() if number)
    yield Line(GOOD, 'torch', torch.__version__)
    yield Line(GOOD if shown else BAD, 'OpenMMLab', shown or 'nothing of it is installed: the extra [openmmlab]')
    for pair in RIVALS:
        if all(found[name] for name in pair):
            yield Line(
                BAD,
                'OpenMMLab',
                f'{" and ".join(pair)} are both installed and overwrite each other: uninstall both, install one again',
            )
    number = found['mmcv'] or found['mmcv-lite']
    if number and found['mmdet'] and not older(number, (2, 2)):
        yield Line(BAD, 'mmcv', f'{number}, but mmdet {found["mmdet"]} takes versions below 2.2: 2.1.0 is right')
    setuptools = version('setuptools')
    if found['mmengine'] == '0.10.7' and (setuptools is None or not older(setuptools, (81,))):
        yield Line(BAD, 'setuptools', f'{setuptools}, but mmengine 0.10.7 needs one below 81')


def older(number: str, limit: tuple[int, ...]) -> bool:
    """Whether a version is below a limit."""
    parts = [int(part) if part.isdigit() else 0 for part in number.split('+')[0].split('.')]
    return tuple(parts[: len(limit)]) < limit


def torchvision() -> Line:
    number = version('torchvision')
    if number is None:
        return Line(GOOD, 'torchvision', 'not installed, and not needed')
    try:
        import torchvision  # noqa: F401
    except ImportError as error:
        return Line(ODD, 'torchvision', f'{number} does not fit this torch and counts as absent: {error}'[:160])
    return Line(GOOD, 'torchvision', number)


def numba() -> Line:
    number = version('numba')
    if number is None:
        return Line(ODD, 'numba', 'not installed: with the extra [fast], operators on CPUs are several times as fast')
    folder = os.environ.get('NUMBA_CACHE_DIR') or os.path.dirname(os.path.dirname(__file__))
    if not os.access(folder, os.W_OK):
        return Line(ODD, 'numba', f'{number}; {folder} is not writable, so kernels compile anew: set NUMBA_CACHE_DIR')
    return Line(GOOD, 'numba', number)


def devices() -> Iterator[Line]:
    """GPUs, cores, and which operators run on them."""
    from ..ops.table import operators

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    names = ', '.join(torch.cuda.get_device_name(index) for index in range(count))
    yield Line(GOOD, 'GPU', names or f'none that torch can use ({get_device()}, {os.cpu_count()} cores)')
    if torch.version.cuda is None and shutil.which('nvidia-smi'):
        yield Line(BAD, 'GPU', f'there is a GPU, but torch {torch.__version__} is built without CUDA')
    device = torch.device(get_device())
    chosen = {name: op.chosen(device) for name, op in operators().items()}
    yield Line(GOOD, 'operators', ', '.join(f'{name} {variant}' for name, variant in chosen.items()))


def start_up() -> Line:
    import sys

    there = 'mmparts_startup' in sys.modules
    why = (
        'other processes of this environment read our configs'
        if there
        else ('mmparts_startup.pth is not in this environment, so other tools must `import mmparts`; install by pip')
    )
    return Line(GOOD if there else ODD, 'start-up', why)


def places() -> Iterator[Line]:
    """Slurm, shared memory, disk."""
    yield Line(GOOD, 'Slurm', shutil.which('srun') or 'none')
    if os.path.isdir('/dev/shm'):
        free = shutil.disk_usage('/dev/shm').free / 2**30
        yield Line(GOOD if free > 1 else ODD, '/dev/shm', f'{free:.1f} GiB free{"" if free > 1 else ": num_workers=0"}')
    free = shutil.disk_usage('.').free / 2**30
    yield Line(GOOD if free > 5 else ODD, 'disk', f'{free:.1f} GiB free here')


def trial(cfg: Config, options: dict | None = None) -> Iterator[Line]:
    """What a config needs, and one batch of it; a part that fails ends it."""
    from ..engine import outside
    from ..tasks import task_of
    from .complexity import build_on_meta, count_macs, count_parameters
    from .config_checks.preflight import refuse

    yield tried('config', lambda: refuse(cfg, options or ()) or 'every entry is known')
    yield tried('weights', lambda: outside.require(cfg, fetches=False) or f'{len(outside.needs(cfg))} files, all there')
    model = build_on_meta(cfg)
    size = tuple(task_of(cfg).size(cfg))
    macs = count_macs(model, size)['total']
    count = count_parameters(model)['total'].as_papers_count
    yield Line(
        GOOD, 'model', f'{count:,} parameters, {macs / 1e9:.1f} G multiply-adds for {" x ".join(map(str, size))}'
    )
    yield from data(cfg)
    yield from step(cfg, size, macs)


def shown(size: tuple[int, ...]) -> str:
    return ' x '.join(map(str, size))


def tried(what: str, do: Callable[[], str]) -> Line:
    """A line for something that may fail."""
    try:
        return Line(GOOD, what, do())
    except Exception as error:
        return Line(BAD, what, str(error) or type(error).__name__)


def data(cfg: Config) -> Iterator[Line]:
    """The data sets, and one sample of each."""
    from .browse import build_dataset

    for split in ('train', 'val'):
        if not cfg.get(f'{split}_dataloader'):
            continue

        def load(split: str = split) -> str:
            dataset = build_dataset(cfg, split)
            start = time.perf_counter()
            sample = dataset[0]
            seconds = time.perf_counter() - start
            return f'{len(dataset)} images; the first is {tuple(sample["inputs"].shape)} in {seconds:.2f} s'

        yield tried(f'{split} data', load)


def step(cfg: Config, size: tuple[int, ...], macs: int) -> Iterator[Line]:
    """A training step and an evaluation on noise, with their time and memory; on a slow machine of a smaller image."""
    from .races.benchmark import measure_inference, measure_training

    device = torch.device(get_device())
    batch = (cfg.get('train_dataloader') or {}).get('batch_size', 1)
    shrink = 1.0
    if device.type == 'cpu':
        shrink = min(1.0, SECONDS * MACS_A_SECOND / (3 * macs))
    used = tuple(max(64, int(side * shrink**0.5) // 32 * 32) for side in size) if shrink < 1 else size
    factor = batch * torch.tensor(size).prod().item() / torch.tensor(used).prod().item()
    limits = dict(rounds=1, budget=5)

    def train() -> str:
        found = measure_training(cfg, 1, used, device, **limits)
        seconds = found['seconds_median'] * factor
        guess = '' if used == size and batch == 1 else f', from one image of {shown(used)}'
        memory = found['peak_memory_bytes'] / 2**30
        return f'about {seconds:.2g} s for {batch} images{guess}; {memory:.1f} GiB for one'

    def evaluate() -> str:
        found = measure_inference(cfg, 1, used, device, **limits)
        return f'about {found["seconds_median"] * factor / batch:.2g} s for an image'

    yield tried('training step', train)
    yield tried('evaluation', evaluate)
