# nnFormer on brain tumours of the Decathlon, scored as regions.
_base_ = [
    '../_base_/models/nn_former.py',
    '../_base_/datasets/msd_brain_tumour.py',
    '../_base_/schedules/schedule_nnunet_1000e.py',
    '../_base_/segmentation_runtime.py',
]
labels = dict(dataset=dict(targets='labels'))
train_dataloader = dict(batch_size=2, **labels)
val_dataloader = labels
test_dataloader = val_dataloader
