"""Maps of a frozen backbone, computed once for each image: what pre-trained features cost when a head alone learns.

Where images come again as they were (no random crops and colours; flips make a few of each), a head on a frozen
backbone sees the same maps in each epoch. They stay in memory here, so that all but the first epochs train the head
alone.
"""

import hashlib
from contextlib import nullcontext

import torch
from mmengine.logging import print_log
from mmengine.model import BaseModule
from torch import Tensor

from ..layers.feature_spec import backbone_spec, image_channels
from ..registry import MODELS

GIB = 2**30


@MODELS.register_module()
class RememberedMaps(BaseModule):
    """A frozen backbone that computes each image once. Publishes ``channels`` and ``strides``.

    Two images are the same when all their pixels are, after flips, resizing, normalisation and padding.

    Args:
        backbone: config of a backbone, all of which is frozen here.
        gib: main memory of each rank for the maps of images in training; what does not fit is computed again each
            time, and the log says so once.
        dtype: 'bfloat16' computes the maps in mixed precision and keeps them so; default: as the model's.
    """

    def __init__(self, backbone: dict, gib: float = 2.0, dtype: str | None = None, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.backbone = MODELS.build(backbone).requires_grad_(False)
        self.in_channels = image_channels(self.backbone)
        self.channels, self.strides = (spec := backbone_spec(self.backbone)).channels, spec.strides
        self.dtype = getattr(torch, dtype) if dtype else None
        self.room = int(gib * GIB)
        self.kept: dict[bytes, list[Tensor]] = {}

    def train(self, mode: bool = True) -> 'RememberedMaps':
        super().train(mode)
        self.backbone.eval()
        return self

    def forward(self, images: Tensor) -> tuple[Tensor, ...]:
        """B C H W -> what the backbone gives for it, without gradients."""
        if not self.training:
            return self._compute(images)
        names = [hashlib.blake2b(image.contiguous().cpu().numpy(), digest_size=16).digest() for image in images]
        missing = [i for i, name in enumerate(names) if name not in self.kept]
        found = dict(zip(names, map(self.kept.get, names)))
        if missing:
            levels = self._compute(images[missing])
            for place, i in enumerate(missing):
                found[names[i]] = [level[place].to(self.dtype or level.dtype, copy=True).cpu() for level in levels]
                self._keep(names[i], found[names[i]])
        levels = zip(*(found[name] for name in names))
        return tuple(torch.stack(level).to(images.device, images.dtype, non_blocking=True) for level in levels)

    @torch.no_grad()
    def _compute(self, images: Tensor) -> tuple[Tensor, ...]:
        mixed = torch.autocast(images.device.type, self.dtype) if self.dtype else nullcontext()
        with mixed:
            return tuple(level.to(images.dtype) for level in self.backbone(images))

    def _keep(self, name: bytes, levels: list[Tensor]):
        size = sum(level.nbytes for level in levels)
        if size <= self.room:
            self.kept[name] = levels
            self.room -= size
        elif self.room >= 0:
            print_log(f'maps of {len(self.kept)} images are remembered, no more fit: see gib', 'current')
            self.room = -1
