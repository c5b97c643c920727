"""BLIP base writing captions of images by beam search, against transformers', with the same weights."""

from collections.abc import Iterator

import torch
from mmengine.config import Config
from torch import Tensor

from ...multimodal.blip.checkpoint import BlipTransformersLayout
from ...multimodal.generation import BeamSearch
from ...multimodal.states import State
from ...registry import MODELS
from ...shipped import config

DEC, SEP = 30522, 102
PROMPT = [DEC, 1037, 3861, 1997]  # [DEC] a picture of


def captioning(images: int = 8, beams: int = 3, length: int = 20, size: int = 384) -> Iterator[dict]:
    """As keyword arguments of `race.Workload`; every text is as long as it may be, so that both write as many words."""
    from transformers import BlipConfig, BlipForConditionalGeneration

    torch.manual_seed(0)
    tokens = dict(bos_token_id=DEC, eos_token_id=SEP, sep_token_id=SEP, pad_token_id=0)
    peer_config = BlipConfig(
        text_config=dict(vocab_size=30524, encoder_hidden_size=768, max_position_embeddings=512, **tokens),
        vision_config=dict(image_size=size, layer_norm_eps=1e-6),
    )
    theirs = BlipForConditionalGeneration(peer_config).eval().requires_grad_(False)
    for parameter in theirs.text_decoder.parameters():
        parameter.mul_(4)  # weights as they start find all words as likely: no order of the beams is left to compare
    ours = MODELS.build(Config.fromfile(config('_base_/models/blip_caption.py')).model).eval().requires_grad_(False)
    ours.load_state_dict(BlipTransformersLayout.convert(theirs.state_dict(), ours).state)
    search = BeamSearch(num_beams=beams, max_length=length, min_length=length)
    batch = torch.randn(images, 3, size, size)

    @torch.no_grad()
    def write() -> list[Tensor]:
        memory = State(tokens=ours.towers['image'](batch).tokens)
        prompt = torch.tensor([PROMPT] * images)
        return [
            torch.tensor([text.ids[: length - 1] for text in search(ours.decoder.writer(memory), prompt, SEP)]).float()
        ]

    @torch.no_grad()
    def write_theirs() -> list[Tensor]:
        prompt = torch.tensor([[*PROMPT, SEP]] * images)
        found = theirs.generate(batch, prompt, num_beams=beams, max_length=length, min_length=length)
        return [found[:, : length - 1].float()]

    yield dict(
        name=f'BLIP base, captions of {images} images of {size} pixels, {length} tokens, beam {beams}',
        ours=write,
        peers=dict(transformers=write_theirs),
        tolerance=0.0,
        goal=1.5,
    )


CASES = {'blip-captions': captioning}
