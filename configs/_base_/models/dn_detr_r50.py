# DN-DETR: DAB-DETR that also trains on noised copies of the objects; five of each image's, within a budget of 500.
_base_ = './dab_detr_r50.py'
model = dict(
    queries=dict(content='shared', indicator=True),
    groups=[
        dict(
            type='mmparts.Denoising',
            num=500,
            copies=5,
            label_noise=0.2,
            box_noise=0.4,
            contrastive=False,
            indicator=True,
            spare_row=False,
            local_norm=True,
        )
    ],
)
