"""What runs around a model: checkpoints, hooks, mixed precision, the command line.

Importing this package makes mmengine load checkpoints safely, see :mod:`.checkpoints.checkpoint`.
"""

from ..weights.errors import CorruptCheckpoint, UnsafeCheckpoint, WeightsDoNotFit
from ..weights.torch_file import trusted
from .checkpoints.checkpoint import install, load_checkpoint_file
from .checkpoints.checkpoint_hook import SafeCheckpointHook
from .checkpoints.find import find_resumable
from .checkpoints.find import install as install_find
from .console import install as install_console
from .faults.consensus import ConsensusHook
from .faults.interrupt import Interrupted, InterruptHook
from .faults.nan_guard import NanGuardHook, NonFiniteLoss
from .faults.watchdog import WatchdogHook
from .initialisation.convert import OfficialWeights
from .initialisation.fine_tune import FineTuneHook
from .initialisation.fit import Fit, load_and_account
from .initialisation.freeze import Freeze
from .initialisation.transfer import TransferHook
from .loops import EpochLoop, IterLoop
from .optim.amp import Bfloat16OptimWrapper
from .optim.lamb import Lamb
from .optim.layer_decay import LayerDecayConstructor
from .optim.memory_format import ChannelsLastHook
from .optim.paramwise import ParamwiseConstructor
from .optim.sharded import ShardedRunner
from .outside import install as install_outside
from .reporting.live_bar import LiveBarHook
from .reporting.picture_hook import PictureHook, draw_test_images
from .reporting.report_hook import ReportHook
from .resuming.buffers import BufferHook
from .resuming.progress import ProgressHook
from .resuming.seed import StepSeedHook
from .val_loop import ValidationLoop
from .views import ViewsHook

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
    'ChannelsLastHook',
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
