"""Which shipped config an official file fits: tried, on the meta device, not looked up."""

import json
import os.path as osp
from collections.abc import Iterator, Sequence
from glob import glob
from itertools import islice

from mmengine.config import Config
from torch import nn

from ..shipped import FOLDER
from ..weights.containers import Weights
from ..weights.convert import account, find_layout
from ..weights.layout import WeightLayout
from .complexity import build_on_meta

MOST = 2  # configs that a message names


def fitting(found: Weights, layout: str | None = None, classes: str | None = None, skip: Sequence[str] = ()) -> str:
    """A sentence for the refusal of an official file: the configs of its papers that it fits, or that none does.

    Args:
        found: the weights of the file.
        layout, classes, skip: as the user gave them, see `account`. Other choices of classes are tried, too.
    """
    kind = find_layout(set(found.state), layout)
    if not kind.papers:
        return ''
    choices = (classes, *(other for other in kind.classes if other != classes))
    names = list(islice(_fitting(found, kind, choices, skip), MOST))
    if names:
        return f'{" and ".join(names)} {"fit" if len(names) > 1 else "fits"} it.'
    return f'None of configs/{{{",".join(kind.papers)}}} fits it as a whole.'


def _fitting(
    found: Weights, layout: type[WeightLayout], choices: Sequence[str | None], skip: Sequence[str]
) -> Iterator[str]:
    tried = {}
    for path, cfg in models(layout):
        key = json.dumps(cfg.model, sort_keys=True, default=str)
        if key not in tried:
            model = build_on_meta(cfg)
            tried[key] = [choice for choice in choices if _fits(found, model, layout, choice, skip)]
        if tried[key]:
            options = [] if choices[0] in tried[key] else [f'--classes {tried[key][0]}']
            options += ['--cfg-options model.as_published=True'] * bool(layout.as_published)
            yield f'{path} (with {" ".join(options)})' if options else path


def _fits(
    found: Weights, model: nn.Module, layout: type[WeightLayout], classes: str | None, skip: Sequence[str]
) -> bool:
    made = account(found, model, layout, skip=skip, classes=classes, numbers=False)
    return not made.problems.keys() - {'skip patterns without effect'}


def models(layout: type[WeightLayout]) -> Iterator[tuple[str, Config]]:
    """(name, config) of the shipped configs of a layout's papers, small ones last."""
    paths = [path for paper in layout.papers for path in sorted(glob(osp.join(FOLDER, paper, '*.py')))]
    for path in sorted(paths, key=lambda path: 'small' in osp.basename(path)):
        cfg = Config.fromfile(path)
        if 'model' in cfg:
            if layout.as_published:
                cfg.model.as_published = True
            yield f'configs/{osp.relpath(path, FOLDER)}', cfg
