"""Pre-training by what was masked: some patch embeddings are replaced, and an objective asks for what was there."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import torch
from mmengine.model import BaseModel, BaseModule
from torch import Tensor, nn

from ..registry import MODELS, build_part
from ..structures import ImageSample


class MaskingObjective(BaseModule):
    """What is replaced, and what is asked for. Built with ``embed_dims`` (channels of the patch embeddings),
    ``channels`` (of the backbone's last map), ``patch_stride`` and ``stride`` (pixels between the places of both)."""

    def corrupt(self, patches: Tensor) -> tuple[Tensor, Tensor]:
        """B H W C patch embeddings -> the same with some replaced, and B H W bool: which the loss asks for."""
        raise NotImplementedError

    def check(self, size: tuple[int, int]):
        """Refuse images whose size does not go."""

    def loss(self, features: Tensor, pixels: Tensor, asked: Tensor) -> dict[str, Tensor]:
        """Of the backbone's last map B C h w, the images in [0, 1] before they were masked, and what is asked for."""
        raise NotImplementedError

    def paint(self, features: Tensor, pixels: Tensor, asked: Tensor) -> Tensor:
        """The images with what the model says in the places that were asked for, B 3 H W in [0, 1]."""
        raise NotImplementedError


@contextmanager
def edited(module: nn.Module, edit: Callable[[Tensor], Tensor]) -> Iterator[None]:
    """What a module returns passes ``edit``, within the context."""
    handle = module.register_forward_hook(lambda module, inputs, output: edit(output))
    try:
        yield
    finally:
        handle.remove()


@MODELS.register_module()
class MaskedPretrainer(BaseModel):
    """
    ::

        image -> backbone, whose patch embeddings the objective corrupts -> last map -> objective -> loss

    Args:
        backbone: any with a ``patch_embed`` whose output is B H W C (ViT, Swin, Swin v2): positions are added after it.
        objective: `PatchColours` (ViT, appendix B.1.2) or `SimMIM`.

    ``mode='predict'`` gives samples a ``pred_image``: 3 H W, uint8.

    Raises:
        ValueError: the backbone has no `patch_embed`; it gives vectors instead of maps.
    """

    task = 'reconstruction'

    def __init__(
        self, backbone: dict, objective: dict, data_preprocessor: dict | None = None, init_cfg: dict | None = None
    ):
        super().__init__(data_preprocessor, init_cfg)
        self.backbone = MODELS.build(backbone)
        embed = getattr(self.backbone, 'patch_embed', None)
        if embed is None:
            raise ValueError(
                f'{type(self.backbone).__name__} has no `patch_embed` whose output could be masked; take mmparts.ViT, '
                'Swin or SwinV2'
            )
        if getattr(self.backbone, 'out', 'map') != 'map':
            raise ValueError(f"{type(self.backbone).__name__} gives out={self.backbone.out!r}; masking needs out='map'")
        self.objective = build_part(
            objective,
            embed_dims=embed.proj.out_channels,
            channels=self.backbone.channels[-1],
            patch_stride=embed.proj.stride[0] * (self.backbone.stem.strides[-1] if self._stem else 1),
            stride=self.backbone.strides[-1],
        )

    @property
    def _stem(self) -> bool:
        return getattr(self.backbone, 'stem', None) is not None

    def forward(self, inputs: Tensor, data_samples: Sequence | None = None, mode: str = 'tensor'):
        self.objective.check(tuple(inputs.shape[2:]))
        if mode == 'tensor':
            return self.masked(inputs)[0]
        features, asked = self.masked(inputs)
        pixels = self.pixels(inputs)
        if mode == 'loss':
            return self.objective.loss(features, pixels, asked)
        images = (255 * self.objective.paint(features, pixels, asked).clamp(0, 1)).round().to(torch.uint8)
        samples = [ImageSample() for _ in images] if data_samples is None else list(data_samples)
        for sample, image in zip(samples, images):
            sample.pred_image = image
        return samples

    def masked(self, images: Tensor) -> tuple[Tensor, Tensor]:
        """The last map of the corrupted images, and what was asked for."""
        asked = []

        def edit(patches: Tensor) -> Tensor:
            patches, which = self.objective.corrupt(patches)
            asked.append(which)
            return patches

        with edited(self.backbone.patch_embed, edit):
            features = self.backbone(images)[-1]
        return features, asked[0]

    def pixels(self, images: Tensor) -> Tensor:
        """The images as they were before the preprocessor normalised them, in [0, 1], float32."""
        mean, std = getattr(self.data_preprocessor, 'mean', 0), getattr(self.data_preprocessor, 'std', 1)
        return (images.float() * std + mean) / 255
