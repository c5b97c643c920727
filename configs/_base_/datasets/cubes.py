# What data sets of hyperspectral cubes share: every band to mean 0 and deviation 1; crops and flips of all bands.
_base_ = './loaders.py'
load_cube = dict(type='mmparts.LoadCube')
pack = dict(
    type='mmseg.PackSegInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'wavelengths', 'cube_name', 'rows')
)
test_pipeline = [load_cube, pack]

train_dataloader = dict(batch_size=4, dataset=dict(type='mmparts.CubeDataset'))
val_dataloader = dict(dataset=dict(type='mmparts.CubeDataset', test_mode=True, pipeline=test_pipeline))
test_dataloader = val_dataloader

# aAcc is the overall accuracy (OA), mDice the mean over classes; pixels pooled, 255 ignored
val_evaluator = dict(type='mmseg.IoUMetric', iou_metrics=['mIoU', 'mDice'])
test_evaluator = val_evaluator
