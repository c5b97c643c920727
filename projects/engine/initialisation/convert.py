"""Official files as a part's initialisation, and converted files written. The account is in `weights/convert.py`."""

import hashlib
import io
import os.path as osp
from collections.abc import Sequence

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from mmengine.model.weight_init import update_init_info
from torch import nn

from ...registry import WEIGHT_INITIALIZERS
from ...version import __version__
from ...weights.containers import unwrap
from ...weights.convert import Account, account
from ...weights.readers import read_file
from ..checkpoints.checkpoint import verify_checkpoint, write_atomically


def save_weights(made: Account, source: str, path: str):
    """Write a checkpoint that `load_from`, `init_cfg=dict(type='Pretrained')` and the tools take, all or nothing."""
    with open(osp.expanduser(source), 'rb') as file:
        digest = hashlib.sha256(file.read()).hexdigest()
    meta = dict(
        converted_from=osp.basename(source),
        sha256=digest,
        layout=made.layout,
        target=made.target,
        initialised=sorted(made.initialised),
        mmparts_version=__version__,
    )
    buffer = io.BytesIO()
    torch.save(dict(state_dict=made.state, meta=meta), buffer)
    write_atomically(buffer.getvalue(), path, verify=verify_checkpoint)


@WEIGHT_INITIALIZERS.register_module()
class OfficialWeights:
    """`init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=...)`: fill a part from an official file, strictly.

    mmengine's `Pretrained` wants a file with the part's own names; this one converts on the way.

    Args:
        checkpoint: a local file of any format that `weights/readers.py` knows.
        layout: as in `account`.
        key: which of several weights in the file to take, see `unwrap`.
        skip: as in `account`; names are those of the part.
    """

    def __init__(self, checkpoint: str, layout: str | None = None, skip: Sequence[str] = (), key: str | None = None):
        self.checkpoint = checkpoint
        self.layout = layout
        self.skip = skip
        self.key = key

    def __call__(self, module: nn.Module):
        made = account(unwrap(read_file(self.checkpoint), self.key), module, self.layout, skip=self.skip).check()
        module.load_state_dict(made.state, strict=False)
        # mmengine goes on to the children, whose own initialisation would undo this.
        for child in module.modules():
            if isinstance(child, BaseModule) and child is not module:
                child._is_init = True

        info = f'{len(made.state)} tensors of {self.checkpoint} ({made.layout}), {len(made.initialised)} as initialised'
        print_log(f'{type(module).__name__}: {"; ".join([info, *made.said])}', logger='current')
        if hasattr(module, '_params_init_info'):
            update_init_info(module, init_info=info)
