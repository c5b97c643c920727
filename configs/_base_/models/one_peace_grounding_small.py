# A ONE-PEACE of a few minutes that finds what a phrase means, on images of 96 pixels, with the words of the
# generated set.
_base_ = ['./one_peace_grounding.py', './shapes_words.py']
arch = dict(embed_dims=128, num_layers=4, num_heads=4, mlp_dims=256)
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(prefix='', tokenizer=dict(_delete_=True, **_base_.tokenizer)))),
    towers=dict(
        image=dict(arch=arch, image_size=96, bias_size=96),
        text=dict(_delete_=True, type='mmparts.PlacedWords', arch=arch, max_length=64, layer_tables=True),
    ),
    fusion=dict(arch=arch, drop_path=0.0, layer_scale=1.0),
    objectives=dict(box=dict(read=dict(num_heads=4), head=dict(hidden_dims=256))),
)
