"""Learning rates that decay from a backbone's last layer to its first (ELECTRA, https://arxiv.org/abs/2003.10555; BEiT,
https://arxiv.org/abs/2106.08254), and weight decay by name.

Parameters with equal settings share a group: fused and foreach optimizers are as fast as with one.
"""

import re
from collections.abc import Mapping, Sequence
from fnmatch import fnmatch

from mmengine.logging import print_log
from mmengine.model import is_model_wrapper
from mmengine.optim import OptimWrapper
from torch import nn

from ...registry import OPTIM_WRAPPER_CONSTRUCTORS, OPTIM_WRAPPERS, OPTIMIZERS
from .paramwise import fused

WORDS = 'layer_decay, join_ends, no_decay, decay_1d, rates'


@OPTIM_WRAPPER_CONSTRUCTORS.register_module()
class LayerDecayConstructor:
    """Builds an optimizer whose rate is ``layer_decay ** (deepest id - id)`` times the base rate; fused if possible.

    A backbone says its ids by a method ``layer_id(name)`` and ``num_layer_ids``; what is not in the backbone has the
    full rate. A model that is a transformer itself says them of all of its parameters (`MultimodalModel`).
    ``paramwise_cfg`` takes

    * ``layer_decay``: 1 leaves the rates alone;
    * ``join_ends``: the embeddings go with the first layer, and the last layer has the full rate (InternImage's
      classifiers);
    * ``no_decay``: parts of names whose weights are not decayed (``('cpb_mlp', 'logit_scale')``);
    * ``decay_1d``: decay biases, norms and all else with one axis, too (default: no);
    * ``rates``: pattern of a whole name (``*offset*``) -> factor of its rate.

    Raises:
        ValueError: another word; a pattern or part of a name that fits no parameter; a backbone without ids.
    """

    def __init__(self, optim_wrapper_cfg: dict, paramwise_cfg: dict | None = None):
        self.cfg = dict(optim_wrapper_cfg)
        given = dict(paramwise_cfg or {})
        self.layer_decay: float = given.pop('layer_decay', 1.0)
        self.join_ends: bool = given.pop('join_ends', False)
        self.no_decay: Sequence[str] = tuple(given.pop('no_decay', ()))
        self.decay_1d: bool = given.pop('decay_1d', False)
        self.rates: Mapping[str, float] = dict(given.pop('rates', {}))
        if given:
            raise ValueError(f'paramwise_cfg has {", ".join(given)}; LayerDecayConstructor takes {WORDS}')

    def __call__(self, model: nn.Module) -> OptimWrapper:
        model = model.module if is_model_wrapper(model) else model
        cfg = dict(self.cfg)
        optimizer = dict(cfg.pop('optimizer'))
        groups = self.groups(model, optimizer['lr'], optimizer.get('weight_decay', 0.0))
        built = fused(lambda optimizer: OPTIMIZERS.build(dict(optimizer, params=groups)), optimizer)
        return OPTIM_WRAPPERS.build(dict(cfg, type=cfg.get('type', 'OptimWrapper')), default_args=dict(optimizer=built))

    def groups(self, model: nn.Module, lr: float, weight_decay: float) -> list[dict]:
        """The groups of parameters, one for each pair of settings."""
        named = [(name, each) for name, each in model.named_parameters() if each.requires_grad]
        self._hold([name for name, _ in named])
        found: dict[tuple[float, float], list[nn.Parameter]] = {}
        for name, parameter in named:
            rate = lr * self.scale(model, name)
            spared = (parameter.ndim < 2 and not self.decay_1d) or any(part in name for part in self.no_decay)
            found.setdefault((rate, 0.0 if spared else weight_decay), []).append(parameter)
        rates = sorted({rate for rate, _ in found})
        print_log(f'{len(named)} parameters in {len(found)} groups, rates {rates[0]:.3g} to {rates[-1]:.3g}', 'current')
        return [dict(params=params, lr=rate, weight_decay=decay) for (rate, decay), params in found.items()]

    def scale(self, model: nn.Module, name: str) -> float:
        """The factor of a parameter's rate."""
        factor = self._depth(model, name)
        for pattern, rate in self.rates.items():
            factor *= rate if fnmatch(name, pattern) else 1
        return factor

    def _depth(self, model: nn.Module, name: str) -> float:
        part, _, rest = name.partition('.')
        if self.layer_decay == 1:
            return 1.0
        if hasattr(model, 'layer_id'):
            return self.layer_decay ** (model.num_layer_ids - 1 - model.layer_id(name))
        if part not in ('backbone', 'encoder'):
            return 1.0
        backbone = getattr(model, part)
        if not hasattr(backbone, 'layer_id'):
            if part == 'encoder' and hasattr(model, 'backbone'):
                return 1.0
            raise ValueError(
                f'layer_decay={self.layer_decay}, but {type(backbone).__name__} says no `layer_id` of its parameters; '
                'ViT, SwinV2, InternImage and ViTAdapter do'
            )
        layer, last = backbone.layer_id(rest), backbone.num_layer_ids - 1
        if self.join_ends:
            layer, last = min(max(layer, 1), last - 1), last - 1
        return self.layer_decay ** (last - layer)

    def _hold(self, names: Sequence[str]):
        idle = [pattern for pattern in self.rates if not any(fnmatch(name, pattern) for name in names)]
        idle += [part for part in self.no_decay if not any(re.search(re.escape(part), name) for name in names)]
        if idle:
            raise ValueError(f'{", ".join(idle)} of paramwise_cfg fit no parameter of the model')
