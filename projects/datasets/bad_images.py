"""An image that cannot be used, in the midst of training: the run stops and names it, or skips it and keeps count."""

import logging
import os.path as osp

import torch
from mmengine.hooks import Hook
from mmengine.logging import print_log
from mmengine.runner import Runner

from ..registry import HOOKS
from .loading import BadImage
from .members import members

POLICIES = ('error', 'skip')


class NamedImages:
    """For data sets: an error in the pipeline names its image; ``on_bad_image`` says what follows.

    Args:
        on_bad_image: 'error' ends the run; 'skip' takes another image in its place, in training only. (An evaluation
            without some images would be of another set.)
        max_bad_images: with 'skip', more of them than this end the run: a share of the set below 1, else their number.
    """

    def __init__(self, *args, on_bad_image: str = 'error', max_bad_images: float = 0.01, **kwargs):
        if on_bad_image not in POLICIES:
            raise ValueError(f'on_bad_image={on_bad_image!r}; there are {" and ".join(map(repr, POLICIES))}')
        if not max_bad_images >= 0:
            raise ValueError(f'max_bad_images={max_bad_images}; a share of the images below 1, or their number')
        self.on_bad_image, self.max_bad_images = on_bad_image, max_bad_images
        self._bad: torch.Tensor | None = None
        super().__init__(*args, **kwargs)

    def full_init(self):
        super().full_init()
        if self._bad is None and self.on_bad_image == 'skip':
            # In memory that the worker processes share: each image counts once, whoever meets it.
            self._bad = torch.zeros(len(self), dtype=torch.bool).share_memory_()

    def prepare_data(self, index: int):
        """mmengine's, which hands the sample to the pipeline; None is followed by another image."""
        try:
            return self.sample(index)
        except Exception as error:
            place = index % len(self)
            info = self.get_data_info(place)
            known = any(str(part) in str(error) for part in [*paths_of(info), info.get('case')] if part)
            named = error if known else BadImage(f'{name_of(info)}: {type(error).__name__}: {error}')
            if self.on_bad_image == 'error' or self.test_mode:
                raise named from (None if named is error else error)
            self._skip(place, named)
            return None

    def sample(self, index: int):
        """What the pipeline makes of an image; for data sets that do more than mmengine's."""
        return super().prepare_data(index)

    def bad_images(self) -> list[str]:
        """Files that were skipped so far."""
        found = [] if self._bad is None else self._bad.nonzero().flatten().tolist()
        return list(dict.fromkeys(name_of(self.get_data_info(index)) for index in found))

    def _skip(self, index: int, error: Exception) -> None:
        known = bool(self._bad[index])
        self._bad[index] = True
        bad = self.bad_images()
        most = self.max_bad_images * len(self) if self.max_bad_images < 1 else self.max_bad_images
        # Asked again each time: the one too many may have come to another worker.
        if len(bad) > most:
            raise BadImage(
                f'{len(bad)} images cannot be used, more than max_bad_images={self.max_bad_images} (of {len(self)}): '
                f'{", ".join(bad[:10])}. The last one: {error}'
            ) from error
        if not known:
            print_log(f'skipped (image {len(bad)} of at most {most:g}): {error}', 'current', logging.WARNING)


def paths_of(info: dict) -> list[str]:
    """The files of a sample: an image, or the channels of a volume, and its label."""
    return [
        path
        for path in (info.get('img_path'), info.get('audio_path'), *info.get('img_paths', ()), info.get('seg_map_path'))
        if path
    ]


def name_of(info: dict) -> str:
    return next(iter(paths_of(info)), str(info.get('case')))


@HOOKS.register_module()
class BadImagesHook(Hook):
    """Writes the names of images that training skipped to ``bad_images.txt`` in the work dir, after each epoch."""

    def after_train_epoch(self, runner: Runner):
        found = [
            path
            for dataset in members(runner.train_dataloader.dataset)
            if hasattr(dataset, 'bad_images')
            for path in dataset.bad_images()
        ]
        if found:
            target = osp.join(runner.work_dir, 'bad_images.txt')
            with open(target, 'w', encoding='utf-8') as file:
                file.write('\n'.join(found) + '\n')
            print_log(f'{len(found)} images were skipped; they are listed in {target}', 'current', logging.WARNING)

    def after_train(self, runner: Runner):
        self.after_train_epoch(runner)
