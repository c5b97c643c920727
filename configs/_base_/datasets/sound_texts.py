# Sounds at 16 kHz with texts. Another folder: --cfg-options data_root=FOLDER, which holds
# sounds/, train.json and val.json.
_base_ = './loaders.py'
data_root = 'data/sound_texts/'
load = dict(type='mmparts.LoadSound')
pack = dict(type='mmparts.PackMultimodal', texts='random', keys=('audio',))
train_pipeline = [load, pack]
test_pipeline = [load, dict(type='mmparts.PackMultimodal', keys=('audio',))]
train_dataloader = dict(
    batch_size=32,
    num_workers=4,
    drop_last=True,
    dataset=dict(
        type='mmparts.SoundTexts',
        data_root=data_root,
        ann_file='train.json',
        data_prefix=dict(audio='sounds/'),
        pipeline=train_pipeline,
    ),
)
val_dataloader = dict(
    batch_size=32,
    num_workers=4,
    dataset=dict(
        type='mmparts.SoundTexts',
        data_root=data_root,
        ann_file='val.json',
        data_prefix=dict(audio='sounds/'),
        test_mode=True,
        pipeline=test_pipeline,
    ),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall', between=('audio', 'text'))
test_evaluator = val_evaluator
