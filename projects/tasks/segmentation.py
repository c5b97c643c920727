"""Segmentation: a class for each pixel, voxel or pixel of a spectral cube. Segmentors of mmseg are of this kind, too.

What a model may say of itself (see :class:`.base.Task` for the rest): ``dims``, axes of its inputs (2);
``in_channels``; ``truth_channels`` of its head, maps in the truth where regions overlap (1).
"""

from collections.abc import Callable, Sequence

import numpy as np
import torch
from mmengine.structures import PixelData
from PIL import Image
from torch import Tensor, nn

from ..datasets.cubes import SUFFIXES as CUBES
from ..datasets.cubes import read_cube
from ..datasets.volumes.files import SUFFIXES, open_volume
from ..registry import TASKS
from ..structures import VolumeSample
from ..visualization.maps import draw_map
from .base import Size, Task, num_classes
from .findings_segmentation import SegmentationFindings, pairs_of
from .graphs import Graph, LogitsGraph, in_channels
from .regions import map_of, overlapping, regions

IGNORE = 255  # nobody knows what is there
SLICES = (0.25, 0.5, 0.75)  # of a volume, where it is drawn


@TASKS.register_module('segmentation')
class Segmentation(Task):
    """Samples are mmseg's, or any with the fields ``gt_sem_seg`` and ``pred_sem_seg`` that hold ``data``: 1 (D) H W of
    class numbers, or R (D) H W of 0 and 1, a map for each region. A record has ``segments``, see `regions.py`."""

    libraries = ('mmseg.models.segmentors.base.BaseSegmentor',)
    truths = ('gt_sem_seg',)
    predictions = ('pred_sem_seg',)
    metrics = ('mIoU', 'Dice', 'HD95')
    objects = 3
    default_size = (512, 512)
    annotation = 'regions'
    side = 'square root of the pixels or voxels that one image has of a class'

    def size(self, cfg: dict) -> Size:
        """As of images; of volumes the tile that the config infers in, or 96 voxels a side."""
        model = cfg.get('model', cfg)
        if model.get('dims', 2) == 2:
            return super().size(cfg)
        tile = (model.get('inference') or {}).get('size') or 96
        return tuple(tile) if isinstance(tile, (tuple, list)) else (tile,) * model['dims']

    def sizes(self, model: nn.Module) -> Sequence[Size]:
        volumes = getattr(model, 'dims', 2) == 3 and not getattr(model, 'image_size', None)
        return [(32, 48, 32), (48, 32, 32)] if volumes else super().sizes(model)

    def item(self, model: nn.Module, size: Size, count: int | None, random: torch.Generator) -> tuple[Tensor, object]:
        inputs = torch.rand(in_channels(model), *size, generator=random) * 255
        sample = sample_type(len(size))(metainfo=dict(img_shape=size, ori_shape=size))
        if count is not None:
            channels = getattr(getattr(model, 'head', None), 'truth_channels', 1)
            sample.gt_sem_seg = map_type(sample)(
                data=blobs(size, count, num_classes(model), random)
                if channels == 1
                else torch.cat([blobs(size, count, 2, random) for _ in range(channels)])
            )
        return inputs, sample

    def fields(self, sample: dict, classes: Sequence[str] | None, score_thr: float) -> dict:
        if 'pred_sem_seg' not in sample:
            raise KeyError(f'no pred_sem_seg in a data sample with {sorted(sample.keys())}')
        data = sample.get('pred_sem_seg').get('data')
        return dict(segments=regions(data[0], classes) if len(data) == 1 else overlapping(data, classes))

    def summary(self, record: dict) -> str:
        names = [str(segment.get('name', segment['label'])) for segment in record['segments']]
        return f'{len(names)} segments: {", ".join(names)}' if names else 'nothing'

    def graph(self, model: nn.Module, post: bool = False) -> Graph:
        return LogitsGraph(model, post)

    def resized_truth(self, sample, size: Size):
        truth = sample.gt_sem_seg.data
        if tuple(truth.shape[1:]) != tuple(size):
            truth = torch.nn.functional.interpolate(truth[None].float(), tuple(size), mode='nearest')[0].to(truth.dtype)
            sample.gt_sem_seg = map_type(sample)(data=truth)
        return sample

    findings = SegmentationFindings

    def evidence(self, sample: dict, info: dict) -> dict | None:
        """How many pixels or voxels of which class were taken for which, and both maps."""
        if 'pred_sem_seg' not in sample or 'gt_sem_seg' not in sample:
            return None
        truth, found = (sample[key]['data'].cpu() for key in ('gt_sem_seg', 'pred_sem_seg'))
        if truth.shape != found.shape:
            return None
        maps = regions if len(found) == 1 else overlapping
        shapes = (truth[0], found[0]) if len(found) == 1 else (truth, found)
        return dict(
            image=sample.get('img_path'),
            shape=list(found.shape),
            pairs=pairs_of(truth.numpy(), found.numpy(), IGNORE),
            truth=maps(shapes[0]),
            found=maps(shapes[1]),
            meta={key: sample[key] for key in ('cube_name', 'rows', 'source_shape') if key in sample},
        )

    def read_evidence(self, evidence: dict) -> np.ndarray:
        kind = sample_type(len(evidence['shape']) - 1)
        return self.read(kind(metainfo=dict(evidence['meta'], img_path=evidence['image'])))

    def restored(self, evidence: dict):
        sample = sample_type(len(evidence['shape']) - 1)()
        for name, key in (('gt_sem_seg', 'truth'), ('pred_sem_seg', 'found')):
            made = torch.from_numpy(map_of(evidence[key], evidence['shape']))
            setattr(sample, name, map_type(sample)(data=made))
        return sample

    def annotations(self, info: dict, load: Callable) -> list[tuple[int, float | None]]:
        labels = np.asarray(load(info).get('gt_seg_map', np.zeros(0, int)))
        values, areas = np.unique(labels[labels != IGNORE], return_counts=True)
        return [(int(value), float(area**0.5)) for value, area in zip(values, areas)]

    def read(self, sample) -> np.ndarray:
        """H W 3, RGB, or of a volume C D H W."""
        if 'source_shape' not in sample and sample.img_path.endswith(CUBES):
            cube = read_cube(sample.img_path, sample.get('cube_name')).array
            return three_bands(cube[slice(*sample.get('rows') or (None,))])
        if not sample.img_path.endswith(SUFFIXES):
            return super().read(sample)
        volume = open_volume(sample.img_path).load()
        return volume if volume.ndim == 4 else volume[None]

    def image(self, inputs: Tensor) -> np.ndarray:
        return super().image(inputs) if inputs.ndim == 3 else inputs.numpy()

    def plain(self, image: np.ndarray) -> Image.Image:
        return super().plain(image if image.ndim == 3 else sheet_of(image))

    def views(
        self, image: np.ndarray, sample, prefix: str, classes: Sequence[str] | None, score_thr: float
    ) -> list[tuple[str, Image.Image]]:
        if f'{prefix}_sem_seg' not in sample:
            return []
        data = sample.get(f'{prefix}_sem_seg').data.cpu().numpy()
        size = image.shape[1:] if image.ndim == 4 else image.shape[:2]
        data = data[(slice(None), *map(slice, size))]  # mmseg fills the truth of a batch up, too
        if data.shape[1:] != size:
            raise ValueError(f'{prefix}_sem_seg of {data.shape[1:]} does not lie on an image of {size}')
        if image.ndim == 4:
            image, data = sheet_of(image), np.concatenate(slices_of(data), axis=-1)
        labels = data[0].astype(int) if len(data) == 1 else uppermost(data)
        background = 0 if classes and classes[0] == 'background' else None
        heading = dict(gt='ground truth', pred='prediction')[prefix]
        return [(heading, draw_map(image, labels, classes, background=background))]


