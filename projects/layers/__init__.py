"""The bricks that papers of all families are built of; torch and mmcv only, plain tensors as arguments, n-D by the
length of a tuple.

| file | what |
|---|---|
| attention | `MultiheadAttention`: self or cross, one additive tensor for masks and biases |
| map_attention | `MapAttention`: of a map's tokens, all to all or within windows |
| residual | `Residual`, `residual`: the one place that knows norm order |
| mlp | `Mlp`, `GatedMlp`, `ConvMlp` |
| multiway | `Multiway`, `MultiwayBlock`: experts by modality around an attention |
| token_block | `TokenBlock`, `TokenBlocks`: Residual(attention) and Residual(mlp) |
| window_attention, window_grid | attention inside shifted windows, v1 and v2 |
| patch | `PatchEmbed`, `PatchMerging`, `PatchExpand` |
| position | learned grids with resize, rows and columns, sines, Fourier features, rotations |
| relative_bias | biases by distance: table, log-spaced buckets |
| conv_block | convolution, norm, activation; residual and up-convolutions |
| feature_spec | channels and strides of any backbone |
"""
