# DINO, small, whose classes are texts of a small CLIP: trained on 50 names of colour and kind, tested on 10 others.
# The text tower is that of clip_small_1xb64-4e_shapes, as data/pretrained/clip_small_shapes.pth.
_base_ = [
    '../_base_/models/dino_small.py',
    '../_base_/datasets/shapes_combinations.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    num_classes=50,
    queries=dict(class_agnostic=True),
    groups=[dict(type='mmparts.Denoising', num=30)],
    head=dict(
        branches=dict(
            classes=dict(
                type='mmparts.TextClassBranch',
                prompts={{_base_.seen}},
                text=dict(
                    type='mmparts.TextEncoder',
                    tokenizer=dict(type='mmparts.ClipTokenizer', context_length=32),
                    tower=dict(type='mmparts.CausalTextTower', embed_dims=128, num_layers=1, num_heads=4),
                    out_dims=128,
                    checkpoint='data/pretrained/clip_small_shapes.pth',
                ),
            )
        )
    ),
)
train_cfg = dict(max_epochs=18)
default_hooks = dict(class_names=dict(type='mmparts.ClassNamesHook'))
auto_scale_lr = dict(base_batch_size=16)
