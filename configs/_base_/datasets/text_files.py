# Texts, a file for each split (tools/make_arrays.py captions), 15 % of the words or bytes masked. Another folder:
# --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/captions/'
max_length = 2048
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='mmparts.TextFiles',
        data_root=data_root,
        data_prefix=dict(text='train.txt'),
        max_length=max_length,
        pipeline=[
            dict(type='mmparts.LoadText', max_length=max_length),
            dict(type='mmparts.MaskBytes', rate=0.15, words=True),
            dict(type='mmparts.PackText'),
        ],
    ),
)
val_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='mmparts.TextFiles',
        data_root=data_root,
        data_prefix=dict(text='val.txt'),
        max_length=max_length,
        test_mode=True,
        pipeline=[
            dict(type='mmparts.LoadText', max_length=max_length),
            dict(type='mmparts.MaskBytes', rate=0.15, words=True, seed=0),
            dict(type='mmparts.PackText'),
        ],
    ),
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.GapAccuracy')
test_evaluator = val_evaluator
