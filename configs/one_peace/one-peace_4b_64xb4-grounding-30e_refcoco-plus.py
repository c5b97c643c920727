# ONE-PEACE that finds the box of a phrase, on RefCOCO+. Accuracy at IoU 0.5:
# val 88.77, testA 92.21, testB 83.23 (paper).
_base_ = './one-peace_4b_64xb4-grounding-30e_refcoco.py'
train_dataloader = dict(dataset=dict(ann_file='mdetr_annotations/finetune_refcoco+_train.json'))
val_dataloader = dict(dataset=dict(ann_file='mdetr_annotations/finetune_refcoco+_val.json'))
test_dataloader = val_dataloader
