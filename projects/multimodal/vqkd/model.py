"""VQ-KD: a tokenizer is trained by telling a teacher's features of each patch from the code of the patch alone."""

from collections.abc import Sequence

import torch.nn.functional as F
from mmengine.model import BaseModel
from torch import Tensor

from ...layers.feature_spec import backbone_spec
from ...registry import MODELS, build_part
from ...structures import ImageSample
from .tokenizer import TaskLayer, VqkdCodes, pixels_of


@MODELS.register_module()
class VQKD(BaseModel):
    """
    ::

        pixels -> tokenizer -> features -> codebook -> codes -> decoder -> told features -> 1 - cosine
               -> teacher ---------------------------------------------> asked features ---^

    Args:
        tokenizer: see :class:`VqkdCodes`; it is trained.
        decoder: a backbone of stride 1 that reads the codes as a map of `in_channels`.
        teacher: see :class:`PatchTeacher`; its map must be on the grid of the tokenizer.
        data_preprocessor: mmengine's of images, which become RGB.

    Raises:
        ValueError: teacher or decoder are on another grid; images stay BGR.

    ``mode='tensor'`` returns the told features B h w D, ``'loss'`` the losses and how many codes the batch has,
    ``'predict'`` samples with ``pred_tokens``, h w.
    """

    task = 'visual tokens'

    def __init__(
        self,
        tokenizer: dict,
        decoder: dict,
        teacher: dict,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        self.tokenizer: VqkdCodes = build_part({**tokenizer, 'frozen': False})
        self.decoder = build_part(decoder, in_channels=self.tokenizer.codebook.dims)
        self.teacher = build_part(teacher)
        spec = backbone_spec(self.decoder)
        self.task_layer = TaskLayer(spec.channels[-1], self.teacher.out_dims)
        patch = self.tokenizer.patch_size
        if self.teacher.stride != patch:
            raise ValueError(
                f'the teacher gives a vector each {self.teacher.stride} pixels, the tokenizer has patches of {patch}; '
                'take another map of the teacher (out_indices), or another patch_size'
            )
        if spec.strides[-1] != 1:
            raise ValueError(f'the decoder has the stride {spec.strides[-1]}; of codes write patch_size=1')
        if not getattr(self.data_preprocessor, '_channel_conversion', True):
            raise ValueError('images are BGR; the tokenizer reads RGB: write bgr_to_rgb=True into data_preprocessor')

    def forward(self, inputs: Tensor, data_samples: Sequence | None = None, mode: str = 'tensor'):
        pixels = self.pixels(inputs)
        if mode == 'loss':
            return self.loss(pixels)
        if mode == 'predict':
            return self.predict(pixels, data_samples)
        if mode == 'tensor':
            return self.told(self.tokenizer.codebook(self.tokenizer.features(pixels)).vectors)
        raise ValueError(f"mode={mode!r} is unknown; choose from 'tensor', 'loss', 'predict'")

    def pixels(self, images: Tensor) -> Tensor:
        """As they were before the preprocessor, in [0, 1]."""
        given = self.data_preprocessor
        return pixels_of(images, getattr(given, 'mean', 0), getattr(given, 'std', 1))

    def told(self, vectors: Tensor) -> Tensor:
        """B h w D' of the codebook -> B h w D as the teacher's."""
        return self.task_layer(self.decoder(vectors.movedim(-1, 1))[-1].movedim(1, -1))

    def loss(self, pixels: Tensor) -> dict[str, Tensor]:
        asked = self.teacher(pixels)
        coded = self.tokenizer.codebook(self.tokenizer.features(pixels))
        told = self.told(coded.vectors)

        distance = 1 - F.cosine_similarity(told, asked.float(), dim=-1).mean()
        losses = dict(loss_features=distance, loss_commitment=coded.loss)
        return losses if coded.different is None else dict(losses, codes=coded.different.float())

    def predict(self, pixels: Tensor, samples: Sequence | None = None) -> list:
        numbers = self.tokenizer.numbers(pixels)
        samples = [ImageSample() for _ in numbers] if samples is None else list(samples)
        for sample, each in zip(samples, numbers):
            sample.pred_tokens = each
        return samples
