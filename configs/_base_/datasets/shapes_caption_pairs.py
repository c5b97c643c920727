# The generated set "shapes", two captions in a text, with regions of a small DINO of ours:
# python tools/make_shapes.py --out data/shapes_pairs --images 8000 --size 64 --objects 2 --smallest 0.4
# python tools/train.py configs/dino/dino-4scale_small_1xb8-3e_shapes-pairs.py
# for split in train val; do
#   mmparts data regions configs/dino/dino-4scale_small_1xb8-3e_shapes-pairs.py \
#     work_dirs/dino-4scale_small_1xb8-3e_shapes-pairs/epoch_3.pth data/shapes_pairs/$split --regions 10 \
#     --out data/shapes_pairs/regions/$split
# done
# Another folder: --cfg-options data_root=FOLDER.
_base_ = './caption_pairs.py'
data_root = 'data/shapes_pairs/'
load = dict(type='mmparts.LoadRegions', folder='data/shapes_pairs/regions/', images='data/shapes_pairs/', most=10)
pipeline = [load, dict(type='mmparts.PackMultimodal', texts='first', keys=('regions',))]
train_dataloader = dict(
    batch_size=32,
    dataset=dict(
        data_root=data_root,
        ann_file='annotations/captions_train.json',
        data_prefix=dict(img='train/'),
        pipeline=pipeline,
    ),
)
val_dataloader = dict(
    batch_size=50,
    dataset=dict(
        data_root=data_root, ann_file='annotations/captions_val.json', data_prefix=dict(img='val/'), pipeline=pipeline
    ),
)
test_dataloader = val_dataloader
