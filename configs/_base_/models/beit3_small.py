# A BEiT-3 of a few minutes on images of 64 pixels, with the words of the generated set.
_base_ = ['./beit3_pretrain.py', './shapes_words.py']
arch = dict(_delete_=True, embed_dims=128, num_layers=4, num_heads=4)
model = dict(
    data_preprocessor=dict(inputs=dict(text=dict(tokenizer=dict(_delete_=True, **_base_.tokenizer)))),
    towers=dict(image=dict(arch=arch, patch_size=8), text=dict(arch=arch)),
    fusion=dict(arch=arch, patch_size=8, image_size=64, max_length=64, drop_path=0.0),
    objectives=dict(masked=dict(codes=dict(type='mmparts.ColourCodes', patch_size=8))),
)
