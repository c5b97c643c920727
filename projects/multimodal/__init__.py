"""Vision-language and other modalities: `MultimodalModel`, towers x fusion x objectives. See README.md."""

from . import clip_layout, generation, inference, model, objectives, preprocessor, text_encoder, tokenizers, towers  # noqa: F401  importing registers them
