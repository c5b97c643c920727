# Swin v2-G, 3 billion parameters, at 192 pixels: shared out among processes (FSDP2), checkpoints in shards, recomputed
# blocks, extra norms. The paper had 70 million images.
_base_ = './swin-v2_t-w8_8xb128-300e_imagenet.py'
runner_type = 'mmparts.ShardedRunner'
fsdp = dict(checkpoint='sharded')
model = dict(backbone=dict(arch='giant', window_size=12, extra_norm_every=6, with_cp=True, drop_path=0.3))
train_dataloader = dict(batch_size=16)
