"""MONAI's dictionary transforms in our pipelines."""

import numpy as np
from mmcv.transforms import BaseTransform

from ...registry import TRANSFORMS
from .geometry import optional
from .loading import set_grid
from .patches import generator


@TRANSFORMS.register_module()
class MonaiTransform(BaseTransform):
    """A dictionary transform of `monai.transforms` on ``img`` (C D H W) and ``gt_seg_map`` (D H W, with a channel while
    it runs). Their affines follow; random ones are seeded as ours are.

    Args:
        transform: its name, as 'RandGaussianSharpend'.
        keys: of 'img' and 'gt_seg_map'.
        **options: of the transform.

    Raises:
        ValueError: no such transform, or one that returns several samples.

    Example:
        >>> MonaiTransform('ScaleIntensityd', minv=0.0, maxv=1.0).deterministic
        True
    """

    def __init__(self, transform: str, keys: tuple[str, ...] = ('img',), **options):
        module = optional('monai.transforms', f'MonaiTransform({transform!r})')
        kind = getattr(module, transform, None)
        if not isinstance(kind, type) or not issubclass(kind, module.MapTransform):
            raise ValueError(f'{transform!r} is no dictionary transform of monai.transforms; their names end with d')
        self.inner = kind(keys=list(keys), allow_missing_keys=True, **options)
        self.random = isinstance(self.inner, module.Randomizable)
        self.deterministic = not self.random

    def transform(self, results: dict) -> dict:
        tensor = optional('monai.data', 'MonaiTransform').MetaTensor
        affine = results.get('affine')
        affine = np.eye(results['img'].ndim) if affine is None else affine
        labels = results.get('seg_fields', ())
        data = {'img': tensor(np.array(results['img']), affine=affine)}
        data |= {key: tensor(np.array(results[key])[None], affine=affine) for key in labels}
        if self.random:
            self.inner.set_random_state(seed=int(generator(results).integers(1 << 31)))
        moved = self.inner(data)
        if not isinstance(moved, dict):
            raise ValueError(
                f'{type(self.inner).__name__} returned {len(moved)} samples; take one (num_samples=1) and draw more '
                'often: DrawSampler(draws=...)'
            )
        for key in labels:
            results[key] = np.asarray(moved[key])[0].astype(results[key].dtype)
        results['img'] = np.asarray(moved['img'], np.float32)
        if results.get('affine') is not None:
            set_grid(results, np.asarray(moved['img'].affine, np.float64))
        return results
