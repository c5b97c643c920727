"""Vision-language and other modalities: `MultimodalModel`, towers x fusion x objectives. See README.md."""

from . import (  # noqa: F401  importing registers them
    beit3,
    blip,
    captions,
    clip_layout,
    generation,
    inference,
    model,
    momentum,
    objectives,
    one_peace,
    predictions,
    preprocessor,
    projections,
    text_encoder,
    tokenizers,
    towers,
    visual_bert,
    vqkd,
)
