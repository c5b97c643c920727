"""Backbones of timm and transformers as types of a config: channels and strides are read from them.

Both packages are imported when such a backbone is built, never before; beside a CPU torch they die with a torchvision
that does not fit, unless its two missing operators are declared first.
"""

from collections.abc import Sequence
from difflib import get_close_matches
from importlib import import_module
from types import ModuleType

from mmengine.model import BaseModule
from torch import Tensor

from ..layers.feature_spec import FeatureSpec, backbone_spec
from ..ops.mmcv.torchvision_guard import declare_ops_where_broken
from ..registry import MODELS

TESTED = dict(timm='timm==1.0.31', transformers='transformers==5.23.0')


def package(name: str, owner: str) -> ModuleType:
    """A package that is optional.

    Raises:
        ModuleNotFoundError: it is not installed; with the line that installs it.
    """
    declare_ops_where_broken()
    try:
        return import_module(name)
    except ImportError as error:
        raise ModuleNotFoundError(
            f'{owner} needs the package {name}, which does not import ({error}): pip install {TESTED[name]}', name=name
        ) from error


class ForeignBackbone(BaseModule):
    """What both have in common: maps channels first, channels held against what was written.

    Args:
        channels: what the config expects; None: whatever the backbone gives.
        frozen: weights and running statistics stay as they are.
    """

    def _publish(self, spec: FeatureSpec, channels: Sequence[int] | None, frozen: bool):
        if channels is not None and tuple(channels) != spec.channels:
            raise ValueError(f'{type(self).__name__}: channels={list(channels)} were written, {self.name} gives {spec}')
        self.channels, self.strides, self.frozen = spec.channels, spec.strides, frozen
        if frozen:
            self.requires_grad_(False)

    def train(self, mode: bool = True) -> 'ForeignBackbone':
        super().train(mode and not getattr(self, 'frozen', False))
        self.training = mode
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W -> one B C H/stride W/stride map for each output."""
        if images.shape[1] != self.in_channels:
            raise ValueError(
                f'images have {images.shape[1]} channels, {self.name} takes in_channels={self.in_channels}'
            )
        return tuple(self.maps(images))

    def maps(self, images: Tensor) -> list[Tensor]:
        raise NotImplementedError


@MODELS.register_module()
class TimmBackbone(ForeignBackbone):
    """Any model of timm that gives features (``features_only=True``). Publishes ``channels`` and ``strides``.

    Args:
        model: its name in timm.
        pretrained: load timm's weights (downloads them).
        checkpoint: a file of weights instead.
        out_indices: outputs, by timm's numbers; default: all.
        options: what else ``timm.create_model`` takes, such as ``dict(dynamic_img_size=True)`` for a ViT.

    Raises:
        ModuleNotFoundError: timm is not installed.
        ValueError: timm has no such model; `channels` differ.
    """

    def __init__(
        self,
        model: str,
        pretrained: bool = False,
        checkpoint: str = '',
        in_channels: int = 3,
        out_indices: Sequence[int] | None = None,
        channels: Sequence[int] | None = None,
        frozen: bool = False,
        options: dict | None = None,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        timm = package('timm', 'mmparts.TimmBackbone')
        known = timm.list_models()
        if model.split('.')[0] not in known:
            near = get_close_matches(model, known, 3)
            hint = f'; near: {", ".join(near)}' if near else ''
            raise ValueError(f'timm {timm.__version__} has no model {model!r}{hint}')
        self.name, self.in_channels = f'timm.{model}', in_channels
        chosen = {} if out_indices is None else dict(out_indices=tuple(out_indices))
        options = dict(options or {}, in_chans=in_channels, checkpoint_path=checkpoint, **chosen)
        self.model = timm.create_model(model, pretrained=pretrained, features_only=True, **options)
        info = self.model.feature_info
        self._publish(FeatureSpec(tuple(info.channels()), tuple(info.reduction())), channels, frozen)

    def maps(self, images):
        found = zip(self.model(images), self.channels)
        return [x if x.shape[1] == width else x.permute(0, 3, 1, 2).contiguous() for x, width in found]


@MODELS.register_module()
class HFBackbone(ForeignBackbone):
    """Any backbone of transformers (``AutoBackbone``). Publishes ``channels`` and ``strides``.

    Args:
        model: a folder or a name on the hub, whose weights are loaded; or a kind such as 'resnet', 'swin', 'dinov2', of
            random weights.
        config: changes to its configuration.
        out_indices: outputs, by transformers' numbers (0 is the stem); default: the last.

    Raises:
        ModuleNotFoundError: transformers is not installed.
        ValueError: it has no such backbone; `channels` differ.
    """

    def __init__(
        self,
        model: str,
        config: dict | None = None,
        in_channels: int = 3,
        out_indices: Sequence[int] | None = None,
        channels: Sequence[int] | None = None,
        frozen: bool = False,
        init_cfg: dict | list | None = None,
    ):
        super().__init__(init_cfg)
        transformers = package('transformers', 'mmparts.HFBackbone')
        self.name, self.in_channels = f'transformers {model}', in_channels
        changes = dict(config or {}, num_channels=in_channels)
        if out_indices is not None:
            changes['out_indices'] = list(out_indices)
        kinds = transformers.AutoBackbone._model_mapping
        known = {kind.model_type for kind in kinds}
        if model in known:
            self.model = transformers.AutoBackbone.from_config(transformers.AutoConfig.for_model(model, **changes))
        else:
            try:
                self.model = transformers.AutoBackbone.from_pretrained(model, **changes)
            except (OSError, ValueError) as error:
                raise ValueError(
                    f'{model!r} is neither a folder or model of the hub with a backbone, nor a kind of it; kinds: '
                    f'{", ".join(sorted(known))} ({error})'
                ) from error
        self._publish(backbone_spec(self), channels, frozen)

    def maps(self, images):
        return list(self.model(images).feature_maps)
