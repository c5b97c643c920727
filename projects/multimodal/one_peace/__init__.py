"""ONE-PEACE (https://arxiv.org/abs/2305.11172): image, text and sound through one attention, with an FFN for each.

| file | what |
|---|---|
| adapters | `StemTower`, `PlacedWords`, `WaveTower`: they embed, place, and say the bias of distances |
| encoder | `SharedFusion`: attention for all, an FFN and a last norm a modality; tokens that are left out |
| masking | which tokens the student does not see |
| denoising | `DenoisingContrast`: what is hidden is told apart from all other tokens of the batch |
| pooling | `QueryPooling`: the vector of a question that answers are told from |
| checkpoint | layouts of the published files |
"""

from . import adapters, checkpoint, denoising, encoder, masking, pooling  # noqa: F401  importing registers them
