"""Names of numbers: what the metrics of a run will tell, held against what hooks and schedules wait for."""

import difflib
from collections.abc import Iterable


def nearest(name: str, known: Iterable[str]) -> str:
    """'; did you mean ...? There are ...', to end a message about an unknown name."""
    known = list(known)
    close = difflib.get_close_matches(str(name), known, n=1, cutoff=0.5)
    question = f'did you mean {close[0]!r}? ' if close else ''
    return f'; {question}There are {", ".join(map(repr, known))}'
