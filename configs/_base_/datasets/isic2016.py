# Skin lesions of ISIC 2016 at 512 x 512: 900 images train, the challenge's test images validate.
_base_ = './isic2018.py'
data_root = 'data/isic2016/'
train_prefix = dict(
    img_path='ISBI2016_ISIC_Part1_Training_Data', seg_map_path='ISBI2016_ISIC_Part1_Training_GroundTruth'
)
val_prefix = dict(img_path='ISBI2016_ISIC_Part1_Test_Data', seg_map_path='ISBI2016_ISIC_Part1_Test_GroundTruth')
suffix = '_Segmentation.png'
train_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=train_prefix, seg_map_suffix=suffix))
val_dataloader = dict(dataset=dict(data_root=data_root, data_prefix=val_prefix, seg_map_suffix=suffix))
test_dataloader = val_dataloader
