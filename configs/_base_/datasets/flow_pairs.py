# Pairs of frames with optical flow in the layout of the generated set (tools/make_arrays.py flow). Another folder:
# --cfg-options data_root=FOLDER.
_base_ = './loaders.py'
data_root = 'data/flow/'
load = dict(type='mmparts.LoadFlowPair')
pack = dict(type='mmparts.PackFlow')
train_dataloader = dict(
    batch_size=8,
    dataset=dict(
        type='mmparts.FlowPairs',
        data_root=data_root,
        data_prefix=dict(img='train', flow='flow_train'),
        pipeline=[load, pack],
    ),
)
val_dataloader = dict(
    dataset=dict(
        type='mmparts.FlowPairs',
        data_root=data_root,
        data_prefix=dict(img='val', flow='flow_val'),
        test_mode=True,
        pipeline=[load, pack],
    )
)
test_dataloader = val_dataloader

val_evaluator = dict(type='mmparts.EndPointError')
test_evaluator = val_evaluator
