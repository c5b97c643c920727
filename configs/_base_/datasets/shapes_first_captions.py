# The generated set "shapes" with the caption that counts what is shown, by texture, colour and kind:
# python tools/make_shapes.py --out data/shapes_pairs --images 4000 --size 64 --objects 2
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './shapes_captions.py'
data_root = 'data/shapes_pairs/'
test_pipeline = [*_base_.load, dict(type='mmparts.PackMultimodal', texts='none')]
train_dataloader = dict(batch_size=32, dataset=dict(data_root=data_root))
val_dataloader = dict(dataset=dict(data_root=data_root, pipeline=test_pipeline))
test_dataloader = val_dataloader
val_evaluator = [dict(type='mmparts.CaptionScores'), dict(type='mmparts.CaptionedObjects')]
test_evaluator = val_evaluator
