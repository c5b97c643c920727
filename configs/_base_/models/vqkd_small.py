# The rest of a VQ-KD on images of 64 pixels; its teacher is a map of the small CLIP's ResNet, on the grid of the codes.
_base_ = './vqkd.py'
model = dict(
    decoder=dict(arch=dict(embed_dims=96, num_layers=1, num_heads=4), image_size=8),
    teacher=dict(
        _delete_=True,
        type='mmparts.PatchTeacher',
        backbone=dict(
            type='mmparts.ClipResNet',
            arch=dict(num_blocks=(1, 1, 1, 1), width=24, out_dims=128, image_size=64),
            out='maps',
            out_indices=(1,),
        ),
        checkpoint='data/pretrained/clip_small_shapes.pth',
    ),
)
