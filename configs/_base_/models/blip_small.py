# A BLIP of half an hour: images of 64 pixels, a small ResNet (from scratch it learns kinds sooner than a ViT), three
# layers of MED, words of the generated set.
_base_ = ['./blip_pretrain.py', './shapes_words.py']
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=_base_.tokenizer))),
    towers=dict(
        image=dict(
            backbone=dict(
                _delete_=True,
                type='mmdet.ResNet',
                depth=18,
                base_channels=32,
                strides=(1, 2, 2, 1),
                out_indices=(3,),
                norm_eval=False,
                init_cfg=None,
            )
        ),
        text=dict(
            arch=dict(embed_dims=128, num_layers=3, num_heads=4, init_std=0.08),
            memory_dims=256,
            max_length=64,
            dropout=0.0,
        ),
    ),
    decoder=dict(
        arch=dict(embed_dims=128, num_layers=3, num_heads=4, init_std=0.08), memory_dims=256, max_length=64, dropout=0.0
    ),
    projections=dict(image=dict(out_dims=64), text=dict(out_dims=64)),
    momentum=dict(momentum=0.99),
    objectives=dict(
        contrastive=dict(
            keys=dict(dims=64, size=2048), targets=dict(ramp=500), scale=dict(_delete_=True, type='mmparts.LogitScale')
        )
    ),
    inference=dict(
        type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=40, min_length=5)
    ),
)
