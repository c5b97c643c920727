# BAT: DeepLab v3's ResNet-50, a transformer of six gated layers, ASPP; Dice and the focal loss of the gates.
model = dict(
    type='mmparts.Segmentor',
    in_channels=3,
    data_preprocessor=dict(type='mmparts.SegmentPreprocessor', mean=0.0, std=255.0, bgr_to_rgb=True, size_divisor=16),
    encoder=dict(
        type='mmdet.ResNet',
        depth=50,
        strides=(1, 2, 2, 1),
        dilations=(1, 1, 1, 2),
        out_indices=(3,),
        norm_eval=False,
        init_cfg=dict(type='Pretrained', checkpoint='torchvision://resnet50'),
    ),
    bottleneck=dict(type='mmparts.BoundaryBottleneck'),
    decoder=dict(type='mmparts.ASPPDecoder'),
    head=dict(type='mmparts.RegionHead', regions=dict(lesion=(1,)), paint=dict(lesion=1)),
    terms=[dict(type='mmparts.SoftDiceTerm', squared=True, over_batch=True), dict(type='mmparts.KeyPointTerm')],
)
