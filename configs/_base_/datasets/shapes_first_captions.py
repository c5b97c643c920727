# The generated set "shapes", one or two objects an image, with a caption that counts them by colour and kind:
# python tools/make_shapes.py --out data/shapes_named --images 8000 --size 64 --objects 2 --smallest 0.4 \
#   --captions names
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './shapes_captions.py'
data_root = 'data/shapes_named/'
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal', texts='none')]
train_pipeline = [*_base_.load, _base_.flip, dict(type='mmparts.PackMultimodal', texts='first')]
train_dataloader = dict(batch_size=32, dataset=dict(data_root=data_root, pipeline=train_pipeline))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmparts.CaptionScores'), dict(type='mmparts.CaptionedObjects')]
test_evaluator = val_evaluator
