# U-Net with padded convolutions and batch norm, what most people mean by the name.
_base_ = './u_net.py'
block = dict(_delete_=True, type='mmparts.DoubleConv')
model = dict(
    data_preprocessor=dict(size_divisor=16),
    encoder=dict(block=block, dropout=0.0, crops=False),
    decoder=dict(level=dict(block=block), crops=False),
    terms=[dict(type='mmparts.CrossEntropyTerm'), dict(type='mmparts.SoftDiceTerm')],
)
