"""mmdet's inferencer for our configs."""

from mmdet.apis import DetInferencer

from ..datasets import LoadCheckedImage


class Inferencer(DetInferencer):
    """mmdet's ``DetInferencer``, of paths and arrays, for pipelines with `LoadCheckedImage`: it looks for mmcv's
    loader by name. For panoptic models call it with ``return_datasamples=True``, or install panopticapi.
    """

    def _get_transform_idx(self, pipeline_cfg: list, name: tuple[str, type]) -> int:
        """The place of the loader, which is all that mmdet asks for."""
        return super()._get_transform_idx(pipeline_cfg, (*name, 'mmparts.LoadCheckedImage', LoadCheckedImage))
