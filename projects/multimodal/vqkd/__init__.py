"""VQ-KD, the visual tokenizer of BEiT v2 (https://arxiv.org/abs/2208.06366; code microsoft/unilm, beit2): a ViT whose
patches are numbers of a codebook, learned by telling a teacher's features from them. BEiT-3 predicts these numbers.

| file | what |
|---|---|
| codebook | `CodeBook`: the nearest code, k-means, the moving average |
| tokenizer | `VqkdCodes`: images to numbers; what `MaskedData` takes, and what `VQKD` trains |
| teacher | `PatchTeacher`: the features that are asked for |
| model | `VQKD`: the training |
| checkpoint | the published files |
"""

from . import checkpoint, codebook, model, teacher, tokenizer  # noqa: F401  importing registers them
