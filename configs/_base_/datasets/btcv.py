# Thirteen organs of BTCV as UNETR trains them: RAS, 1.5 x 1.5 x 2 mm, HU from -175 to 250, patches of 96 x 96 x 96.
_base_ = './volumes.py'
data_root = 'data/synapse/'
patch_size = (96, 96, 96)
organs = (
    'background',
    'spleen',
    'right_kidney',
    'left_kidney',
    'gallbladder',
    'esophagus',
    'liver',
    'stomach',
    'aorta',
    'inferior_vena_cava',
    'portal_and_splenic_vein',
    'pancreas',
    'right_adrenal_gland',
    'left_adrenal_gland',
)
metainfo = dict(labels={name: value for value, name in enumerate(organs)})
grid = [
    dict(type='mmparts.Orientation', axes='RAS'),
    dict(type='mmparts.Spacing', spacing=(1.5, 1.5, 2.0), order=1, label_order=0),
    dict(type='mmparts.WindowIntensity', low=-175, high=250),
    dict(type='mmparts.CropForeground'),
]
both = ('img', 'gt_seg_map')

train_pipeline = [
    *_base_.load,
    *grid,
    dict(type='mmparts.FindForeground'),
    dict(type='mmparts.RandomPatch', size=patch_size, foreground=0.5, balance='voxel'),
    dict(type='mmparts.RandomMirror', prob=0.2),
    dict(type='mmparts.MonaiTransform', transform='RandRotate90d', keys=both, prob=0.2, max_k=3),
    dict(type='mmparts.RandomBrightness', factor=(0.9, 1.1), prob=0.1),
    dict(type='mmparts.MonaiTransform', transform='RandShiftIntensityd', offsets=0.1, prob=0.1),
    _base_.pack,
]
test_pipeline = [_base_.load_image, *grid, _base_.load_label, _base_.pack]
dataset = dict(data_root=data_root, layout='synapse', metainfo=metainfo)
train_dataloader = dict(batch_size=4, sampler=dict(draws=4), dataset=dict(**dataset, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(**dataset, pipeline=test_pipeline))
test_dataloader = val_dataloader
