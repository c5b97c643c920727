# Images of names that no training image had, told apart by name among all 60 of colour and kind.
_base_ = './clip_small_1xb64-4e_shapes.py'
templates = ('A {}.', 'A striped {}.', 'A dotted {}.', 'A checkered {}.', 'A shaded {}.', 'A speckled {}.')
model = dict(inference=dict(type='mmparts.ZeroShot', templates=templates))
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal', texts='none')]
test_dataloader = dict(
    dataset=dict(
        _delete_=True,
        type='mmparts.LargestObject',
        data_root=_base_.data_root,
        ann_file='annotations/combinations_unseen.json',
        data_prefix=dict(img='unseen/'),
        test_mode=True,
        pipeline=test_pipeline,
    )
)
test_evaluator = dict(_delete_=True, type='mmparts.TopKAccuracy', topk=(1, 5))
