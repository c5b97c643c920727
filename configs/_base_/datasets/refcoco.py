# RefCOCO in the files of MDETR (https://github.com/ashkamath/mdetr), phrases of objects in images of COCO's train2014.
# Another folder: --cfg-options data_root=FOLDER, which holds mdetr_annotations/ and train2014/.
_base_ = './loaders.py'
data_root = 'data/coco/'
load = dict(type='mmparts.LoadCheckedImage')
resize = dict(type='mmcv.Resize', scale=(384, 384), interpolation='bicubic', backend='pillow')
blur = dict(type='mmparts.RandomImageBlur', prob=0.5, radius=(0.1, 2.0))
pack = dict(type='mmparts.PackMultimodal', texts='first')
train_pipeline = [load, resize, blur, pack]
test_pipeline = [load, resize, pack]
train_dataloader = dict(
    batch_size=4,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.ReferredObjects',
        data_root=data_root,
        ann_file='mdetr_annotations/finetune_refcoco_train.json',
        data_prefix=dict(img='train2014/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=4,
    num_workers=4,
    dataset=dict(
        type='mmparts.ReferredObjects',
        data_root=data_root,
        ann_file='mdetr_annotations/finetune_refcoco_val.json',
        data_prefix=dict(img='train2014/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.PhraseBoxes')
test_evaluator = val_evaluator
