# A small Perceiver on pixels with Fourier features, single shapes: the raw images of the permutation table.
_base_ = [
    '../_base_/models/permuted_pixels.py',
    '../_base_/datasets/glyphs_classification.py',
    '../_base_/schedules/schedule_classify_12e.py',
    '../_base_/classification_runtime.py',
]
