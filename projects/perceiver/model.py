"""What all models around a Perceiver have in common, and their preprocessors."""

from collections.abc import Mapping, Sequence

import torch
from mmengine.model import BaseDataPreprocessor, BaseModel
from torch import Tensor
from torch.nn.utils.rnn import pad_sequence

from ..registry import MODELS
from .perceiver import Perceiver


class PerceiverModel(BaseModel):
    """A Perceiver with a task: ``loss``, ``predict`` and ``tensor`` by the mode.

    Args:
        backbone: a `Perceiver`.

    Raises:
        TypeError: it is none.
    """

    def __init__(self, backbone: dict, data_preprocessor: dict | None = None, init_cfg: dict | None = None):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        if not isinstance(self.backbone, Perceiver):
            raise TypeError(
                f'{type(self).__name__} asks latents by queries; backbone is a {type(self.backbone).__name__}, and '
                'must be an mmparts.Perceiver'
            )

    def forward(self, inputs, data_samples: Sequence | None = None, mode: str = 'tensor'):
        if mode == 'tensor':
            return self.outputs(inputs)
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        raise ValueError(f"mode={mode!r} is unknown; choose from 'tensor', 'loss', 'predict'")

    def outputs(self, inputs):
        raise NotImplementedError

    def loss(self, inputs, samples: Sequence) -> dict[str, Tensor]:
        raise NotImplementedError

    def predict(self, inputs, samples: Sequence | None) -> list:
        raise NotImplementedError


@MODELS.register_module()
class StackPreprocessor(BaseDataPreprocessor):
    """Arrays of equal shapes as one, floats by ``x * scale + shift``; of several inputs a dict of such arrays, which
    come as a dict of lists, as mmengine collates them, or as a list of dicts.

    Args:
        scale, shift: of all arrays, or name -> number; names that are not there stay as they are.
    """

    def __init__(self, scale: float | dict = 1.0, shift: float | dict = 0.0):
        super().__init__()
        self.scale, self.shift = scale, shift

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        inputs = data['inputs']
        if not isinstance(inputs, Mapping) and isinstance(inputs[0], Mapping):
            inputs = {name: [each[name] for each in inputs] for name in inputs[0]}
        if isinstance(inputs, Mapping):
            inputs = {name: self._stack(arrays, name) for name, arrays in inputs.items()}
        else:
            inputs = self._stack(inputs, '')
        return dict(inputs=inputs, data_samples=data.get('data_samples'))

    def _stack(self, arrays: Sequence[Tensor], name: str) -> Tensor:
        shapes = {tuple(each.shape) for each in arrays}
        if len(shapes) > 1:
            raise ValueError(
                f'a batch of {name or "inputs"} of unequal shapes {sorted(shapes)}; crop or resize them to one, or '
                'take batch_size=1'
            )
        scale, shift = (
            value.get(name, default) if isinstance(value, Mapping) else value
            for value, default in ((self.scale, 1.0), (self.shift, 0.0))
        )
        return torch.stack(list(arrays)).float() * scale + shift


@MODELS.register_module()
class PadPreprocessor(BaseDataPreprocessor):
    """Texts of unequal lengths (T ids) as B T, ids of nothing behind them; or sets (N C) as a dict of ``points`` B N C
    and ``mask`` B N, True where there is an element."""

    def forward(self, data: dict, training: bool = False) -> dict:
        data = self.cast_data(data)
        arrays = list(data['inputs'])
        inputs = pad_sequence(arrays, batch_first=True)
        if arrays[0].ndim > 1:
            lengths = torch.tensor([len(each) for each in arrays], device=inputs.device)
            mask = torch.arange(inputs.shape[1], device=inputs.device) < lengths[:, None]
            inputs = dict(points=inputs, mask=mask)
        return dict(inputs=inputs, data_samples=data.get('data_samples'))
