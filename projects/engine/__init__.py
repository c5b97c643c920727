"""What runs around a model: checkpoints, hooks, mixed precision, the command line.

Importing this package makes mmengine load checkpoints safely, see :mod:`.checkpoint`.
"""

from ..weights.errors import CorruptCheckpoint, UnsafeCheckpoint, WeightsDoNotFit
from ..weights.torch_file import trusted
from .amp import Bfloat16OptimWrapper
from .checkpoint import find_resumable, install, load_checkpoint_file
from .checkpoint_hook import SafeCheckpointHook
from .convert import OfficialWeights
from .fine_tune import FineTuneHook
from .fit import Fit, load_and_account
from .interrupt import InterruptHook
from .layer_decay import LayerDecayConstructor
from .nan_guard import NanGuardHook, NonFiniteLoss
from .picture_hook import PictureHook, draw_test_images
from .seed import EpochSeedHook

install()

__all__ = [
    'Bfloat16OptimWrapper',
    'CorruptCheckpoint',
    'EpochSeedHook',
    'FineTuneHook',
    'Fit',
    'InterruptHook',
    'LayerDecayConstructor',
    'NanGuardHook',
    'NonFiniteLoss',
    'OfficialWeights',
    'PictureHook',
    'SafeCheckpointHook',
    'UnsafeCheckpoint',
    'WeightsDoNotFit',
    'draw_test_images',
    'find_resumable',
    'install',
    'load_and_account',
    'load_checkpoint_file',
    'trusted',
]
