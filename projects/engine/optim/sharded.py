"""Training with weights, gradients and optimizer states shared out among the processes (FSDP2, `fully_shard`).

Each process keeps its part of every layer and gathers a layer only while it computes. Checkpoints are the plain files
of all other runs: whole tensors, gathered on rank 0. Or, with ``fsdp = dict(checkpoint='sharded')``, folders to which
each process writes its own part (:mod:`..checkpoints.shards`). From both a run resumes on any number of processes.
"""

import os.path as osp
from collections import OrderedDict
from collections.abc import Sequence
from typing import Any

import torch
from mmengine.device import get_device
from mmengine.dist import broadcast, get_rank, get_world_size, is_main_process
from mmengine.hooks import EMAHook
from mmengine.runner import Runner
from mmengine.runner.checkpoint import _load_checkpoint, _load_checkpoint_to_model
from torch import Tensor, nn

from ...registry import RUNNERS
from ...weights.errors import CorruptCheckpoint
from ...weights.readers import check_finite
from ..checkpoints import shards
from ..faults.consensus import decided, gathered
from ..faults.nan_guard import NonFiniteLoss

# Classes of the layers that are gathered one by one; all that is outside of them is gathered once a step.
UNITS = ('EncoderLayer', 'DecoderLayer', 'WindowBlock', 'TokenBlock', 'Residual', 'Bottleneck', 'BasicBlock')


@RUNNERS.register_module()
class ShardedRunner(Runner):
    """mmengine's ``Runner`` for a model that is sharded layer by layer; ``tools/train.py --fsdp`` takes it.

    The config may say ``fsdp=dict(units=[...])``, names of the classes to gather one by one, and
    ``fsdp=dict(checkpoint='sharded')`` for checkpoints in shards; ``mmparts gather`` makes them files.

    Raises:
        SystemExit: There is one process only, or the config has hooks that need the whole model on each.
    """

    @property
    def fsdp(self) -> dict:
        return self.cfg.get('fsdp', {})

    @property
    def checkpoint_ending(self) -> str:
        """That of the names of checkpoints."""
        kind = self.fsdp.get('checkpoint', 'plain')
        if kind not in ('plain', 'sharded'):
            raise SystemExit(
                f"error: fsdp.checkpoint is {kind!r}; it can be 'plain' (one file) or 'sharded' (a folder)"
            )
        return shards.ENDING if kind == 'sharded' else '.pth'

    def wrap_model(self, model_wrapper_cfg: dict | None, model: nn.Module) -> nn.Module:
        if not self.distributed:
            raise SystemExit('error: --fsdp shares a model out among processes: start it by tools/dist_train.sh')
        model = model.to(get_device())
        if hasattr(model, 'init_weights'):
            model.init_weights()
        for value in model.state_dict().values():
            broadcast(value)
        if unknown := sorted(set(self.fsdp) - {'units', 'checkpoint'}):
            raise SystemExit(f'error: fsdp has units and checkpoint, not {", ".join(unknown)}')
        units = self.fsdp.get('units', UNITS)
        count = shard(model, units)
        self.logger.info(f'{count} layers and the rest of the model are sharded among {get_world_size()} processes')
        return model

    def _init_model_weights(self) -> None:
        """Done before the model was shared out."""

    def register_hooks(self, *args, **kwargs) -> None:
        super().register_hooks(*args, **kwargs)
        if any(isinstance(hook, EMAHook) for hook in self.hooks):
            raise SystemExit('error: EMAHook keeps a whole copy of the model on each process; leave it out with --fsdp')

    def load_checkpoint(self, filename: str, map_location: Any = 'cpu', strict: bool = False, revise_keys=()) -> dict:
        checkpoint = (
            self._load_shards(filename) if osp.isdir(filename) else _load_checkpoint(filename, map_location='cpu')
        )
        self.call_hook('after_load_checkpoint', checkpoint=checkpoint)
        own, state = self.model.state_dict(), checkpoint['state_dict']
        for name in state.keys() & own.keys():
            state[name] = like(state[name], own[name])
        self._share_optimizer(checkpoint)
        checkpoint = _load_checkpoint_to_model(self.model, checkpoint, strict, revise_keys=list(revise_keys))
        self._has_loaded = True
        self.logger.info(f'Load checkpoint from {filename}')
        return checkpoint

    def _load_shards(self, folder: str) -> dict:
        """The checkpoint with this process's part of each tensor; its numbers are looked at by all, a share each."""
        index, error = {}, None
        try:
            index = shards.check(folder, get_rank(), get_world_size())
        except CorruptCheckpoint as raised:
            error = str(raised)
        errors = [each for each in gathered(error) if each]
        if errors:
            raise CorruptCheckpoint(errors[0])
        if not self._resume:
            index.pop('optimizer', None)

        own, parameters = self.model.state_dict(), self._parameters() if self._resume else []
        tensors = {}
        for name in index['meta']['shards']['tensors']:
            whole = shards.empty(index, name)
            kind, _, rest = name.partition('.')
            if f'{kind}.' == shards.MODEL:
                mine = own.get(rest)
            elif 'optimizer' in index:
                number = int(rest.partition('.')[0])
                mine = parameters[number].detach() if number < len(parameters) else None
            else:
                continue
            same = isinstance(mine, Tensor) and mine.shape == whole.shape
            tensors[name] = torch.empty_like(mine, dtype=whole.dtype) if same else whole
        shards.fill(folder, index, tensors)
        return shards.put(index, tensors)

    def _parameters(self) -> list[Tensor]:
        return [each for group in self.optim_wrapper.optimizer.param_groups for each in group['params']]

    def _share_optimizer(self, checkpoint: dict) -> None:
        if not self._resume or 'optimizer' not in checkpoint:
            return
        parameters = self._parameters()
        for number, state in checkpoint['optimizer']['state'].items():
            parameter = parameters[number]
            for name, value in state.items():
                if isinstance(value, Tensor) and value.shape == parameter.shape:
                    state[name] = like(value, parameter)

    def save_checkpoint(self, out_dir: str, filename: str, *args, save_optimizer: bool = True, **kwargs) -> None:
        """As mmengine's; every process must come here, rank 0 writes, or each its part."""
        if filename.endswith(shards.ENDING):
            self._save_shards(osp.join(out_dir, filename), *args, save_optimizer=save_optimizer, **kwargs)
            return
        model, wrapper = self.model, self.optim_wrapper
        whole_model = gathered_tensors(model.state_dict())
        whole_optimizer = gathered_tensors(wrapper.state_dict()) if save_optimizer else None
        model.state_dict = lambda *args, **kwargs: whole_model
        wrapper.state_dict = lambda: whole_optimizer
        try:
            super().save_checkpoint(out_dir, filename, *args, save_optimizer=save_optimizer, **kwargs)
        finally:
            del model.state_dict, wrapper.state_dict

    def _save_shards(self, folder: str, *args, save_optimizer: bool, meta: dict | None = None, **kwargs) -> None:
        model, wrapper = self.model, self.optim_wrapper
        tensors = {f'{shards.MODEL}{name}': value for name, value in model.state_dict().items()}
        rest = wrapper.state_dict() if save_optimizer else {}
        states = rest.get('state', {})
        for number, state in states.items():
            tensors |= {
                f'{shards.OPTIMIZER}{number}.{name}': value for name, value in state.items() if is_tensor(value)
            }
        rest['state'] = {
            number: {name: value for name, value in state.items() if not is_tensor(value)}
            for number, state in states.items()
        }
        self._require_finite(tensors, folder)

        made = shards.write_pieces(folder, tensors)

        model.state_dict = lambda *args, **kwargs: OrderedDict()
        wrapper.state_dict = lambda: rest
        meta = {**(meta or {}), 'shards': made}
        save = super().save_checkpoint
        try:
            decided(lambda: save(folder, shards.INDEX, *args, save_optimizer=save_optimizer, meta=meta, **kwargs))
        finally:
            del model.state_dict, wrapper.state_dict
        if is_main_process():
            shards.remove_data(folder, keep=made['data'])

    def _require_finite(self, tensors: dict[str, Tensor], folder: str) -> None:
        """As for plain files; each process looks at its own part, and all stop where one finds something."""
        error = None
        try:
            check_finite({name: local(value) for name, value in tensors.items()}, 'the model')
        except CorruptCheckpoint as found:
            error = str(found)
        errors = [each for each in gathered(error) if each]
        if errors:
            raise NonFiniteLoss(
                f'{errors[0]}. {folder} was not saved; those of before are as they were. Lower the learning rate or '
                'clip the gradients (optim_wrapper.clip_grad), and resume'
            )


