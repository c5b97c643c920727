# mmdet's Cascade Mask R-CNN with the box heads of Swin's, ViT-Adapter's and InternImage's tables.
_base_ = ['mmdet::_base_/models/cascade-mask-rcnn_r50_fpn.py', './box_heads.py']
model = dict(roi_head=dict(bbox_head=_base_.box_heads))
