"""mmdet's inferencer for our configs."""

import os.path as osp
from collections.abc import Iterable, Iterator, Sequence

import numpy as np
from mmcv.transforms import Compose
from mmdet.apis import DetInferencer
from mmengine.config import ConfigDict
from PIL import Image

from ..datasets.loading import BadImage, LoadCheckedImage, check_range
from ..datasets.members import pipeline_of
from ..engine.cli import refuse_yaml
from ..registry import TRANSFORMS
from .arrays import ORDERS, from_memory


class Inferencer(DetInferencer):
    """mmdet's ``DetInferencer``, of files, folders, arrays and images of PIL, with the loader of the config.

    An input of a list that cannot be used does not end the call: its place in ``predictions`` holds ``error`` and
    ``input`` alone. Alone it raises. Images of one size that follow each other share a batch, so that no detection
    depends on its neighbours. For panoptic models call it with ``return_datasamples=True``, or install panopticapi.

    Args:
        channel_order: of colours in arrays, 'bgr' (as OpenCV reads) or 'rgb'.
        value_range: black and white of arrays that are not of 8 bits, as (0, 4095); that of files stands in the
            config's loader.

    Raises:
        BadImage: an array or a file that is no image.
    """

    def __init__(self, *args, channel_order: str = 'bgr', value_range: tuple[float, float] | None = None, **kwargs):
        if channel_order not in ORDERS:
            raise ValueError(f'channel_order={channel_order!r}; there are {" and ".join(map(repr, ORDERS))}')
        self.channel_order, self.value_range = channel_order, check_range(value_range)
        self.failures: dict[int, dict] = {}
        model = kwargs.get('model', args[0] if args else None)
        if isinstance(model, str) and osp.isfile(model):
            refuse_yaml(model)
        super().__init__(*args, **kwargs)

    def _init_pipeline(self, cfg: ConfigDict) -> Compose:
        """The test pipeline without annotations; its loader stands apart."""
        steps = [dict(step) for step in pipeline_of(cfg.test_dataloader.dataset)]
        steps = [step for step in steps if 'LoadAnnotations' not in str(step['type'])]
        if 'meta_keys' in steps[-1]:
            steps[-1]['meta_keys'] = tuple(key for key in steps[-1]['meta_keys'] if key != 'img_id')
        place = self._get_transform_idx(steps, ('LoadImageFromFile', 'mmparts.LoadCheckedImage', LoadCheckedImage))
        if place == -1:
            raise ValueError('the test pipeline of the config has no LoadCheckedImage (or LoadImageFromFile)')
        steps[place]['type'] = LoadCheckedImage
        self.loader = TRANSFORMS.build(steps[place])
        return Compose([self._load, *steps[:place], *steps[place + 1 :]])

    def _load(self, results: dict) -> dict:
        if 'img' not in results:
            return self.loader.transform(results)
        image = from_memory(results['img'], self.channel_order, self.value_range, self.loader.color_type)
        return dict(results, img=image, img_path=None, img_shape=image.shape[:2], ori_shape=image.shape[:2])

    def __call__(self, inputs, *args, **kwargs) -> dict:
        """As mmdet's; see the class for what cannot be used."""
        self.failures = {}
        single = not isinstance(inputs, (list, tuple))
        results = super().__call__(inputs, *args, **kwargs)
        for number, failure in sorted(self.failures.items()):
            if single and not results['predictions']:
                raise BadImage(failure['error'])
            results['predictions'].insert(number, failure)
            if results.get('visualization'):
                results['visualization'].insert(number, None)
        return results

    def _get_chunk_data(self, inputs: Iterable, chunk_size: int) -> Iterator[list]:
        """Runs of images of one size, at most ``chunk_size``; what fails is kept apart."""
        chunk: list = []
        for number, one in enumerate(inputs):
            try:
                shown, data = self._prepared(one)
            except Exception as error:
                text = str(error) if isinstance(error, (BadImage, ValueError)) else f'{type(error).__name__}: {error}'
                self.failures[number] = dict(input=one if isinstance(one, str) else f'input {number}', error=text)
                continue
            if chunk and (len(chunk) == chunk_size or chunk[-1][1]['inputs'].shape != data['inputs'].shape):
                yield chunk
                chunk = []
            chunk.append((shown, data))
        if chunk:
            yield chunk

    def _prepared(self, one) -> tuple[str | np.ndarray, dict]:
        """(what is drawn on, sample of the pipeline) of an input; mmdet wraps those with texts in a dict."""
        given = dict(one) if isinstance(one, dict) else dict(img_path=one) if isinstance(one, str) else dict(img=one)
        image = given.get('img')
        if image is None:
            return given['img_path'], self.pipeline(given)
        if not isinstance(image, (np.ndarray, Image.Image)):
            raise BadImage(f'an input is {type(image).__name__}; it can be a path, an array or an image of PIL')
        bands = 1 if np.ndim(image) < 3 else np.shape(image)[-1]
        shown = image[..., :3] if bands > 4 and self.loader.color_type == 'unchanged' else image
        return from_memory(shown, self.channel_order, self.value_range), self.pipeline(given)

    def _inputs_to_list(self, inputs) -> list | Sequence:
        """A list of inputs; a path may be a `Path`, too."""
        if hasattr(inputs, '__fspath__'):
            inputs = str(inputs)
        made = super()._inputs_to_list(inputs)
        return [str(one) if hasattr(one, '__fspath__') else one for one in made]
