# Generated nested ellipsoids as exclusive labels, scored as regions (TransBTS and BiTr-Unet train so).
_base_ = './phantoms_nested.py'
train_dataloader = dict(dataset=dict(targets='labels'))
val_dataloader = dict(dataset=dict(targets='labels'))
test_dataloader = val_dataloader