def is_tensor(value: Any) -> bool:
    return isinstance(value, Tensor)


def local(value: Tensor) -> Tensor:
    """The part of a tensor that is here."""
    return value.to_local() if hasattr(value, 'to_local') else value


def shard(model: nn.Module, units: Sequence[str] = UNITS) -> int:
    """Share ``model`` out in place, its ``units`` first; returns how many there are.

    Raises:
        ValueError: No layer is of one of these classes.
    """
    from torch.distributed.device_mesh import init_device_mesh  # FSDP2 is of torch 2.6; others need none of it
    from torch.distributed.fsdp import fully_shard

    layers = [each for each in model.modules() if _is_unit(each, units) and any(True for _ in each.parameters())]
    if not layers:
        raise ValueError(
            f'{type(model).__name__} has no layer of the classes {", ".join(units)} to share out; name its own: '
            "fsdp = dict(units=['ClassOfALayer'])"
        )
    mesh = init_device_mesh(get_device(), (get_world_size(),))
    for layer in reversed(layers):  # the innermost first
        fully_shard(layer, mesh=mesh)
    fully_shard(model, mesh=mesh)
    return len(layers)


def _is_unit(module: nn.Module, units: Sequence[str]) -> bool:
    return any(kind.__name__ in units for kind in type(module).__mro__)


def like(whole: Tensor, part: Tensor) -> Tensor:
    """The share of ``whole`` that this process keeps of ``part``, a tensor of the same shape."""
    from torch.distributed.tensor import DTensor, distribute_tensor

    if not isinstance(part, DTensor) or isinstance(whole, DTensor) or whole.shape != part.shape:
        return whole
    return distribute_tensor(whole.to(part.device), part.device_mesh, part.placements, src_data_rank=None)


def gathered_tensors(value: Any) -> Any:
    """``value`` with every shared tensor as a whole one, on the CPU; all processes must ask together."""
    from torch.distributed.tensor import DTensor

    if isinstance(value, DTensor):
        return value.full_tensor().detach().cpu()
    if isinstance(value, dict):
        result = type(value)((key, gathered_tensors(item)) for key, item in value.items())
        if hasattr(value, '_metadata'):
            result._metadata = value._metadata
        return result
    if isinstance(value, list):
        return [gathered_tensors(item) for item in value]
    return value.detach().cpu() if isinstance(value, torch.Tensor) else value
