# VGGSound: what is heard in ten seconds of a video, one of 309 classes. Another folder: --cfg-options data_root=FOLDER,
# which holds vggsound.csv and sounds/, WAV files of 16 kHz called ID_SECOND.wav; those that are gone are left out.
_base_ = './loaders.py'
data_root = 'data/vggsound/'
pipeline = [dict(type='mmparts.LoadSound'), dict(type='mmparts.PackMultimodal', keys=('audio',))]
of_table = dict(
    type='mmparts.LabelledSounds',
    data_root=data_root,
    ann_file='vggsound.csv',
    data_prefix=dict(audio='sounds/'),
    columns=('video', 'second', 'label', 'split'),
    file='{video}_{second:0>6}.wav',
    label='label',
    skip_missing=True,
    pipeline=pipeline,
)
train_dataloader = dict(
    batch_size=8, num_workers=4, drop_last=True, dataset=dict(where=dict(split=['train']), **of_table)
)
val_dataloader = dict(batch_size=8, num_workers=4, dataset=dict(where=dict(split=['test']), test_mode=True, **of_table))
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.TopKAccuracy', topk=(1, 5))
test_evaluator = val_evaluator
