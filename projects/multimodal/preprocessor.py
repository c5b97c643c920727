"""Inputs of several modalities as batches: one part a modality, among them the one place where texts become numbers."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
import torch.nn.functional as F
from mmengine.model import BaseDataPreprocessor
from torch import Tensor, nn

from ..registry import MODELS, TASK_UTILS
from .labels import class_labels
from .states import Texts
from .tokenizers import ByteTokenizer

CLIP_MEAN, CLIP_STD = (122.7709383, 116.7460125, 104.09373615), (68.5005327, 66.6321579, 70.32316305)


class Inputs(nn.Module):
    """Base of what makes a batch of one modality: ``inputs(list of what the data set gives) -> batch``.

    ``example(size, random)`` is something that a data set could give, of which tools make tiny batches; ``size`` is
    that of images.
    """

    def forward(self, given: Sequence[Any], device: torch.device) -> Any:
        raise NotImplementedError

    def example(self, size: Sequence[int], random: torch.Generator) -> Any:
        raise NotImplementedError

    def unprocessed(self, given: Sequence[Any], device: torch.device | str) -> Any:
        """The batch on any device, also on the meta device, where there are no statistics to normalise by."""
        return self(given, device)


@MODELS.register_module()
class ImageInputs(Inputs):
    """C H W of one size -> B C H W, normalised.

    Args:
        mean, std: of each channel, of values from 0 to 255, in the order after `bgr_to_rgb`; those of CLIP.
        bgr_to_rgb: images come as BGR, as mmcv loads them.

    Raises:
        ValueError: images of unequal sizes.
    """

    def __init__(self, mean: Sequence[float] = CLIP_MEAN, std: Sequence[float] = CLIP_STD, bgr_to_rgb: bool = True):
        super().__init__()
        if len(mean) != len(std) or not all(value > 0 for value in std):
            raise ValueError(f'mean={mean} and std={std}: one number a channel each, those of std above 0')
        self.bgr_to_rgb = bgr_to_rgb
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)

    def forward(self, given: Sequence[Tensor], device: torch.device) -> Tensor:
        shapes = {tuple(image.shape) for image in given}
        if len(shapes) > 1:
            raise ValueError(f'images of shapes {sorted(shapes)} in one batch; let the pipeline resize and crop them')
        images = torch.stack(tuple(given)).to(device, non_blocking=True).float()
        if images.shape[1] != len(self.mean):
            raise ValueError(f'images have {images.shape[1]} channels, the mean of the preprocessor {len(self.mean)}')
        return ((images.flip(1) if self.bgr_to_rgb else images) - self.mean) / self.std

    def example(self, size: Sequence[int], random: torch.Generator) -> Tensor:
        return torch.randint(256, (len(self.mean), *size), generator=random, dtype=torch.uint8)

    def unprocessed(self, given: Sequence[Tensor], device: torch.device | str) -> Tensor:
        images = torch.stack(tuple(given)).float()
        return ((images - images.mean()) / (images.std() + 1e-6)).to(device)


@MODELS.register_module()
class ImagePairInputs(ImageInputs):
    """2 C H W, two images of an item -> 2B C H W, all first ones, then all second ones (NLVR2)."""

    def forward(self, given: Sequence[Tensor], device: torch.device) -> Tensor:
        if any(pair.ndim != 4 or len(pair) != 2 for pair in given):
            raise ValueError(f'{[tuple(pair.shape) for pair in given]}: each item should have two images, 2 C H W')
        return super().forward([pair[index] for index in (0, 1) for pair in given], device)

    def example(self, size: Sequence[int], random: torch.Generator) -> Tensor:
        return torch.stack([super(ImagePairInputs, self).example(size, random) for _ in range(2)])

    def unprocessed(self, given: Sequence[Tensor], device: torch.device | str) -> Tensor:
        return super().unprocessed([pair[index] for index in (0, 1) for pair in given], device)


@MODELS.register_module()
class TextInputs(Inputs):
    """Strings, lists of strings or ids -> :class:`Texts`. An item with several texts has several rows.

    Args:
        tokenizer: config of one, in TASK_UTILS.
        prefix: begins every text, and the texts that are written: a prompt.
        lowercase: texts in small letters, for tokenizers that tell large ones apart.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        """Bytes, which need no file."""
        extra = cfg['tokenizer'].get('extra', ())
        return dict(tokenizer=dict(_delete_=True, type=ByteTokenizer, context_length=16, extra=extra))

    def __init__(self, tokenizer: dict, prefix: str = '', lowercase: bool = False):
        super().__init__()
        self.prefix, self.lowercase = prefix, lowercase
        self.tokenizer = TASK_UTILS.build(tokenizer)

    def forward(self, given: Sequence[str | Sequence[str] | Tensor], device: torch.device) -> Texts:
        if all(isinstance(one, Tensor) for one in given):
            return self.of_ids(given).to(device)
        several = [[one] if isinstance(one, str) else list(one) for one in given]
        if self.lowercase:
            several = [[text.lower() for text in each] for each in several]
        texts = self.tokenizer([self.prefix + text for each in several for text in each])
        if any(len(each) != 1 for each in several):
            texts.owner = torch.tensor([index for index, each in enumerate(several) for _ in each])
        return texts.to(device)

    def example(self, size: Sequence[int], random: torch.Generator) -> str:
        letters = torch.randint(97, 123, (12,), generator=random).tolist()
        return f'{bytes(letters[:4]).decode()} {bytes(letters[4:]).decode()}'

    def of_ids(self, given: Sequence[Tensor]) -> Texts:
        """Ids that are framed and not padded."""
        length, pad = max(len(one) for one in given), self.tokenizer.pad_id
        ids = torch.full((len(given), length), pad, device=given[0].device)
        keep = torch.zeros_like(ids, dtype=torch.bool)
        for row, one in enumerate(given):
            ids[row, : len(one)], keep[row, : len(one)] = one, True
        return Texts(ids, keep)


