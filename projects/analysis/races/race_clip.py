"""CLIP ViT-B/32 against open_clip, the same weights: images, texts of the full context, and captions as they are."""

from collections.abc import Iterator

import torch
from mmengine.config import Config
from torch import Tensor

from ...multimodal.clip_layout import as_openai
from ...multimodal.states import Texts
from ...registry import MODELS
from ...shipped import config

END = 49407


def clip(images: int = 8, texts: int = 16, caption: int = 12) -> Iterator[dict]:
    """As keyword arguments of `Workload`.

    Args:
        caption: tokens of a caption; open_clip pads each text to 77.
    """
    from open_clip.model import CLIP, CLIPTextCfg, CLIPVisionCfg

    torch.manual_seed(0)
    ours = MODELS.build(Config.fromfile(config('_base_/models/clip_vit.py')).model).eval().requires_grad_(False)
    vision = CLIPVisionCfg(layers=12, width=768, patch_size=32, image_size=224)
    text = CLIPTextCfg(context_length=77, vocab_size=49408, width=512, heads=8, layers=12)
    theirs = CLIP(512, vision, text, quick_gelu=True).eval().requires_grad_(False)
    theirs.load_state_dict(as_openai(ours))

    batch = torch.randn(images, 3, 224, 224)
    yield dict(
        name=f'CLIP B/32, {images} images',
        ours=lambda: [ours(dict(image=batch))['image']],
        peers={'open_clip': lambda: [theirs.encode_image(batch, normalize=True)]},
        tolerance=1e-5,
        goal=1.0,
    )
    for name, length in (('of 77 tokens', 77), (f'of {caption} tokens', caption)):
        ids, padded = ids_of(texts, length)
        given = Texts(ids, torch.ones_like(ids, dtype=torch.bool))
        yield dict(
            name=f'CLIP B/32, {texts} texts {name}',
            ours=lambda given=given: [ours(dict(text=given))['text']],
            peers={'open_clip': lambda padded=padded: [theirs.encode_text(padded, normalize=True)]},
            tolerance=1e-5,
            goal=1.0,
        )


def ids_of(texts: int, length: int) -> tuple[Tensor, Tensor]:
    """Texts of so many tokens with their end, and the same padded to 77."""
    ids = torch.randint(1, 49000, (texts, length))
    ids[:, -1] = END
    return ids, torch.nn.functional.pad(ids, (0, 77 - length))


CASES = {'clip': clip}
