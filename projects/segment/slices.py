"""A 2-D segmentor over a volume, slice by slice: the protocol of TransUNet (https://arxiv.org/abs/2102.04306)."""

from collections.abc import Iterator, Sequence

import torch.nn.functional as F
from torch import Tensor

from ..registry import MODELS
from .inference import Inference, Network


@MODELS.register_module()
class SliceInference(Inference):
    """Slices across the first axis, each resized for the network; the logits get the slices' size again.

    Args:
        size: H W that the network sees; None: that of the slices.
        back: how logits are resized: 'bilinear', or 'nearest' as TransUNet does.
        batch_size: slices at a time.
        mirror_axes: of the slices, 0 is H; see `Inference`.

    Example:
        >>> inference = SliceInference(size=(32, 32))
        >>> inference(torch.zeros(1, 1, 5, 20, 30), lambda x: x.repeat(1, 4, 1, 1)).shape
        torch.Size([1, 4, 5, 20, 30])
    """

    tiny = dict(size=(32, 32))

    def __init__(
        self,
        size: Sequence[int] | None = None,
        back: str = 'bilinear',
        batch_size: int = 8,
        mirror_axes: Sequence[int] = (),
    ):
        super().__init__(mirror_axes)
        if back not in ('bilinear', 'nearest'):
            raise ValueError(f"back={back!r}; 'bilinear' or 'nearest'")
        self.size, self.back, self.batch_size = size and tuple(size), back, batch_size

    def slabs(self, images: Tensor, network: Network) -> Iterator[tuple[int, Tensor]]:
        if images.ndim == 4:  # slices already
            logits = self.mirrored(network, resize(images, self.size or images.shape[2:], 'bicubic'))
            yield 0, resize(logits, images.shape[2:], self.back)
            return
        if images.ndim != 5:
            raise ValueError(f'images of shape {tuple(images.shape)}; SliceInference takes volumes, B C D H W')
        batch, plane = len(images), images.shape[3:]
        for start in range(0, images.shape[2], self.batch_size):
            slices = images[:, :, start : start + self.batch_size].transpose(1, 2).flatten(0, 1)
            logits = self.mirrored(network, resize(slices, self.size or plane, 'bicubic'))
            yield start, resize(logits, plane, self.back).unflatten(0, (batch, -1)).transpose(1, 2)


def resize(images: Tensor, size: Sequence[int], mode: str) -> Tensor:
    """B C H W of another size."""
    if tuple(images.shape[2:]) == tuple(size):
        return images
    options = {} if mode == 'nearest' else dict(align_corners=False)
    return F.interpolate(images, tuple(size), mode=mode, **options)
