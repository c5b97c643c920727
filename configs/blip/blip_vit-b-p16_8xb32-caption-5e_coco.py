# BLIP ViT-B/16 that writes captions of COCO. CIDEr 133.3 (paper).
_base_ = [
    '../_base_/models/blip_caption.py',
    '../_base_/datasets/coco_captions.py',
    '../_base_/schedules/schedule_blip_tune.py',
    '../_base_/multimodal_runtime.py',
]
val_evaluator = dict(_delete_=True, type='mmparts.CaptionScores')
test_evaluator = val_evaluator
