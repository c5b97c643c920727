"""What the command line tools share: configs, overrides, processes, errors in one line; their options: options.py."""

import argparse
import atexit
import ctypes
import datetime
import difflib
import glob
import logging
import os
import os.path as osp
import signal
import sys
from collections.abc import Callable

import numpy as np
import torch
from mmengine.config import Config
from mmengine.device import get_device
from mmengine.dist import barrier, get_world_size

from ..shipped import config as shipped
from ..weights.errors import CorruptCheckpoint, UnsafeCheckpoint, WeightsDoNotFit
from ..weights.readers import whole_wanted
from ..weights.torch_file import TRUST_VARIABLE
from .checkpoints import shards
from .errors import config_place, explain, foreseen
from .faults import slurm
from .faults.consensus import Disagreement, control, decided
from .faults.interrupt import Interrupted
from .faults.nan_guard import NonFiniteLoss
from .faults.signals import stop
from .initialisation.fit import MINIMUM_VARIABLE
from .resuming.lock import WorkDirInUse, WorkDirLock
from .resuming.plan import PlanChanged
from .resuming.resume import choose_checkpoint

# Hooks that mmengine adds by itself: None in a config takes them away. For all others it does not accept None.
MMENGINE_HOOKS = ('runtime_info', 'timer', 'sampler_seed', 'logger', 'param_scheduler', 'checkpoint')
# Work dirs that this process has claimed.
locks: list[WorkDirLock] = []
DEBUG_VARIABLE = 'MMPARTS_DEBUG'
# What a user can act on: their words are all there is to say.
USER_ERRORS = (
    FileNotFoundError,
    CorruptCheckpoint,
    UnsafeCheckpoint,
    WeightsDoNotFit,
    NonFiniteLoss,
    WorkDirInUse,
    Disagreement,
    PlanChanged,
)


def load_config(path: str, options: dict | None = None) -> Config:
    """Read a config and apply command line overrides; ``data_root`` moves all data sets together.

    Raises:
        FileNotFoundError: No such config; the message lists files with similar names.
        SystemExit: ``data_root`` would move no data set.
    """
    from ..datasets.root import merge_options  # takes seconds, which `--help` does not need

    try:
        path = find_config(path)
        refuse_yaml(path)
        cfg = read_config(path)
        return merge_options(cfg, options)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from error


def read_config(path: str) -> Config:
    """``Config.fromfile``, whose errors name the file and the line."""
    try:
        return Config.fromfile(path)
    except Exception as error:
        if '--debug' in sys.argv or os.environ.get(DEBUG_VARIABLE):
            raise
        raise ValueError(f'{path} cannot be read: {type(error).__name__}: {error}{config_place(error)}') from error


def refuse_yaml(path: str) -> None:
    """Raise ValueError for a config that is neither Python nor JSON."""
    if not path.endswith(('.py', '.json')):
        raise ValueError(
            f'{path}: a config is a .py file (or .json); YAML is refused, for its tags can run code unseen. '
            'What it says is written as Python: key = value, and dict(...) for a mapping'
        )


def find_config(path: str) -> str:
    """The file behind ``path``, which may also be ``mmparts::name``."""
    package, separator, name = path.partition('::')
    if separator and package == 'mmparts':
        return shipped(name)
    if osp.isfile(path):
        return path
    folder = osp.dirname(path)
    while folder and not osp.isdir(folder):
        folder = osp.dirname(folder)
    known = glob.glob(osp.join(folder or '.', '**', '*.py'), recursive=True)[:5000]
    by_name = {osp.basename(file): file for file in known}
    close = difflib.get_close_matches(osp.basename(path), by_name, n=3, cutoff=0.5)
    advice = (
        f'Did you mean {" or ".join(by_name[name] for name in close)}?'
        if close
        else 'Configs that are shipped are named `mmparts::folder/name.py`.'
    )
    raise FileNotFoundError(f'no config at {path}. {advice}')


def prepare(args: argparse.Namespace, check: Callable[[Config, dict | None], None] | None = None) -> Config:
    """The config that ``args`` of :func:`parser` describe; also sets what has to be set before a runner exists.

    Args:
        check: is called with the config and the options of the command line, before anything starts.
    """
    os.environ.setdefault('LOCAL_RANK', str(getattr(args, 'local_rank', 0)))
    if args.trust_checkpoint:
        os.environ[TRUST_VARIABLE] = '1'
    cfg = load_config(args.config, args.cfg_options)
    if check is not None:
        check(cfg, args.cfg_options)
    cfg.launcher = getattr(args, 'launcher', 'none')
    if cfg.launcher == 'slurm':
        slurm.to_environment()
        cfg.launcher = 'pytorch'
    name = osp.splitext(osp.basename(args.config.partition('::')[2] or args.config))[0]
    cfg.work_dir = getattr(args, 'work_dir', None) or cfg.get('work_dir') or osp.join('work_dirs', name)
    hooks = cfg.get('default_hooks', {})
    for hook in [key for key, value in hooks.items() if value is None and key not in MMENGINE_HOOKS]:
        hooks.pop(hook)
    join_processes(cfg)
    return cfg


