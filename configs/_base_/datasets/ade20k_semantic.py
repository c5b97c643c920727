# ADE20K, 150 classes, every class of an image an instance. Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/ADEChallengeData2016/'
num_classes = 150
crop_size = (512, 512)

load_map = dict(type='LoadAnnotations', with_bbox=False, with_label=False, with_seg=True, reduce_zero_label=True)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    load_map,
    dict(type='RandomResize', scale=(2048, 512), ratio_range=(0.5, 2.0), keep_ratio=True),
    dict(type='RandomCrop', crop_size=crop_size),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PhotoMetricDistortion'),
    dict(type='mmparts.SemanticInstances', num_classes=num_classes),
    dict(type='PackDetInputs'),
]
test_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='Resize', scale=(2048, 512), keep_ratio=True),
    load_map,
    dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor')),
]
train_dataloader = dict(
    dataset=dict(
        type='ADE20KSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/training', seg_map_path='annotations/training'),
        pipeline=train_pipeline,
    )
)
val_dataloader = dict(
    dataset=dict(
        type='ADE20KSegDataset',
        data_root=data_root,
        data_prefix=dict(img_path='images/validation', seg_map_path='annotations/validation'),
        test_mode=True,
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(type='SemSegMetric', iou_metrics=['mIoU'])
test_evaluator = val_evaluator
