# VQA v2, images of 480 pixels, changed as in BLIP's fine-tuning. Another folder: --cfg-options data_root=FOLDER, which
# holds COCO's images of 2014 and the files of questions and answers.
_base_ = './loaders.py'
data_root = 'data/vqa/'
load = dict(type='mmparts.LoadCheckedImage')
crop = dict(type='mmparts.RandomAreaCrop', size=480, area=(0.5, 1.0), interpolation='bicubic')
flip = dict(type='RandomFlip', prob=0.5)
changes = dict(type='mmparts.RandomChanges', level=5, deviation=0.0, recolour=False, fill=(128, 128, 128))
resize = dict(type='mmcv.Resize', scale=(480, 480), interpolation='bicubic', backend='pillow')
pack = dict(type='mmparts.PackQuestion')
train_pipeline = [load, crop, flip, changes, pack]
test_pipeline = [load, resize, pack]
train_dataloader = dict(
    batch_size=16,
    num_workers=4,
    drop_last=True,
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