def join_processes(cfg: Config) -> None:
    """Bring the processes of a launcher together, on GPUs or, where there are none, on CPUs, of which mmengine's
    launcher and its DDP wrapper know nothing."""
    if cfg.launcher != 'pytorch':
        return
    end_with_launcher()
    processes = int(os.environ.get('LOCAL_WORLD_SIZE', 1))
    require_gpus(processes)
    device = get_device()
    if device == 'mps' and processes == 1:
        cfg.launcher = 'none'
    if device not in ('cpu', 'cuda'):
        return
    if device == 'cuda':
        torch.cuda.set_device(int(os.environ['LOCAL_RANK']))
    seconds = cfg.get('env_cfg', {}).get('dist_cfg', {}).get('timeout', 1800)
    torch.distributed.init_process_group(
        'nccl' if device == 'cuda' else 'gloo', timeout=datetime.timedelta(seconds=seconds)
    )
    control.open()
    if device == 'cpu':
        wrapper = dict(
            type='MMDistributedDataParallel',
            device_ids=None,
            broadcast_buffers=False,
            find_unused_parameters=cfg.get('find_unused_parameters', False),
        )
        cfg.setdefault('model_wrapper_cfg', wrapper)


def end_with_launcher() -> None:
    """Let this process be asked to stop when its launcher is killed: a signal to a launcher alone leaves no orphans."""
    launcher = os.environ.get('MMPARTS_LAUNCHER')
    if sys.platform == 'linux' and (launcher or 'TORCHELASTIC_RUN_ID' in os.environ):
        ctypes.CDLL(None).prctl(1, signal.SIGTERM)  # PR_SET_PDEATHSIG
    if launcher and os.getppid() != int(launcher):
        raise SystemExit('error: the launcher has ended')


def default_processes() -> int:
    """Processes that train well on this machine: one for each GPU, two on CPUs; one elsewhere, such as a Mac's GPU."""
    return {'cuda': torch.cuda.device_count(), 'cpu': 2}.get(get_device(), 1)


def require_gpus(processes: int) -> None:
    """Exit with a message where there are fewer GPUs than processes: torch would only say `invalid device ordinal`."""
    gpus = {'cuda': torch.cuda.device_count(), 'mps': 1}.get(get_device(), processes)
    if processes > gpus:
        raise SystemExit(
            f'error: {processes} processes on a machine with {gpus} GPU{"s" if gpus > 1 else ""}, and '
            f'each needs one of its own; start {gpus} at most (CUDA_VISIBLE_DEVICES may hide others)'
        )


def refuse_outputs(outs: dict[str, str | None], inputs: dict[str, str | None], cfg: Config | None = None) -> None:
    """Exit with a message where an output would be an input, or lie in the data.

    Args:
        outs: option -> path that will be written; None: nothing is.
        inputs: what a message calls it -> file or folder that is read.
        cfg: a config, whose data sets are inputs, too.
    """
    from ..datasets.files import refuse_inputs
    from ..datasets.members import data_folders

    inputs = {**inputs, **(data_folders(cfg) if cfg is not None else {})}
    for option, out in outs.items():
        if out is None:
            continue
        try:
            refuse_inputs(out, {what: path for what, path in inputs.items() if path and '://' not in path})
        except FileExistsError as error:
            raise SystemExit(f'error: {option} {error}') from None


def set_amp(cfg: Config, dtype: str | None) -> None:
    """Switch the config to mixed precision.

    Args:
        dtype: 'float16' or 'bfloat16'; None: float16 on GPUs, bfloat16 on CPUs.
    """
    on_gpu = torch.cuda.is_available()
    dtype = dtype or ('float16' if on_gpu else 'bfloat16')
    if dtype == 'float16' and not on_gpu:
        raise SystemExit('--amp-dtype float16 needs a GPU; use --amp-dtype bfloat16')
    wrapper = cfg.optim_wrapper
    wrapper.pop('loss_scale', None)
    wrapper.pop('dtype', None)
    if dtype == 'bfloat16':
        wrapper.type = 'mmparts.Bfloat16OptimWrapper'
    else:
        wrapper.update(type='AmpOptimWrapper', loss_scale='dynamic', dtype='float16')


