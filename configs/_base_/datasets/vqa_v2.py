# VQA v2, images of 480 pixels. Another folder: --cfg-options data_root=FOLDER, which holds COCO's images of 2014 and
# the files of questions and answers.
data_root = 'data/vqa/'
load = dict(type='mmparts.LoadCheckedImage')
resize = dict(type='mmcv.Resize', scale=(480, 480), interpolation='bicubic', backend='pillow')
train_pipeline = [
    load,
    dict(type='mmparts.RandomAreaCrop', size=480, area=(0.5, 1.0), interpolation='bicubic'),
    dict(type='mmparts.PackQuestion'),
]
test_pipeline = [load, resize, dict(type='mmparts.PackQuestion')]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    drop_last=True,
    sampler=dict(type='DefaultSampler', shuffle=True),
    dataset=dict(
        type='mmparts.VqaQuestions',
        data_root=data_root,
        ann_file='v2_OpenEnded_mscoco_train2014_questions.json',
        answer_file='v2_mscoco_train2014_annotations.json',
        data_prefix=dict(img='train2014/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=16,
    num_workers=4,
    persistent_workers=True,
    sampler=dict(type='DefaultSampler', shuffle=False),
    dataset=dict(
        type='mmparts.VqaQuestions',
        data_root=data_root,
        ann_file='v2_OpenEnded_mscoco_val2014_questions.json',
        answer_file='v2_mscoco_val2014_annotations.json',
        data_prefix=dict(img='val2014/'),
        image_name='COCO_val2014_{:012d}.jpg',
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.VqaAccuracy')
test_evaluator = val_evaluator
