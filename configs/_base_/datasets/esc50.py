# ESC-50, sounds of five seconds of 50 classes, all five folds for the test of models that never saw them, at 44.1 kHz
# as published. Another folder: --cfg-options data_root=FOLDER, which holds meta/esc50.csv and audio/.
_base_ = './loaders.py'
data_root = 'data/esc50/'
pipeline = [dict(type='mmparts.LoadSound', resample=True), dict(type='mmparts.PackMultimodal', keys=('audio',))]
train_dataloader = val_dataloader = None
test_dataloader = dict(
    batch_size=8,
    num_workers=4,
    dataset=dict(
        type='mmparts.LabelledSounds',
        data_root=data_root,
        ann_file='meta/esc50.csv',
        data_prefix=dict(audio='audio/'),
        test_mode=True,
        pipeline=pipeline,
    ),
)
test_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1, 5))
