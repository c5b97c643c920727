"""VisualBERT (https://arxiv.org/abs/1908.03557): words and regions of an image in one BERT.

| file | what |
|---|---|
| towers | `BertWords`, `Regions`, `RegionInputs`, `RegionTower`: what stands before the transformer |
| fusion | `OneStream`: BERT over both |
| tasks | multiple choice (VCR), phrases to regions (Flickr) |
| checkpoint | layouts of the official files and of transformers |

Masked words and sentence-image match are `MaskedWords`; VQA and NLVR2 are classes of the joint state.
"""

from . import checkpoint, fusion, tasks, towers  # noqa: F401  importing registers them
