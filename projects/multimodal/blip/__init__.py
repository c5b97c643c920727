"""BLIP (https://arxiv.org/abs/2201.12086): MED, one BERT as text tower, as fusion over an image and as writer.

| file | what |
|---|---|
| med | `MedTower`, `MedFusion`, `TwinFusion`, `MedDecoder` |
| checkpoint | layouts of the official files and of transformers |

Its objectives are parts for any model: `QueueKeys` and `SoftTargets` of `Contrastive`, `Matching`, `Captioning`.
"""

from . import checkpoint, med  # noqa: F401  importing registers them
