# Cell-DETR A on trapped yeast cells (traps and cells), images of 128 pixels.
_base_ = [
    '../_base_/models/cell_detr_a.py',
    '../_base_/datasets/yeast_instance.py',
    '../_base_/schedules/schedule_cell_200e.py',
    '../_base_/detection_runtime.py',
]
