# DN-DETR on four levels, deformable encoder, dense decoder, three patterns, 50 epochs. COCO val box AP: 48.6 (paper).
_base_ = [
    '../_base_/models/dn_detr_deformable_encoder_r50.py',
    '../_base_/datasets/coco_detection.py',
    '../_base_/schedules/schedule_50e.py',
    '../_base_/detection_runtime.py',
]
model = dict(queries=dict(num_patterns=3))
train_dataloader = dict(batch_size=1)
