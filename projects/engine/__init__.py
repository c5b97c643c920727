"""What runs around a model: checkpoints, hooks, mixed precision, the command line.

Importing this package makes mmengine load checkpoints safely, see :mod:`.checkpoint`.
"""

from ..weights.errors import CorruptCheckpoint, UnsafeCheckpoint, WeightsDoNotFit
from ..weights.torch_file import trusted
from .amp import Bfloat16OptimWrapper
from .buffers import BufferHook
from .checkpoint import install, load_checkpoint_file
from .checkpoint_hook import SafeCheckpointHook
from .consensus import ConsensusHook
from .console import install as install_console
from .convert import OfficialWeights
from .find import find_resumable
from .find import install as install_find
from .fine_tune import FineTuneHook
from .fit import Fit, load_and_account
from .freeze import Freeze
from .interrupt import Interrupted, InterruptHook
from .lamb import Lamb
from .layer_decay import LayerDecayConstructor
from .live_bar import LiveBarHook
from .loops import EpochLoop, IterLoop
from .nan_guard import NanGuardHook, NonFiniteLoss
from .outside import install as install_outside
from .paramwise import ParamwiseConstructor
from .picture_hook import PictureHook, draw_test_images
from .progress import ProgressHook
from .report_hook import ReportHook
from .seed import StepSeedHook
from .sharded import ShardedRunner
from .transfer import TransferHook
from .val_loop import ValidationLoop
from .views import ViewsHook
from .watchdog import WatchdogHook

install()
install_find()
install_console()
install_outside()

__all__ = [
    'Bfloat16OptimWrapper',
    'BufferHook',
    'ConsensusHook',
    'CorruptCheckpoint',
    'EpochLoop',
    'FineTuneHook',
    'Fit',
    'Freeze',
    'InterruptHook',
    'Lamb',
    'LayerDecayConstructor',
    'LiveBarHook',
    'TransferHook',
    'Interrupted',
    'IterLoop',
    'NanGuardHook',
    'NonFiniteLoss',
    'OfficialWeights',
    'ParamwiseConstructor',
    'PictureHook',
    'ProgressHook',
    'ReportHook',
    'SafeCheckpointHook',
    'ShardedRunner',
    'StepSeedHook',
    'UnsafeCheckpoint',
    'ValidationLoop',
    'ViewsHook',
    'WatchdogHook',
    'WeightsDoNotFit',
    'draw_test_images',
    'find_resumable',
    'install',
    'load_and_account',
    'load_checkpoint_file',
    'trusted',
]
