# Nuclei of Data Science Bowl 2018 as one class, 73 images; every fifth validates.
_base_ = './images_semantic.py'
data_root = 'data/dsb2018_nuclei/'
metainfo = dict(classes=('background', 'nucleus'))
num_images = 73
crop_size = (256, 256)
load_image = dict(type='mmparts.LoadCheckedImage')
load_map = dict(type='mmparts.LoadForeground')
resize = dict(type='mmseg.Resize', scale=crop_size, keep_ratio=False)

pack = dict(type='mmseg.PackSegInputs')
train_pipeline = [load_image, load_map, resize, _base_.flip, pack]
crop_pipeline = [*train_pipeline[:-1], dict(type='mmseg.RandomCrop', crop_size=(128, 128)), pack]
test_pipeline = [load_image, resize, load_map, pack]
dataset = dict(
    data_root=data_root,
    metainfo=metainfo,
    data_prefix=dict(img_path='images', seg_map_path='instance_maps'),
    img_suffix='.png',
    seg_map_suffix='.png',
)
train_dataloader = dict(
    dataset=dict(**dataset, indices=[index for index in range(num_images) if index % 5], pipeline=train_pipeline)
)
val_dataloader = dict(dataset=dict(**dataset, indices=list(range(0, num_images, 5)), pipeline=test_pipeline))
test_dataloader = val_dataloader
