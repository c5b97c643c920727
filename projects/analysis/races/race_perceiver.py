"""Perceiver IO of ImageNet (Fourier features) against transformers', the whole model on an image, with the same
weights.
"""

from collections.abc import Iterator

import torch

from ...registry import MODELS
from ...weights.convert import account


def imagenet(size: int = 224) -> Iterator[dict]:
    """A forward in eval, as keyword arguments of `race.Workload`."""
    from transformers import PerceiverConfig, PerceiverForImageClassificationFourier

    config = PerceiverConfig(
        num_latents=512,
        d_latents=1024,
        d_model=261,
        num_blocks=8,
        num_self_attends_per_block=6,
        num_self_attention_heads=8,
        num_cross_attention_heads=1,
        num_labels=1000,
    )
    theirs = PerceiverForImageClassificationFourier(config).eval()
    ours = MODELS.build(
        dict(
            type='mmparts.Classifier',
            backbone=dict(
                type='mmparts.Perceiver',
                inputs=dict(
                    type='mmparts.MapInput',
                    position=dict(type='mmparts.FourierPosition', num_bands=64, max_resolution=(224, 224)),
                ),
                encoder=dict(type='mmparts.LatentEncoder', gelu='erf'),
                queries=dict(type='mmparts.VectorQueries'),
                decoder=dict(type='mmparts.LatentDecoder', query_residual=True, gelu='erf'),
            ),
        )
    ).eval()
    ours.load_state_dict(account(theirs.state_dict(), ours).check().state)
    images = torch.randn(1, 3, size, size)

    def call(run):
        def forward():
            with torch.no_grad():
                return [run(images)]

        return forward

    yield dict(
        name=f'Perceiver IO, an image of {size} pixels, forward',
        ours=call(ours),
        peers=dict(transformers=call(lambda x: theirs(x).logits)),
        tolerance=1e-4,
        goal=1.0,
    )


CASES = {'perceiver-io': imagenet}
