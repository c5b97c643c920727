"""BEiT-3 (https://arxiv.org/abs/2208.10442): patches and words as tokens of one Multiway transformer.

| file | what |
|---|---|
| encoder | `PatchTower`, `WordTower`, `MultiwayFusion` |
| tasks | writing with masks and caches, visual reasoning in two passes |
| checkpoint | layout of the published files |
"""

from . import checkpoint, encoder, tasks  # noqa: F401  importing registers them