def set_auto_scale_lr(cfg: Config) -> None:
    """Scale the learning rate by the real over the base batch size."""
    if 'base_batch_size' not in cfg.get('auto_scale_lr', {}):
        raise SystemExit(
            '--auto-scale-lr needs `auto_scale_lr = dict(base_batch_size=...)` in the config: the batch '
            'size for which its learning rate was chosen'
        )
    cfg.auto_scale_lr.enable = True


def set_resume(cfg: Config, resume: str | None) -> None:
    """Choose where to start, the same for all processes, and claim the work dir for this run.

    Args:
        resume: A checkpoint; 'auto' for the newest readable one of the work dir, or a fresh start (with the config's
            ``load_from``) where there is none; None for a fresh start, or what the config says.

    Raises:
        WorkDirInUse: Another run trains there, or, for a fresh start, has left its checkpoints there.
    """
    lock = WorkDirLock(cfg.work_dir)
    decided(lock.take)
    locks.append(lock)
    if resume is None and cfg.get('resume'):
        resume = cfg.get('load_from') or 'auto'
    if resume not in (None, 'auto'):
        decided(lambda: resume if shards.is_sharded(resume) else require_file(resume, 'checkpoint'))
    path = choose_checkpoint(cfg.work_dir, resume)
    if path is not None and osp.isdir(path) and cfg.get('runner_type') != 'mmparts.ShardedRunner':
        raise IsADirectoryError(f'{whole_wanted(path)}; or go on with --fsdp')
    if path is not None:
        cfg.resume, cfg.load_from = True, path
    elif resume == 'auto':
        cfg.resume = False
        print(f'--resume auto: no checkpoint in {cfg.work_dir}, starting afresh')


def require_whole_model() -> None:
    """Let loading fail unless the checkpoint fills the model as a whole: an untrained head must not be evaluated."""
    os.environ.setdefault(MINIMUM_VARIABLE, '1')


def require_file(path: str, what: str) -> str:
    """``path`` if it is a file or a URL; raises FileNotFoundError with the similar names of the folder otherwise."""
    if osp.isfile(path) or '://' in path:
        return path
    if osp.isdir(path):
        raise IsADirectoryError(whole_wanted(path) if what == 'checkpoint' else f'{path} is a folder, not a {what}')
    folder = osp.dirname(path) or '.'
    if not osp.isdir(folder):
        raise FileNotFoundError(f'no {what} at {path}: the folder {folder} does not exist')
    names = difflib.get_close_matches(osp.basename(path), os.listdir(folder), n=3, cutoff=0.5)
    raise FileNotFoundError(f'no {what} at {path}' + (f'; the folder has {", ".join(names)}' if names else ''))


def flush_subnormals() -> None:
    """Let CPUs take numbers below 1e-38 for zero, with which some are 20 times as slow: the weights of tokens that
    attention masks by -100, or averages of gradients that have stopped coming. Threads started later do as this one."""
    for dtype in ('float32', 'float64'):
        np.finfo(dtype)  # numpy looks for the smallest number once, and would warn that it is zero
    torch.set_flush_denormal(True)


def run(main: Callable[[], int | None], *errors: type[Exception]) -> None:
    """Call ``main`` and exit; an error is printed as one message, with exit code 1; ``--debug`` prints its traceback.

    Args:
        errors: Errors of this tool whose words are all there is to say, beside those of all.
    """
    flush_subnormals()
    code = None
    try:
        sys.exit(main())
    except Interrupted as stopped:
        code = stopped.code
    except Exception as error:
        if '--debug' in sys.argv or os.environ.get(DEBUG_VARIABLE):
            raise
        if isinstance(error, (*USER_ERRORS, *errors)):
            sys.exit(f'error: {error}')
        hint = '' if foreseen(error) else f'. {DEBUG_VARIABLE}=1 or --debug shows the traceback'
        sys.exit(f'error: {explain(error)}{hint}')
    finally:
        while locks:
            locks.pop().release()
        stop.forget()
    leave_together(code)


def leave_together(code: int) -> None:
    """Exit at once where there are other processes: what Python does at its end takes unequally long, and a launcher
    ends those that are not ready when the first one leaves."""
    if get_world_size() == 1:
        sys.exit(code)
    atexit._run_exitfuncs()
    logging.shutdown()
    sys.stdout.flush()
    sys.stderr.flush()
    barrier()
    os._exit(code)
