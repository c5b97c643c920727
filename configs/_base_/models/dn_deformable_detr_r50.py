# DN-Deformable-DETR: DAB-Deformable-DETR that also trains on noised copies of the objects.
_base_ = './dab_deformable_detr_r50.py'
model = dict(
    queries=dict(indicator=True),
    groups=[
        dict(
            type='mmparts.Denoising',
            num=500,
            copies=5,
            label_noise=0.2,
            box_noise=0.4,
            contrastive=False,
            indicator=True,
            local_norm=True,
        )
    ],
)
