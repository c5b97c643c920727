# The small BEiT-3 finds images and texts, from its pre-trained weights.
_base_ = './beit3_small_1xb32-2e_shapes.py'
model = dict(
    projections=dict(image=128, text=128),
    objectives=dict(
        _delete_=True, contrastive=dict(type='mmparts.Contrastive', keys=dict(type='mmparts.EqualTextKeys'))
    ),
    inference=dict(_delete_=True, type='mmparts.Embeddings'),
)
load_from = 'work_dirs/beit3_small_1xb32-2e_shapes/epoch_2.pth'
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal')]
train_dataloader = dict(batch_size=64)
val_dataloader = dict(dataset=dict(pipeline=test_pipeline))
test_dataloader = val_dataloader
val_cfg = dict(loss=False)
val_evaluator = dict(_delete_=True, type='mmparts.EqualTextRecall')
test_evaluator = val_evaluator
default_hooks = dict(checkpoint=dict(save_best='image_R@1', rule='greater'))
auto_scale_lr = dict(base_batch_size=64)
