# A VisualBERT of a few minutes, on regions of a small DINO (64 channels).
_base_ = './visual_bert_pretrain.py'
arch = dict(embed_dims=128, num_layers=4, num_heads=4)
model = dict(
    data_preprocessor=dict(inputs=dict(regions=dict(dims=64))),
    towers=dict(text=dict(arch=arch, max_length=128), regions=dict(dims=64, arch=arch, max_length=128)),
    fusion=dict(arch=arch),
)
