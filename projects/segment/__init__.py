"""Semantic segmentation of images, volumes and spectral cubes: one `Segmentor`; the map of papers is in README.md."""

from . import (  # noqa: F401  importing registers the parts
    conv_encoder,
    fcn,
    file_grid,
    heads,
    inference,
    preprocessor,
    restore,
    segmentor,
    sliding,
    supervision,
    swin_unet,
    swin_unetr,
    terms,
    token_bottleneck,
    trans_unet,
    u_net,
    unetr,
    up_decoder,
    vt_unet,
)
