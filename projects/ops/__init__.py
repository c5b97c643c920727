"""Special operators in plain torch, one file per family; `mmcv_ext` lends them to mmdet and mmseg on mmcv-lite."""
