"""A weight layout: what the names in published files of one code mean, and which model of ours they fill.

A family writes one subclass for each such code, in the file of the paper, and registers it in `WEIGHT_LAYOUTS`;
`weights/convert.py` finds it by the names in a file and draws up the account. Example, for a classifier of torchvision
whose names an own model `Plain` has kept but for its head::

    @WEIGHT_LAYOUTS.register_module(name='plain')
    class PlainLayout(WeightLayout):
        model, part = Plain, 'backbone'

        @staticmethod
        def matches(keys):
            return 'layer1.0.conv1.weight' in keys

        @classmethod
        def rules(cls, state, model):
            return [Rule(r'head\\.(weight|bias)', [r'fc.\\1'])]
"""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from torch import Tensor, nn

from .keys import Conversion, Rule, draw


class WeightLayout:
    """Base of all layouts. A subclass is used as a class, it is never instantiated.

    Attributes:
        model: the class of modules that it fills (or several); any other is refused.
        papers: folders of `configs/` whose models are of the kind: a file that does not fit is tried with these.
        part: the attribute of a whole model that it describes ('backbone'), or None for the model itself.
        head: regular expression for the official names above a backbone. On a classifier (a model with a `backbone` and
            a `head` that ends in `fc`) they fill the head, too; any other model drops them.
        classes: choices of class rows that `rules` takes as its argument `classes`, for files that have more of them
            than the model ('coco'); a layout that names none has no such argument.
        as_published: what the authors' code computes in another way than the model does by default. The files are for
            `model.as_published=True` alone then, and refused in any other model.
        hidden: options of `built` that no tensor shows, to be said where a file keeps no options.
    """

    model: type | tuple[type, ...] = nn.Module
    papers: tuple[str, ...] = ()
    part: str | None = None
    head: str | None = None
    classes: tuple[str, ...] = ()
    hidden: tuple[str, ...] = ()
    as_published: str = ''

    @classmethod
    def target(cls, model: nn.Module) -> str:
        """Name of the part of a whole model that it fills; '' for the model itself."""
        if cls.head and is_classifier(model):
            return ''
        return cls.part if cls.part and hasattr(model, cls.part) else ''

    @staticmethod
    def matches(keys: set[str]) -> bool:
        """Whether the names in a file look like this layout. Exactly one layout should say so of any file."""
        raise NotImplementedError

    @classmethod
    def named(cls, state: Mapping[str, Tensor]) -> Mapping[str, Tensor]:
        """The tensors of a file as the rules take them."""
        return state

    @classmethod
    def rules(cls, state: Mapping[str, Tensor], model: nn.Module) -> Sequence[Rule]:
        """Where our tensors come from; a name without a rule is its own official name."""
        return []

    @classmethod
    def drop(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        """Regular expression for whole official names -> why they are not needed."""
        return {}

    @classmethod
    def fresh(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        """Regular expression for whole names of ours -> why they may stay initialised where the file lacks them."""
        return {}

    @classmethod
    def refuse(cls, state: Mapping[str, Tensor], model: nn.Module) -> Mapping[str, str]:
        """Part of the model -> why the file is not for it although the names may fit: other arithmetic, say."""
        return {}

    @classmethod
    def head_rules(cls, state: Mapping[str, Tensor], head: nn.Module) -> Sequence[Rule]:
        """Where the tensors of a classifier's head come from; by default its last layer is called as the official
        one."""
        names = sorted(name.rpartition('.')[0] for name in state if name.endswith('.weight'))
        return [Rule(r'fc\.(weight|bias)', [(names or ['head'])[0] + r'.\1'])]

    @classmethod
    def built(cls, model: nn.Module) -> Mapping[str, Any]:
        """The options of the official code that would build this model, in its words: dilation, two_stage ..."""
        return {}

    @classmethod
    def shown(cls, state: Mapping[str, Tensor]) -> Mapping[str, Any]:
        """Those of `built` that the names and shapes in a file show. Messages begin with them."""
        return {}

    @classmethod
    def declared(cls, state: Mapping[str, Tensor], args: Mapping[str, Any]) -> Mapping[str, Any]:
        """Those of `built` that only the options kept in a file tell. Where they differ from those of the model the
        file is refused: its tensors may fit, and stand for another arithmetic."""
        return args

    @classmethod
    def advise(cls, model: nn.Module) -> Mapping[str, str]:
        """Options of the config (`key=value`) with which the model does as the official code -> what they are about."""
        return {}

    @classmethod
    def convert(cls, state: Mapping[str, Tensor], model: nn.Module, **choice: str) -> Conversion:
        """Make the tensors of `model` from those of a file; only `choice` is handed on to `rules`."""
        head = cls.head if is_classifier(model) or not hasattr(model, 'head') else None  # a model with its own
        above = {name: tensor for name, tensor in state.items() if head and re.fullmatch(head, name)}
        below = {name: tensor for name, tensor in state.items() if name not in above}
        if not (cls.head and is_classifier(model)):
            made = cls._of_part(below, model, **choice)
            made.dropped.update(dict.fromkeys(above, 'a backbone has no classifier'))
            return made
        made = cls._of_part(below, model.backbone, **choice)
        return side_by_side({'backbone.': made, 'head.': draw(above, model.head, cls.head_rules(above, model.head))})

    @classmethod
    def fits(cls, model: nn.Module) -> bool:
        """Whether it can fill this model, or part of one."""
        return isinstance(model, cls.model)

    @classmethod
    def _of_part(cls, state: Mapping[str, Tensor], model: nn.Module, **choice: str) -> Conversion:
        if not cls.fits(model):
            return Conversion(refused={'the model': not_for(model, cls.model)})
        refused = cls.refuse(state, model)
        if refused:
            return Conversion(refused=dict(refused))
        if cls.as_published and not getattr(model, 'as_published', False):
            why = f'official weights are for the arithmetic of their code ({cls.as_published})'
            return Conversion(refused={'the model': f'{why}: --cfg-options model.as_published=True'})
        state = cls.named(state)
        return draw(state, model, cls.rules(state, model, **choice), cls.drop(state, model), cls.fresh(state, model))


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


def not_for(model: nn.Module, wanted: type | tuple[type, ...]) -> str:
    """Why a layout cannot fill a model, or a part of one: it knows another class."""
    classes = wanted if isinstance(wanted, tuple) else (wanted,)
    known = ' or '.join(f'a {one.__name__} of {one.__module__.partition(".")[0]}' for one in classes)
    found = type(model)
    return f'the layout fills {known}, the config builds a {found.__module__}.{found.__name__}'
