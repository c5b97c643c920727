# Steps of pipelines for maps of segments, every one an instance. Who builds on it says `things`, classes and files.
load_map = dict(type='mmparts.LoadPanopticMap')
pack_test_map = dict(
    type='PackDetInputs',
    meta_keys=('img_id', 'img_path', 'ori_shape', 'img_shape', 'scale_factor', 'panoptic_map', 'segments_info'),
)
