"""What the layouts of published backbones share: on a whole model they fill its `backbone`; on a classifier its head,
too."""

import re
from collections.abc import Mapping, Sequence

from torch import Tensor, nn

from ..weights.keys import Conversion, Rule, draw
from ..weights.layout import WeightLayout


class BackboneLayout(WeightLayout):
    """Base of the layouts of backbones. ``rules``, ``drop``, ``fresh`` and ``refuse`` speak of the backbone alone.

    Attributes:
        head: regular expression for the official names above the backbone; others than classifiers drop them.
    """

    part = 'backbone'
    head: str = r'head\..*'

    @classmethod
    def head_rules(cls, state: Mapping[str, Tensor], head: nn.Module) -> Sequence[Rule]:
        """Where the tensors of a classifier's head come from; by default its last layer is called as the official
        one."""
        names = sorted(name.rpartition('.')[0] for name in state if name.endswith('.weight'))
        return [Rule(r'fc\.(weight|bias)', [(names or ['head'])[0] + r'.\1'])]

    @classmethod
    def target(cls, model: nn.Module) -> str:
        return '' if is_classifier(model) else super().target(model)

    @classmethod
    def convert(cls, state: Mapping[str, Tensor], model: nn.Module, **choice: str) -> Conversion:
        above = {name: tensor for name, tensor in state.items() if re.fullmatch(cls.head, name)}
        below = {name: tensor for name, tensor in state.items() if name not in above}
        if not is_classifier(model):
            made = super().convert(below, model, **choice)
            made.dropped.update(dict.fromkeys(above, 'a backbone has no classifier'))
            return made
        made = super().convert(below, model.backbone, **choice)
        head = draw(above, model.head, cls.head_rules(above, model.head))
        return side_by_side({'backbone.': made, 'head.': head})


def is_classifier(model: nn.Module) -> bool:
    """Whether it has a backbone and, above it, a head whose last layer tells classes apart."""
    return hasattr(model, 'backbone') and hasattr(getattr(model, 'head', None), 'fc')


def side_by_side(parts: Mapping[str, Conversion]) -> Conversion:
    """One conversion of several parts of a model, by what stands before the names of each."""
    whole = Conversion()
    for prefix, made in parts.items():
        for field in ('state', 'sources', 'initialised', 'missing', 'refused'):
            named = {prefix + name: value for name, value in getattr(made, field).items()}
            getattr(whole, field).update(named)
        whole.dropped.update(made.dropped)
        whole.unexpected += made.unexpected
    return whole
