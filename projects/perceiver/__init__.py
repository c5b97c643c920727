"""Perceiver and Perceiver IO: any array in, any array out.

| file | what |
|---|---|
| perceiver | `Perceiver`: the parts together; a backbone, too |
| inputs, features, position | input adapters: from data to an array with positions |
| encoder, blocks | from the array to latents |
| queries, decoder | from latents to outputs |
| multimodal | several modalities as one array, in and out |
| model, flow, masked_bytes, autoencoder, sets | models by task, and their preprocessors |
| layouts | published weights |
| permutation | `PermutedPixels`: any backbone on pixels in another order |
"""

from . import (  # noqa: F401  importing registers them
    autoencoder,
    decoder,
    encoder,
    features,
    flow,
    inputs,
    layouts,
    masked_bytes,
    model,
    multimodal,
    perceiver,
    permutation,
    position,
    queries,
    sets,
)