@MODELS.register_module()
class MultimodalPreprocessor(BaseDataPreprocessor):
    """``inputs`` of a data set, a dict of modality -> list, or a list of dicts, become a dict of batches.

    Args:
        inputs: modality -> config of its :class:`Inputs`, as ``dict(image=dict(type='mmparts.ImageInputs'), ...)``.
        mixing: config of what mixes images and classes in training, as ``mmparts.Mixing``; the samples then have
            ``gt_score``, shares of `num_classes` classes.

    Raises:
        ValueError: an item has a modality that `inputs` does not name, or lacks one that others have; a number that is
            no class; `mixing` without `num_classes`.
    """

    def __init__(
        self,
        inputs: Mapping[str, dict],
        non_blocking: bool = False,
        mixing: dict | None = None,
        num_classes: int | None = None,
    ):
        super().__init__(non_blocking)
        if mixing and not num_classes:
            raise ValueError('mixing needs num_classes, of which labels become shares')
        self.inputs = nn.ModuleDict({name: MODELS.build(cfg) for name, cfg in inputs.items()})
        self.mixing, self.num_classes = MODELS.build(mixing) if mixing else None, num_classes

    @property
    def tokenizer(self):
        """Of the texts; None where no modality has one."""
        found = (getattr(each, 'tokenizer', None) for each in self.inputs.values())
        return next((each for each in found if each is not None), None)

    def forward(self, data: dict, training: bool = False) -> dict:
        inputs, samples = data['inputs'], data.get('data_samples')
        named = inputs if isinstance(inputs, Mapping) else by_modality(inputs)
        unknown = sorted(set(named) - set(self.inputs))
        if unknown:
            raise ValueError(
                f'the data has {", ".join(unknown)}, the preprocessor inputs for {", ".join(self.inputs)}; add '
                f'inputs=dict({unknown[0]}=...), or leave it out of the data'
            )
        made = {name: self.inputs[name](given, self.device) for name, given in named.items()}
        samples = self.cast_data(samples) if samples is not None else None
        if training and self.mixing is not None:
            made['image'] = self.mix(made['image'], samples)
        return dict(inputs=made, data_samples=samples)

    def mix(self, images: Tensor, samples: Sequence) -> Tensor:
        """Images B C H W, mixed, and the samples told."""
        labels = class_labels(samples, self.num_classes, images.device)
        images, shares = self.mixing(images, F.one_hot(labels, self.num_classes).to(images.dtype))
        for sample, share in zip(samples, shares):
            sample.gt_score = share
        return images


def by_modality(items: Sequence[Mapping[str, Any]]) -> dict[str, list]:
    """A list of dicts as a dict of lists."""
    names = list(items[0])
    for index, item in enumerate(items):
        if set(item) != set(names):
            raise ValueError(f'item {index} of the batch has {sorted(item)}, the first has {sorted(names)}')
    return {name: [item[name] for item in items] for name in names}
