# A CLIP for two cores: a small ResNet with attention pool at 64 pixels, a text tower of one layer.
_base_ = './clip_resnet.py'
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=dict(context_length=32)))),
    towers=dict(
        image=dict(
            backbone=dict(arch=dict(_delete_=True, num_blocks=(1, 1, 1, 1), width=24, out_dims=128, image_size=64))
        ),
        text=dict(embed_dims=128, num_layers=1, num_heads=4),
    ),
    projections=dict(text=128),
    objectives=dict(contrastive=dict(keys=dict(type='mmparts.EqualTextKeys'))),
)
