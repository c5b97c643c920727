# TransBridge, our interpretation, on the left ventricle of EchoNet-Dynamic; Dice 91.4 (paper).
_base_ = [
    '../_base_/models/trans_bridge.py',
    '../_base_/datasets/echonet.py',
    '../_base_/schedules/schedule_adam_200e.py',
    '../_base_/segmentation_runtime.py',
]
train_cfg = dict(max_epochs=100)
auto_scale_lr = dict(base_batch_size=16)
