# Perceiver IO that fills gaps in texts of 2,048 bytes. GLUE 81.0 (paper), from C4 and Wikipedia; bring your texts.
_base_ = [
    '../_base_/models/perceiver_io_bytes.py',
    '../_base_/datasets/text_files.py',
    '../_base_/schedules/schedule_lamb_iters.py',
    '../_base_/classification_runtime.py',
]
train_dataloader = dict(batch_size=8, sampler=dict(_delete_=True, type='InfiniteSampler', shuffle=True))
default_hooks = dict(checkpoint=dict(by_epoch=False, interval=10000))
log_processor = dict(by_epoch=False)
