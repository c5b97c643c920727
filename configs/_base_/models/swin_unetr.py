# Swin UNETR for four modalities and three regions, patches of 128 x 128 x 128; Dice of the regions.
model = dict(
    type='mmparts.Segmentor',
    dims=3,
    in_channels=4,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor'),
    encoder=dict(type='mmparts.MergingSwin', embed_dims=48),
    decoder=dict(type='mmparts.SwinUNETRDecoder'),
    head=dict(type='mmparts.RegionHead', num_classes=3),
    terms=[dict(type='mmparts.SoftDiceTerm')],
    inference=dict(type='mmparts.SlidingInference', size=(128, 128, 128)),
)
