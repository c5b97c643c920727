"""Classification of whole images, and pre-training by what was masked: `Classifier`, `MaskedPretrainer`.

| file | what |
|---|---|
| classifier | backbone -> head -> loss; `task = 'classification'` |
| heads | linear; InternImage's convolution; the attention pooling of its large models |
| losses | softmax and sigmoid, of mixed and smoothed labels |
| mixing | mixup and cutmix of a batch |
| masking | `MaskedPretrainer`: any backbone with a `patch_embed` |
| patch_colours | masked patch prediction (ViT) |
| simmim | SimMIM |
"""

from . import classifier, heads, losses, masking, mixing, patch_colours, simmim  # noqa: F401  importing registers them
