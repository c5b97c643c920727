# Images of names that no training image had, told apart by name among all 60 of colour and kind.
_base_ = './clip_small_1xb64-8e_shapes.py'
# Prompts in the form of the captions, which all name a place: without one, unseen names do worse.
templates = (
    'A {} on the grass.',
    'A {} on the sand.',
    'A {} on the water.',
    'A {} against a cloudy sky.',
    'A {} in front of a brick wall.',
    'A {} on the grass in front of a brick wall.',
    'A {} on the sand under the sky.',
    'A {} between a brick wall and water.',
)
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
