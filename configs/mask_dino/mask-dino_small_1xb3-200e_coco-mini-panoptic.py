# Mask DINO, small, learns 26 COCO images by heart, objects and stuff: it validates on what it trains on.
_base_ = [
    '../_base_/models/mask_dino_small.py',
    '../_base_/datasets/coco_panoptic.py',
    '../_base_/schedules/schedule_small.py',
    '../_base_/detection_runtime.py',
]
things, num_classes = {{_base_.things}}, 133
model = dict(
    embed_dims=128,
    num_classes=num_classes,
    num_queries=100,
    groups=[dict(type='mmparts.Denoising', num=60, label_noise=0.2, box_noise=0.4, contrastive=False, spare_row=False)],
    encoder=dict(ffn_channels=256),
    queries=dict(boxes_from_masks=False),
    decoder=dict(ffn_channels=256),
    head=dict(
        branches=dict(masks=dict(num_points=4096)),  # segments of a few pixels are to have some
        select=dict(things=things),
        maps=[dict(type='mmparts.PanopticMap', things=things, num_classes=num_classes)],
    ),
)

data_root = 'data/coco_mini_panoptic/'
resize = dict(
    type='Resize', scale=(384, 384), keep_ratio=True
)  # the best masks of a quarter of this size reach a PQ of 91
train_pipeline = [
    _base_.load_image,
    _base_.load_map,
    dict(type='mmparts.PanopticInstances', things=things),
    resize,
    _base_.pack,
]
test_pipeline = [_base_.load_image, _base_.load_map, resize, _base_.pack_test_map]
pictures = dict(
    data_root=data_root,
    ann_file='annotations/panoptic_train2017.json',
    data_prefix=dict(img='train2017/', seg='annotations/panoptic_train2017/'),
)
train_dataloader = dict(batch_size=3, dataset=dict(pipeline=train_pipeline, **pictures))
val_dataloader = dict(dataset=dict(pipeline=test_pipeline, **pictures))
test_dataloader = val_dataloader

train_cfg = dict(max_epochs=200, val_interval=50)
auto_scale_lr = dict(base_batch_size=3)
