# A BLIP of a few minutes: images of 64 pixels, four layers of ViT and three of MED, words of the generated set.
_base_ = ['./blip_pretrain.py', './shapes_words.py']
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=_base_.tokenizer))),
    towers=dict(
        image=dict(
            backbone=dict(
                arch=dict(_delete_=True, embed_dims=128, num_layers=4, num_heads=4), patch_size=8, image_size=64
            )
        ),
        text=dict(arch=dict(embed_dims=128, num_layers=3, num_heads=4), memory_dims=128, max_length=64, dropout=0.0),
    ),
    decoder=dict(arch=dict(embed_dims=128, num_layers=3, num_heads=4), memory_dims=128, max_length=64, dropout=0.0),
    projections=dict(image=dict(out_dims=64), text=dict(out_dims=64)),
    objectives=dict(contrastive=dict(keys=dict(dims=64, size=2048), targets=dict(ramp=500))),
    inference=dict(
        type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=40, min_length=5)
    ),
)
