# The generated set "shapes" (tools/make_shapes.py), boxes and masks.
_base_ = './shapes_detection.py'
train_pipeline = [_base_.load_image, _base_.load_masks, _base_.flip, _base_.resize, _base_.pack]
train_dataloader = dict(dataset=dict(pipeline=train_pipeline))
val_evaluator = dict(metric=['bbox', 'segm'])
test_evaluator = val_evaluator
