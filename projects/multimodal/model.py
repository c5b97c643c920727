"""The container of the family: towers, fusion, objectives; a paper is a choice of parts."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from mmengine.model import BaseModel, ModuleDict
from torch import Tensor, nn

from ..layers.feature_spec import backbone_spec
from ..registry import MODELS, build_part
from .compatibility import check
from .inference import Embeddings
from .states import State, States


@MODELS.register_module()
class MultimodalModel(BaseModel):
    """
    ::

        inputs by modality -> towers -> states -> fusion -> joint states -> objectives -> losses
                                     -> projections -> embeddings        -> inference  -> samples

    Args:
        towers: modality -> config of its tower ('image', 'text', 'audio', 'regions' ...).
        objectives: name -> config of an objective; the losses of a step are called ``name.loss...``.
        fusion: puts the states of several modalities together.
        decoder: writes texts of a state.
        projections: modality -> width of the joint space or config of a module, from the pooled vector to the joint
            space; a number is a linear map without bias. None for a modality: its pooled vector is there already.
        momentum: a copy of the towers that follows them slowly.
        inference: what 'predict' says; its class names the task.

    Raises:
        ValueError: a part needs what this model has not.

    ``mode='tensor'`` returns the embeddings by modality, ``'loss'`` a dict of losses, ``'predict'`` the samples.
    """

    task_from = 'inference'  # the part whose class says the task

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """A joint space of 16, cross-attention to an image tower that has become small; see tasks/shrink.py."""
        widths = cfg.get('projections') or {}
        small = dict(projections={name: 16 if isinstance(each, int) else each for name, each in widths.items()})
        if 'backbone' not in cfg['towers'].get('image', ()):
            return small
        with torch.device('meta'):
            memory = dict(memory_dims=backbone_spec(MODELS.build(cfg['towers']['image']['backbone'])).channels[-1])
        readers = {name: memory for name, tower in cfg['towers'].items() if tower.get('memory_dims')}
        decoder = dict(decoder=memory) if (cfg.get('decoder') or {}).get('memory_dims') else {}
        return dict(small, towers=readers, **decoder)

    def __init__(
        self,
        towers: Mapping[str, dict],
        objectives: Mapping[str, dict] | None = None,
        fusion: dict | None = None,
        decoder: dict | None = None,
        projections: Mapping[str, dict | int | None] | None = None,
        momentum: dict | None = None,
        inference: dict = dict(type=Embeddings),
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        tokenizer = self.tokenizer
        words = ('vocab_size', 'context_length')
        shared = {word: getattr(tokenizer, word) for word in words} if tokenizer is not None else {}
        self.towers = ModuleDict({name: build_part(cfg, **shared) for name, cfg in towers.items()})
        shared['widths'] = {name: tower.embed_dims for name, tower in self.towers.items()}
        self.fusion = build_part(fusion, **shared) if fusion else None
        if self.fusion is not None:
            shared['joint_dims'] = self.fusion.embed_dims
        self.decoder = build_part(decoder, **shared) if decoder else None
        self.projections = ModuleDict(
            {name: self._projection(name, cfg) for name, cfg in (projections or {}).items() if cfg is not None}
        )
        self.joint = frozenset(projections or ())
        self.objectives = ModuleDict({name: build_part(cfg, **shared) for name, cfg in (objectives or {}).items()})
        self.inference = build_part(inference, **shared)
        self.momentum = build_part(momentum) if momentum else None
        check(self.parts(), set(self.towers), self.offers())
        for part in self.parts().values():
            part.bind(self)

    def _projection(self, name: str, cfg: dict | int) -> nn.Module:
        width = self.pooled_dims(name)
        if width is None:
            raise ValueError(f'projections={name!r}: the tower of {name!r} gives no pooled vector')
        return nn.Linear(width, cfg, bias=False) if isinstance(cfg, int) else build_part(cfg, in_dims=width)

    @property
    def task(self) -> str:
        """What kind of model tools know it as."""
        return self.inference.task

    @property
    def tokenizer(self):
        """That of the preprocessor, or None."""
        return getattr(self.data_preprocessor, 'tokenizer', None)

    @property
    def modalities(self) -> tuple[str, ...]:
        """Inputs that the preprocessor makes batches of."""
        return tuple(getattr(self.data_preprocessor, 'inputs', ()))

    @property
    def open_vocabulary(self) -> bool:
        """Whether inference goes by the names of classes."""
        return hasattr(self.inference, 'set_classes')

    def set_classes(self, classes: Sequence[str]) -> None:
        """Names of what inference tells apart, where it does."""
        if hasattr(self.inference, 'set_classes'):
            self.inference.set_classes(classes)

    def pooled_dims(self, name: str) -> int | None:
        """Channels of the pooled vector of a modality."""
        return (self.fusion if self.alone else self.towers[name]).pooled_dims

    @property
    def alone(self) -> bool:
        """Whether a single modality also goes through the fusion."""
        return self.fusion is not None and self.fusion.alone

    @property
    def num_layer_ids(self) -> int:
        """Depths that :meth:`layer_id` tells apart."""
        return self._layers() + 2

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies, for a rate that decays towards the inputs: towers and positions are 0 where they
        do not say it, the blocks of a fusion that all modalities go through follow, all else is last.

        Raises:
            ValueError: another fusion, or none.
        """
        last = self._layers() + 1
        group, _, rest = name.partition('.')
        if group == 'towers':
            tower, _, own = rest.partition('.')
            return self.towers[tower].layer_id(own) if hasattr(self.towers[tower], 'layer_id') else 0
        return self.fusion.layer_id(rest) if group == 'fusion' else last

    def _layers(self) -> int:
        if not self.alone or not hasattr(self.fusion, 'layer_id'):
            kind = type(self.fusion).__name__ if self.fusion is not None else 'no fusion'
            raise ValueError(f'layer_decay: {kind} says no depth of parameters; MultiwayFusion does')
        return len(self.fusion.blocks)

    # What parts are held against

    def parts(self) -> dict[str, nn.Module]:
        """Every part under its place in the config."""
        single = {name: getattr(self, name) for name in ('fusion', 'decoder', 'momentum', 'inference')}
        several = {
            f'{group}.{name}': part for group in ('towers', 'objectives') for name, part in getattr(self, group).items()
        }
        return {**several, **{name: part for name, part in single.items() if part is not None}}

    def offers(self) -> set[str]:
        """Words that parts may use."""
        words = {word for part in self.parts().values() for word in part.gives}
        if self.tokenizer is not None:
            words.add('tokenizer')
        return words | {'embedding'} if len(self.joint) > 1 else words

    def project(self, name: str, state: State) -> Tensor:
        """The pooled vector of a state in the joint space, B D, of any length."""
        return self.projections[name](state.pooled) if name in self.projections else state.pooled

    def forward(self, inputs: Mapping[str, Any], data_samples: Sequence | None = None, mode: str = 'tensor'):
        states = States(self, inputs, data_samples or ())
        if mode == 'loss':
            return self.loss(states)
        if mode == 'predict':
            return self.inference(states)
        if mode == 'tensor':
            return {name: states.embedding(name) for name in sorted(self.joint) if name in inputs}
        raise ValueError(f"mode={mode!r} is unknown; choose from 'tensor', 'loss', 'predict'")

    def loss(self, states: States) -> dict[str, Tensor]:
        losses = {}
        for name, objective in self.objectives.items():
            for word, value in objective(states).items():
                factor = objective.weight if word.startswith('loss') else 1
                losses[f'{name}.{word}'] = factor * value
        return losses
