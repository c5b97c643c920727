"""Weights of VT-UNet's repository (version 1 and the network of version 2, which has the same names)."""

from ...registry import WEIGHT_LAYOUTS
from ...weights.layout import WeightLayout
from ..segmentor import Segmentor
from ..swin_unet.weights import COMPUTED, unet_rules


@WEIGHT_LAYOUTS.register_module(name='vt-unet')
class VTUNetLayout(WeightLayout):
    """himashi92/VT-UNet's models. They were trained with ``index='corner'`` and ``double_scale=True``."""

    model = Segmentor
    papers = ('vt_unet',)

    @staticmethod
    def matches(keys):
        name = 'swin_unet.layers_up.1.blocks.0.attn.relative_position_bias_table'
        return name in keys and 'swin_unet.concat_back_dim.1.bias' not in keys

    @classmethod
    def rules(cls, state, model):
        return unet_rules('swin_unet.')

    @classmethod
    def drop(cls, state, model):
        return COMPUTED
