# mmdet's Mask R-CNN on ViT-Adapter-T (DeiT), multi-scale, 36 epochs. COCO val box AP: 46.0 (paper).
_base_ = [
    '../_base_/models/mask_rcnn_vit_adapter.py',
    '../_base_/datasets/coco_instance_multiscale.py',
    '../_base_/schedules/schedule_swin_36e.py',
    '../_base_/detection_runtime.py',
]
model = dict(
    backbone=dict(
        vit=dict(
            init_cfg=dict(
                type='mmparts.OfficialWeights', checkpoint='data/pretrained/deit_tiny_patch16_224-a1311bcf.pth'
            )
        )
    )
)
optim_wrapper = dict(paramwise_cfg=dict(no_decay=('level_embed', 'position', 'norm', 'bias')))
