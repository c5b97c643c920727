# SpecTr of the journal (2023): norms of the bands, scaled branches, a block across the scales, a pyramid on the way up.
_base_ = './spectr.py'
model = dict(
    encoder=dict(channels=(32, 64, 128, 256), band_norm=True, layer_scale=0.01, out_norm=False),
    bottleneck=dict(type='mmparts.CrossScaleBottleneck'),
    decoder=dict(_delete_=True, type='mmparts.CubePyramidDecoder'),
)
