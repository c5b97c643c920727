"""Image loading whose errors name the file, and which notices that an annotation file describes another picture."""

from mmcv.transforms import LoadImageFromFile

from ..registry import TRANSFORMS


@TRANSFORMS.register_module()
class LoadCheckedImage(LoadImageFromFile):
    """mmcv's `LoadImageFromFile`; its error for an empty file is OpenCV's, without a name.

    Raises:
        OSError: the file is missing, empty, truncated or no image. ``ignore_empty=True`` skips it instead.
        ValueError: the picture is not of the size that the annotation file gives, so boxes would not fit.
    """

    def transform(self, results: dict) -> dict | None:
        path, expected = results['img_path'], (results.get('height'), results.get('width'))
        try:
            loaded = super().transform(results)
        except Exception as error:
            raise OSError(
                f'cannot load the image {path} (missing, empty, truncated or no image): {" ".join(str(error).split())}'
            ) from error
        if loaded is not None and None not in expected:
            check_size(path, loaded['ori_shape'], expected)
        return loaded


def check_size(path: str, shape: tuple[int, int], expected: tuple[int, int]) -> None:
    """Refuse a picture (height, width) of another size than its annotations say."""
    if tuple(shape) != tuple(expected):
        (height, width), (h, w) = shape, expected
        raise ValueError(
            f'{path} is {width}x{height} pixels, but its annotations say {w}x{h}; the boxes would be '
            'misplaced. Correct the sizes (or the EXIF rotation) in the annotation file'
        )
