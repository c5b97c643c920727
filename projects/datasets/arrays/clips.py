"""Clips: a video with its sound and class, as an ``.npz`` file of ``video`` (T H W 3, RGB, uint8), ``audio`` (samples
in -1..1), ``rate`` (samples a second) and ``label``, a number."""

from pathlib import Path

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from mmengine.dataset import BaseDataset

from ...registry import DATASETS, TRANSFORMS
from ...structures import ClipSample


def read_clip(path: str | Path) -> dict[str, np.ndarray]:
    """The arrays of a clip.

    Raises:
        ValueError: it is no clip; the message says what is missing.
    """
    try:
        with np.load(path, allow_pickle=False) as file:
            clip = dict(file)
    except (OSError, ValueError) as error:
        raise ValueError(f'{path} is no clip (an npz of video, audio, rate): {error}') from error
    missing = [name for name in ('video', 'audio', 'rate') if name not in clip]
    if missing:
        raise ValueError(f'{path} holds no {", no ".join(missing)}; it has {", ".join(clip) or "nothing"}')
    return clip


@DATASETS.register_module()
class ClipFiles(BaseDataset):
    """The clips (``.npz``) of a folder; ``metainfo=dict(classes=...)`` names the labels.

    Takes the arguments of mmengine's ``BaseDataset``; the folder is ``data_prefix['clip']`` in ``data_root``.

    Raises:
        FileNotFoundError: no clip there.
    """

    suffixes = ('.npz',)

    def load_data_list(self) -> list[dict]:
        folder = Path(self.data_prefix.get('clip') or self.data_root)
        paths = sorted(folder.rglob('*.npz'))
        if not paths:
            raise FileNotFoundError(f'no clip (.npz) in {folder}; give data_root')
        return [dict(img_path=str(path), img_id=str(path.relative_to(folder))) for path in paths]


@TRANSFORMS.register_module()
class LoadClip(BaseTransform):
    """Video, sound and label of a file.

    Args:
        num_frames, num_samples: that the model takes; longer clips are cut at their end.
        rate: samples a second that it takes; None: any.

    Raises:
        ValueError: a clip is shorter, or of another rate.
    """

    def __init__(self, num_frames: int, num_samples: int, rate: int | None = None):
        self.num_frames, self.num_samples, self.rate = num_frames, num_samples, rate

    def transform(self, results: dict) -> dict:
        path, clip = results['img_path'], read_clip(results['img_path'])
        if self.rate is not None and int(clip['rate']) != self.rate:
            raise ValueError(
                f'{path}: sound of {int(clip["rate"])} samples a second, the model is for {self.rate}; resample it'
            )
        for name, wanted in (('video', self.num_frames), ('audio', self.num_samples)):
            if len(clip[name]) < wanted:
                raise ValueError(
                    f'{path}: {name} of {len(clip[name])}, the model takes {wanted}; pad it, or take a longer clip'
                )
            results[name] = clip[name][:wanted]
        if 'label' in clip:
            results['gt_label'] = int(clip['label'])
        results['ori_shape'] = results['img_shape'] = results['video'].shape[1:3]
        return results


@TRANSFORMS.register_module()
class PackClip(BaseTransform):
    """``inputs``: image 3 T H W uint8, audio, and a label of zeros, for it is asked for; a `ClipSample`.

    Args:
        num_classes: of the label.
    """

    def __init__(self, num_classes: int):
        self.num_classes = num_classes

    def transform(self, results: dict) -> dict:
        video = torch.from_numpy(np.ascontiguousarray(results['video'].transpose(3, 0, 1, 2)))
        audio = torch.from_numpy(results['audio'].astype(np.float32))
        meta = {key: results[key] for key in ('img_id', 'img_path', 'ori_shape', 'img_shape') if key in results}
        sample = ClipSample(metainfo=meta)
        sample.gt_video, sample.gt_audio = video, audio
        if 'gt_label' in results:
            if not 0 <= results['gt_label'] < self.num_classes:
                raise ValueError(
                    f'{results["img_path"]}: label {results["gt_label"]}, none of 0 to {self.num_classes - 1}'
                )
            sample.gt_label = torch.tensor(results['gt_label'])
        return dict(inputs=dict(image=video, audio=audio, label=torch.zeros(self.num_classes)), data_samples=sample)
