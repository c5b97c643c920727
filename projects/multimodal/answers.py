"""Lists of known answers."""

import json
from collections.abc import Sequence
from pathlib import Path


def read_answers(answers: Sequence[str] | str) -> list[str]:
    """Of a list, or of a file with an answer a line, or a JSON list.

    Raises:
        ValueError: there is none; one comes twice.
    """
    if isinstance(answers, str):
        text = Path(answers).expanduser().read_text(encoding='utf-8')
        answers = json.loads(text) if text.lstrip().startswith('[') else text.splitlines()
    answers = [one.strip() for one in answers if one.strip()]
    if not answers:
        raise ValueError('answers is empty; give a list of texts, or a file with one a line')
    twice = {one for one in answers if answers.count(one) > 1} if len(set(answers)) < len(answers) else ()
    if twice:
        raise ValueError(f'answers come twice: {", ".join(sorted(twice)[:5])}')
    return answers
