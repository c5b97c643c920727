# ONE-PEACE that finds the box of a phrase, on RefCOCOg. Accuracy at IoU 0.5: val 89.22, test 89.27 (paper).
_base_ = './one-peace_4b_64xb4-grounding-30e_refcoco.py'
train_dataloader = dict(dataset=dict(ann_file='mdetr_annotations/finetune_refcocog_train.json'))
val_dataloader = dict(dataset=dict(ann_file='mdetr_annotations/finetune_refcocog_val.json'))
test_dataloader = val_dataloader
