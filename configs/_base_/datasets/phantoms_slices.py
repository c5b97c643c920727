# Generated nested ellipsoids slice by slice, for 2-D models that see volumes (SliceInference): edema and core, FLAIR.
_base_ = './phantoms_nested_labels.py'
crop_size = (32, 32)
# The regions of BraTS by class number, and what each paints, for models of sigmoid regions.
regions = dict(WT=(1, 2, 3), TC=(1, 3), ET=(3,))
paint = dict(WT=2, TC=1, ET=3)

train_pipeline = [
    *_base_.load,
    dict(type='mmparts.ZScore', nonzero=True),
    dict(type='mmparts.RandomSlice', foreground=0.7),
    dict(type='mmseg.RandomRotFlip', rotate_prob=0.5, flip_prob=0.5, degree=20),
    dict(type='mmseg.Resize', scale=crop_size, keep_ratio=False),
    dict(type='mmseg.PackSegInputs'),
]
train_dataloader = dict(batch_size=8, dataset=dict(pipeline=train_pipeline))
