# DINO, Swin-L, shared out among processes (FSDP2), layers recomputed going back. COCO val box AP: 56.8 (paper).
_base_ = './dino-4scale_swin-l-p4-w12-384_8xb2-12e_coco.py'
runner_type = 'mmparts.ShardedRunner'
model = dict(encoder=dict(with_cp=True), decoder=dict(with_cp=True))
