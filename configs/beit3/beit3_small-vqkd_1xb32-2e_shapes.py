# The small BEiT-3 whose visual tokens are those of the small VQ-KD instead of mean colours.
_base_ = ['./beit3_small_1xb32-2e_shapes.py', '../_base_/models/vqkd_small_tokenizer.py']
trained = 'work_dirs/vqkd_small_1xb64-1e_shapes/epoch_1.pth'
model = dict(objectives=dict(masked=dict(codes=dict(_delete_=True, **_base_.visual_tokenizer, checkpoint=trained))))
