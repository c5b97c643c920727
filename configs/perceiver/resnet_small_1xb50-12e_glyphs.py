# A small ResNet-18 on pixels with Fourier features, single shapes: the raw images of the permutation table.
_base_ = './perceiver-fourier_small_1xb50-12e_glyphs.py'
model = dict(
    backbone=dict(
        backbone=dict(
            _delete_=True,
            type='mmdet.ResNet',
            depth=18,
            in_channels=37,
            base_channels=16,
            num_stages=3,
            strides=(1, 1, 1),
            dilations=(1, 1, 1),
            out_indices=(2,),
            norm_eval=False,
        ),
        double=False,
    )
)
