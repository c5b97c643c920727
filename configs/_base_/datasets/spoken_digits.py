# Spoken digits (Free Spoken Digit Dataset, 8 kHz) with their names and images of them; every third take is for
# validation, which asks for the image of the digit that was said. Another folder: --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/fsdd_spoken_digits/'
load = dict(type='mmparts.LoadSound', rate=8000, most=1.0)
pack = dict(type='mmparts.PackMultimodal', texts='first', keys=('audio',))
train_pipeline = [load, dict(type='mmparts.DrawDigit', size=64), pack]
test_pipeline = [load, dict(type='mmparts.DrawDigit', size=64, fixed=True), pack]
train_dataloader = dict(
    batch_size=16,
    num_workers=1,
    drop_last=True,
    dataset=dict(type='mmparts.SpokenDigits', data_root=data_root, takes=(5, 6), pipeline=train_pipeline),
)
val_dataloader = dict(
    batch_size=10,
    num_workers=1,
    dataset=dict(type='mmparts.SpokenDigits', data_root=data_root, takes=(7,), test_mode=True, pipeline=test_pipeline),
)
test_dataloader = val_dataloader
val_evaluator = dict(type='mmparts.RetrievalRecall', between=('image', 'audio'))
test_evaluator = val_evaluator
