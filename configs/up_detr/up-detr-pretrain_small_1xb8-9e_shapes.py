# UP-DETR, small, pre-training on the images of the generated set, over a backbone with random weights.
_base_ = [
    '../_base_/models/up_detr_pretrain_small.py',
    '../_base_/datasets/unlabelled_patches.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
model = dict(num_classes=2)
val_cfg = test_cfg = None

data_root = 'data/shapes/'
train_pipeline = [
    _base_.load_image,
    dict(type='mmparts.RandomPatchBoxes', num={{_base_.num_patches}}),
    dict(type='Resize', scale=(128, 128), keep_ratio=True),
    dict(type='mmparts.CutPatches', size=64),
    _base_.pack_patches,
]
train_dataloader = dict(batch_size=8, num_workers=2, dataset=dict(data_root=data_root, pipeline=train_pipeline))
