"""CapFilt: a captioner writes a text of each image of a folder, and a filter drops texts, old and new, that do not
belong to their image (BLIP, https://arxiv.org/abs/2201.12086, section 3.3).

Both are models that were trained from the same start. The filter says how probable it is that a text belongs to an
image; the paper drops what it calls unmatched, that is below one half. The filtering code was not published.
"""

import json
import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import torch

from .detector import Detector, Failure
from .search import images_in

RECORDS, CAPTIONS, STATISTICS = 'records.jsonl', 'captions.jsonl', 'statistics.json'


class Filter(Detector):
    """A detector whose model has the objective `Matching`.

    Raises:
        ValueError: it has none.
    """

    def __init__(self, *args, **kwargs):
        super().__init__(*args, **kwargs)
        objectives = getattr(self.model, 'objectives', {})
        self.matching = next((each for each in objectives.values() if hasattr(each, 'probabilities')), None)
        if self.matching is None:
            raise ValueError(f'the filter has no objective Matching; it has {", ".join(objectives) or "none"}')

    @torch.no_grad()
    def probabilities(self, path: str, texts: Sequence[str]) -> list[float] | Failure:
        """How probable it is that each text belongs to the image."""
        item = self.prepare(path)
        if isinstance(item, Failure) or not texts:
            return item if isinstance(item, Failure) else []
        device = next(self.model.parameters()).device
        preprocessor = self.model.data_preprocessor
        image, text = self.matching.between
        inputs = {
            image: preprocessor.inputs[image]([item['inputs'][image]], device),
            text: preprocessor.inputs[text](list(texts), device),
        }
        return self.matching.probabilities(self.model, inputs).tolist()


@dataclass
class Tally:
    """What was looked at, and what was kept."""

    counts: dict[str, int] = field(
        default_factory=lambda: dict.fromkeys(('images', 'texts', 'texts_kept', 'written', 'written_kept', 'left'), 0)
    )

    def add(self, record: dict, threshold: float) -> list[str]:
        """A record; returns the texts that stay, the old ones first, each once."""
        old = [text for text, chance in record['texts'] if chance >= threshold]
        new = [text for text, chance in record['written'] if chance >= threshold]
        kept = list(dict.fromkeys([*old, *new]))
        found = dict(images=1, texts=len(record['texts']), texts_kept=len(old))
        found |= dict(written=len(record['written']), written_kept=len(new), left=int(not kept))
        for key, value in found.items():
            self.counts[key] += value
        return kept

    def __str__(self) -> str:
        counts = self.counts
        return (
            f'{counts["images"]} images: {counts["texts_kept"]} of {counts["texts"]} texts and '
            f'{counts["written_kept"]} of {counts["written"]} captions kept, {counts["left"]} images without a text'
        )


def filtered(
    captioner: Detector,
    judge: Filter,
    folder: str,
    texts: Mapping[str, Sequence[str]],
    out: str | os.PathLike,
    head: dict,
) -> Iterator[dict]:
    """A record for each image: its ``texts`` and what was ``written``, each with its probability; or ``failed``, why.

    Records go to a file as they come; those of an earlier call that was stopped are taken from there.

    Args:
        texts: name of an image below ``folder`` -> its texts; images without any are captioned, too.
        head: what records depend on, the models; a folder with records of others is refused.

    Raises:
        ValueError: the folder holds records of other models.
    """
    path = Path(out) / RECORDS
    path.parent.mkdir(parents=True, exist_ok=True)
    known = read(path, head)
    yield from known.values()
    with path.open('a', encoding='utf-8') as file:
        if not file.tell():
            file.write(json.dumps(head) + '\n')
        for name in images_in(folder):
            if name in known:
                continue
            record = dict(image=name, **judged(captioner, judge, os.path.join(folder, name), texts.get(name, ())))
            file.write(json.dumps(record) + '\n')
            file.flush()
            yield record


def judged(captioner: Detector, judge: Filter, path: str, texts: Sequence[str]) -> dict:
    """What both models say of an image."""
    (sample,) = captioner([path])
    if isinstance(sample, Failure):
        return dict(failed=sample.reason)
    caption = (sample.get('pred_text') or '').strip()
    written = [caption] if any(map(str.isalnum, caption)) else []
    chances = judge.probabilities(path, [*texts, *written])
    if isinstance(chances, Failure):
        return dict(failed=chances.reason)
    every = [[text, round(chance, 6)] for text, chance in zip([*texts, *written], chances)]
    return dict(texts=every[: len(texts)], written=every[len(texts) :])


def read(path: Path, head: dict) -> dict[str, dict]:
    """Records of an earlier call, by image; a last line that was cut short is forgotten."""
    if not path.is_file():
        return {}
    lines = path.read_text(encoding='utf-8').splitlines(keepends=True)
    whole = [line for line in lines if line.endswith('\n')]
    if not whole:
        path.unlink()
        return {}
    if json.loads(whole[0]) != head:
        raise ValueError(f'{path} is of other models or data; name another folder, or remove it')
    if len(whole) < len(lines):
        path.write_text(''.join(whole), encoding='utf-8')
    records = map(json.loads, whole[1:])
    return {record['image']: record for record in records}


def write(out: str | os.PathLike, kept: Sequence[tuple[str, list[str]]], tally: Tally, threshold: float) -> Path:
    """The new annotation file, one that `ImageTextFolder` reads, and the statistics beside it."""
    target = Path(out) / CAPTIONS
    lines = (json.dumps(dict(image=name, texts=texts), ensure_ascii=False) for name, texts in kept if texts)
    target.write_text(''.join(f'{line}\n' for line in lines), encoding='utf-8')
    statistics = json.dumps(dict(threshold=threshold, **tally.counts), indent=1)
    (Path(out) / STATISTICS).write_text(statistics + '\n', encoding='utf-8')
    return target
