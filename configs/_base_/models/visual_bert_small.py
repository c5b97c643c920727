# A VisualBERT of a few minutes, on regions of a small DINO (64 channels), with the words of the generated set.
_base_ = ['./visual_bert_pretrain.py', './shapes_words.py']
arch = dict(embed_dims=128, num_layers=4, num_heads=4, init_std=0.08)
model = dict(
    data_preprocessor=dict(
        inputs=dict(regions=dict(dims=64), text=dict(tokenizer=dict(**_base_.tokenizer, context_length=80)))
    ),
    towers=dict(text=dict(arch=arch, max_length=128), regions=dict(dims=64, arch=arch, max_length=128)),
    fusion=dict(arch=arch),
)
