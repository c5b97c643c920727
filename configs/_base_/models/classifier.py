# A classifier; a config brings the backbone. Input statistics are ImageNet's; ViT's own are those of `half`.
half = dict(mean=[127.5, 127.5, 127.5], std=[127.5, 127.5, 127.5])
model = dict(
    type='mmparts.Classifier',
    data_preprocessor=dict(
        type='ImgDataPreprocessor', mean=[123.675, 116.28, 103.53], std=[58.395, 57.12, 57.375], bgr_to_rgb=True
    ),
    head=dict(type='mmparts.LinearClassHead'),
    loss=dict(type='mmparts.SoftmaxLoss'),
)
