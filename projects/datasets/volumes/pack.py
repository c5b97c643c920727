"""The end of a pipeline: tensors, and the sample of `mmparts.structures`."""

import numpy as np
import torch
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from ...structures import LabelTable, VolumeSample

META = (
    'case',
    'img_path',
    'seg_map_path',
    'affine',
    'spacing',
    'orientation',
    'source_affine',
    'source_shape',
    'img_shape',
    'modalities',
    'classes',
)


@TRANSFORMS.register_module()
class PackVolume(BaseTransform):
    """``inputs`` (C D H W, float32) and ``data_samples`` (`VolumeSample`).

    The truth is uint8: class numbers 1 D H W, or, where the data set has regions and its targets are those, R D H W.

    Args:
        meta_keys: what the sample says of itself.
    """

    def __init__(self, meta_keys: tuple[str, ...] = META):
        self.meta_keys = tuple(meta_keys)

    def transform(self, results: dict) -> dict:
        sample = VolumeSample(metainfo={key: results[key] for key in self.meta_keys if key in results})
        if 'gt_seg_map' in results:
            truth = np.asarray(results['gt_seg_map'])
            if results.get('targets') == 'regions':
                truth = LabelTable.of(results).to_regions(truth)
            sample.gt_sem_seg = torch.from_numpy(np.array(truth, order='C'))
        # copied: it may be a view into the cache, which must not be written to
        image = torch.from_numpy(np.array(results['img'], np.float32, order='C'))
        return dict(inputs=image, data_samples=sample)
