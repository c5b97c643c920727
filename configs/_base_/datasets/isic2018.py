# Skin lesions of ISIC 2018 (task 1) at 512 x 512 as BAT trains them; train and val folders as the challenge names them.
_base_ = './images_semantic.py'
data_root = 'data/isic2018/'
metainfo = dict(classes=('background', 'lesion'))
crop_size = (512, 512)
load_image = dict(type='mmparts.LoadCheckedImage')
load_map = dict(type='mmparts.LoadForeground')
resize = dict(type='mmseg.Resize', scale=crop_size, keep_ratio=False)

train_pipeline = [load_image, load_map, resize, _base_.flip, dict(type='mmseg.PackSegInputs')]
test_pipeline = [load_image, resize, load_map, dict(type='mmseg.PackSegInputs')]
dataset = dict(data_root=data_root, metainfo=metainfo, img_suffix='.jpg', seg_map_suffix='_segmentation.png')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        **dataset,
        data_prefix=dict(
            img_path='ISIC2018_Task1-2_Training_Input', seg_map_path='ISIC2018_Task1_Training_GroundTruth'
        ),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    dataset=dict(
        **dataset,
        data_prefix=dict(
            img_path='ISIC2018_Task1-2_Validation_Input', seg_map_path='ISIC2018_Task1_Validation_GroundTruth'
        ),
        pipeline=test_pipeline,
    )
)
test_dataloader = val_dataloader

val_evaluator = [
    dict(type='mmparts.VolumeMetric', measures=('Dice', 'IoU', 'HD95', 'ASSD'), prefix='image'),
    dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice']),
]
test_evaluator = val_evaluator
