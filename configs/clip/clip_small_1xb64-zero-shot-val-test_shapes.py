# Images of seen names, told apart by name among all 60 of colour and kind.
_base_ = './clip_small_1xb64-zero-shot-unseen-test_shapes.py'
test_dataloader = dict(dataset=dict(ann_file='annotations/combinations_val.json', data_prefix=dict(img='val/')))
