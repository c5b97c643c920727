# UPerNet at a size for two cores; a config brings the encoder.
_base_ = './upernet.py'
model = dict(
    encoder=dict(), decoder=dict(mid_channels=64), auxiliary=dict(fcn=dict(index=2, mid_channels=32)), num_classes=11
)
