"""Parts that do not go together are refused when a model is built, with the reason and what would serve."""

from collections.abc import Mapping

from torch import nn

from ..registry import MODELS
from .roles import Part

# What a model as a whole can have, beside what its parts say that they give: word -> how it comes to have it.
WORDS = {
    'embedding': 'towers with a pooled vector and `projections` to one width',
    'tokenizer': "data_preprocessor=dict(inputs=dict(text=dict(type='mmparts.TextInputs', tokenizer=...)))",
}


def check(parts: Mapping[str, Part], modalities: set[str], offers: set[str]):
    """Hold what parts need against what there is.

    Args:
        parts: where each stands in the config -> the part.
        modalities: that have a tower.
        offers: words that the model and its parts give.

    Raises:
        ValueError: a part needs what is not there.
    """
    for where, part in parts.items():
        kind = type(part).__name__
        for name in part.needs:
            if name not in modalities:
                raise ValueError(
                    f'{where} ({kind}) reads {name!r}, and no tower of the model does: its towers are '
                    f'{", ".join(sorted(modalities))}; add towers=dict({name}=...)'
                )
        for word in part.uses:
            if word not in offers:
                raise ValueError(f'{where} ({kind}) uses {word!r}, which this model has not; {remedy(word)}')


def remedy(word: str) -> str:
    """What would give a word."""
    if word in WORDS:
        return f'give it {WORDS[word]}'
    kinds = sorted(name for name, kind in MODELS.module_dict.items() if word in gives(kind))
    return f'parts that give it: {", ".join(kinds)}' if kinds else 'no registered part gives it'


def gives(kind) -> tuple[str, ...]:
    return getattr(kind, 'gives', ()) if isinstance(kind, type) and issubclass(kind, (Part, nn.Module)) else ()