def sample_type(dims: int) -> type:
    """The class of data samples of images, or of volumes."""
    if dims == 2:
        from mmseg.structures import SegDataSample  # brings all of mmseg

        return SegDataSample
    return VolumeSample


def map_type(sample) -> type:
    """What holds a map in a data sample."""
    return getattr(type(sample), 'map_type', PixelData)


def blobs(size: Size, count: int, num_classes: int, random: torch.Generator) -> Tensor:
    """1 *size: ellipsoids of random classes over class 0."""
    axes = torch.meshgrid(*((torch.arange(side) + 0.5) / side for side in size), indexing='ij')
    labels = torch.zeros(size, dtype=torch.long)
    for _ in range(count):
        centre, radius = torch.rand(2, len(size), generator=random)
        radius = 0.05 + 0.2 * radius
        inside = sum(((axis - at) / half) ** 2 for axis, at, half in zip(axes, centre, radius)) <= 1
        labels[inside] = torch.randint(num_classes, (), generator=random)
    return labels[None]


def uppermost(masks: np.ndarray) -> np.ndarray:
    """H W: the number of the last of the regions R H W that a pixel is in; -1 where it is in none."""
    labels = np.full(masks.shape[1:], -1)
    for number, mask in enumerate(masks):
        labels[mask > 0] = number
    return labels


def three_bands(cube: np.ndarray) -> np.ndarray:
    """H W 3 of 0 to 255: bands of a cube H W B at three quarters, half and a quarter of its spectrum."""
    bands = cube[..., [int(place * cube.shape[2]) for place in (0.75, 0.5, 0.25)]].astype(float)
    low, high = np.percentile(bands, (1, 99), axis=(0, 1))
    return (255 * np.clip((bands - low) / np.maximum(high - low, 1e-6), 0, 1)).astype(np.uint8)


def slices_of(volume: np.ndarray) -> list[np.ndarray]:
    """C H W each, of C D H W."""
    return [volume[:, int(place * volume.shape[1])] for place in SLICES]


def sheet_of(volume: np.ndarray) -> np.ndarray:
    """Slices of the first channel of C D H W side by side, as H W 3 of 0 to 255."""
    grey = np.concatenate(slices_of(volume[:1].astype(float)), axis=-1)[0]
    low, high = np.percentile(grey, (1, 99))
    grey = np.clip((grey - low) / max(high - low, 1e-6), 0, 1)
    return np.repeat((255 * grey).astype(np.uint8)[..., None], 3, axis=-1)
