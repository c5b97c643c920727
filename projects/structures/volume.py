"""The sample of a volume: what mmseg's `SegDataSample` is for images, whose maps must be 2-D."""

import torch
from mmengine.structures import BaseDataElement


class VolumeData(BaseDataElement):
    """A map over a volume, in ``data``: C D H W. A map D H W gets its one channel.

    Raises:
        ValueError: ``data`` has another number of dimensions.
    """

    def __setattr__(self, name: str, value):
        if name == 'data':
            if value.ndim not in (3, 4):
                raise ValueError(f'a map over a volume is D H W or C D H W, not of shape {tuple(value.shape)}')
            value = value[None] if value.ndim == 3 else value
        super().__setattr__(name, value)

    @property
    def shape(self) -> tuple[int, int, int]:
        """D, H, W."""
        return tuple(self.data.shape[-3:])


class VolumeSample(BaseDataElement):
    """Truth and prediction of one volume. Beside it goes ``inputs``, C D H W.

    Fields, all `VolumeData` (a tensor is put into one):
        gt_sem_seg: 1 D H W, class numbers, 255 where there is no truth; or R D H W, 0 and 1, a map for each region.
            Of a case to test it lies on the grid of the file, whatever was done to the image.
        pred_sem_seg: the same of the prediction, on the grid of the file.
        seg_logits: K D H W, on the grid of ``inputs``.

    Metainfo of `mmparts.PackVolume`:
        case, img_path, seg_map_path: its name and files.
        affine, spacing, orientation: of ``inputs``: (d, h, w, 1) to millimetres, right, anterior and superior
            positive (4 4); millimetres (3); where each axis points to, as ``'SAR'``.
        source_affine, source_shape: of the file, whose axes come as D H W.
        modalities: names of the channels of ``inputs``.
        classes: names of the classes, or of the regions.
    """

    map_type = VolumeData  # what a model puts its maps into

    @property
    def gt_sem_seg(self) -> VolumeData:
        return self._gt_sem_seg

    @gt_sem_seg.setter
    def gt_sem_seg(self, value: VolumeData | torch.Tensor):
        self.set_field(as_map(value), '_gt_sem_seg', dtype=VolumeData)

    @gt_sem_seg.deleter
    def gt_sem_seg(self):
        del self._gt_sem_seg

    @property
    def pred_sem_seg(self) -> VolumeData:
        return self._pred_sem_seg

    @pred_sem_seg.setter
    def pred_sem_seg(self, value: VolumeData | torch.Tensor):
        self.set_field(as_map(value), '_pred_sem_seg', dtype=VolumeData)

    @pred_sem_seg.deleter
    def pred_sem_seg(self):
        del self._pred_sem_seg

    @property
    def seg_logits(self) -> VolumeData:
        return self._seg_logits

    @seg_logits.setter
    def seg_logits(self, value: VolumeData | torch.Tensor):
        self.set_field(as_map(value), '_seg_logits', dtype=VolumeData)

    @seg_logits.deleter
    def seg_logits(self):
        del self._seg_logits


def as_map(value: VolumeData | torch.Tensor) -> VolumeData:
    """A tensor as a map; a map as it is."""
    return value if isinstance(value, BaseDataElement) else VolumeData(data=value)
