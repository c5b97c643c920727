# HTC++ on Swin-L (ImageNet-22k), 72 epochs. COCO val box AP: 57.1 (paper), mask AP: 49.5 (paper).
# mmdet's Hybrid Task Cascade with its branch for semantic maps, a transformer layer on the last map, box heads of four
# convolutions, sizes of 400 to 1400 pixels, soft NMS; 284 million parameters (paper).
# Not here: InstaBoost. mmdet's transform calls instaboostfast 0.1.2, which stops with NumPy 1.24 and later at the first
# object of several outlines. COCO's semantic maps: `stuffthingmaps/` of https://github.com/nightrowl/cocostuff.
_base_ = ['mmdet::htc/htc_r50_fpn_1x_coco.py', '../_base_/models/box_heads.py']
model = dict(
    backbone=dict(
        _delete_=True,
        type='mmparts.Swin',
        arch='large',
        drop_path=0.2,
        with_cp=True,
        init_cfg=dict(
            type='mmparts.OfficialWeights', checkpoint='data/pretrained/swin_large_patch4_window7_224_22k.pth'
        ),
    ),
    neck=[
        dict(type='mmparts.LastMapAttention', in_channels=1536),
        dict(type='FPN', in_channels=[192, 384, 768, 1536], out_channels=256, num_outs=5),
    ],
    roi_head=dict(bbox_head=[dict(each, reg_class_agnostic=True) for each in _base_.box_heads]),
    test_cfg=dict(rcnn=dict(nms=dict(type='soft_nms'))),
)
train_pipeline = [
    dict(type='mmparts.LoadCheckedImage'),
    dict(type='LoadAnnotations', with_bbox=True, with_mask=True, with_seg=True),
    dict(type='RandomResize', scale=[(1600, 400), (1600, 1400)], keep_ratio=True),
    dict(type='RandomFlip', prob=0.5),
    dict(type='PackDetInputs'),
]
train_dataloader = dict(batch_size=1, dataset=dict(type='mmparts.CheckedCocoDataset', pipeline=train_pipeline))
train_cfg = dict(max_epochs=72)
optim_wrapper = dict(
    _delete_=True,
    type='OptimWrapper',
    constructor='mmparts.ParamwiseConstructor',
    optimizer=dict(type='AdamW', lr=1e-4, weight_decay=0.05),
    paramwise_cfg=dict(spare_norms=True, no_decay=('relative_position_bias_table',)),
)
param_scheduler = [
    dict(type='LinearLR', start_factor=0.001, by_epoch=False, begin=0, end=500),
    dict(type='MultiStepLR', by_epoch=True, milestones=[63, 69], gamma=0.1),
]
