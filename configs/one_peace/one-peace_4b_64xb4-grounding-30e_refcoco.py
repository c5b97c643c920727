# ONE-PEACE that finds the box of a phrase in images of 384 pixels, from the pre-training (load_from). RefCOCO, accuracy
# at IoU 0.5: val 92.58, testA 94.18, testB 89.26 (paper). Another split:
# --cfg-options test_dataloader.dataset.ann_file=mdetr_annotations/finetune_refcoco_testA.json
_base_ = [
    '../_base_/models/one_peace_grounding.py',
    '../_base_/datasets/refcoco.py',
    '../_base_/schedules/schedule_one_peace_tune.py',
    '../_base_/multimodal_runtime.py',
]
train_cfg = dict(max_epochs=30)
optim_wrapper = dict(optimizer=dict(lr=1.5e-4))
param_scheduler = [
    dict(type='LinearLR', start_factor=1 / 150, by_epoch=True, begin=0, end=3, convert_to_iter_based=True),
    dict(type='CosineAnnealingLR', eta_min_ratio=1 / 150, by_epoch=True, begin=3, end=30, convert_to_iter_based=True),
]
auto_scale_lr = dict(base_batch_size=256)
