# BraTS 2021 as exclusive labels, scored as regions (TransBTS, BiTr-Unet).
_base_ = './brats2021.py'
train_dataloader = dict(dataset=dict(targets='labels'))
val_dataloader = dict(dataset=dict(targets='labels'))
test_dataloader = val_dataloader
