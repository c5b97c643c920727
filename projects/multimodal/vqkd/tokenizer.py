"""Visual tokens of BEiT v2: the patches of an image as numbers of a codebook (https://arxiv.org/abs/2208.06366).

Code: microsoft/unilm, beit2/modeling_vqkd.py. What differs: it takes images as a preprocessor normalised them, and says
by which statistics; the code guesses from the largest value whether pixels go to 1 or to 255.
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers.feature_spec import backbone_spec
from ...ops.kernels.precision import without_autocast
from ...registry import MODELS, build_part
from ...weights.containers import unwrap
from ...weights.convert import account
from ...weights.errors import WeightsDoNotFit
from ...weights.readers import read_file
from ..objectives.masked import PatchCodes
from ..preprocessor import ImageInputs
from .codebook import CodeBook


class TaskLayer(nn.Sequential):
    """Linear, tanh, Linear: between a ViT's tokens and what is asked of them, in full precision."""

    def __init__(self, in_dims: int, out_dims: int):
        super().__init__(nn.Linear(in_dims, in_dims), nn.Tanh(), nn.Linear(in_dims, out_dims))
        for linear in (self[0], self[2]):
            nn.init.trunc_normal_(linear.weight, std=0.02)
            nn.init.zeros_(linear.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        with without_autocast(tokens):
            return super().forward(tokens.float())


@MODELS.register_module()
class VqkdCodes(PatchCodes):
    """``codes(images) -> B N``, the numbers of the patches, row by row; ``features(pixels)`` before they are numbers.

    As `codes` of :class:`MaskedData` it is frozen: no gradient, no step of the codebook, and it reads from the model by
    what its images were normalised (:meth:`bind`). :class:`VQKD` trains it.

    Args:
        encoder: a backbone whose last map is read.
        codebook: see :class:`CodeBook`.
        checkpoint: the published file, or one of a `VQKD` trained here; read when weights are initialised.
        frozen: as said.
        untrained: allow a frozen one without a checkpoint, whose tokens mean nothing; for tests, and where all weights
            come from the checkpoint of the whole model.

    Raises:
        ValueError: frozen, without a checkpoint; :meth:`bind` finds no statistics.
        WeightsDoNotFit: the file is of another tokenizer.
    """

    tiny = dict(checkpoint=None, untrained=True)

    def __init__(
        self,
        encoder: dict,
        codebook: dict = dict(type=CodeBook),
        checkpoint: str | None = None,
        frozen: bool = True,
        untrained: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if frozen and not (checkpoint or untrained):
            raise ValueError(
                f'{type(self).__name__}: visual tokens of an untrained tokenizer mean nothing; give checkpoint=FILE, '
                'the published one (mmparts weights fetch vqkd_encoder_base_decoder_3x768x12_clip-d5036aa7.pth) or one '
                'of configs/vqkd'
            )
        self.encoder = MODELS.build(encoder)
        spec = backbone_spec(self.encoder)
        self.patch_size = spec.strides[-1]
        self.codebook = build_part(codebook)
        self.task_layer = TaskLayer(spec.channels[-1], self.codebook.dims)
        self.num_codes = self.codebook.num_codes
        self.checkpoint, self.frozen = checkpoint, frozen
        if frozen:
            self.requires_grad_(False).eval()

    def bind(self, model):
        """Take over the statistics by which the preprocessor of a model normalises its images."""
        images = dict(getattr(model.data_preprocessor, 'inputs', {}).items()).get('image')
        if not isinstance(images, ImageInputs) or not images.bgr_to_rgb:
            raise ValueError(
                f'{type(self).__name__} reads RGB images and has to know what they were normalised by; the '
                f'preprocessor has {type(images).__name__} for them, `mmparts.ImageInputs` with bgr_to_rgb=True says it'
            )
        self.register_buffer('mean', images.mean.clone(), persistent=False)
        self.register_buffer('std', images.std.clone(), persistent=False)

    def init_weights(self):
        super().init_weights()
        if self.checkpoint:
            self.load(self.checkpoint)

    def load(self, path: str) -> None:
        """Take encoder, task layer and codebook out of a file: strictly, tensor by tensor."""
        found, place = unwrap(read_file(path)), 'tokenizer.'
        own = {name.removeprefix(place): each for name, each in found.state.items() if name.startswith(place)}
        if own:
            taken(self, own, f'{path}: its tokenizer')
        else:
            self.load_state_dict(account(found, self).check().state)

    def train(self, mode: bool = True) -> 'VqkdCodes':
        return super().train(mode and not self.frozen)

    def forward(self, images: Tensor) -> Tensor:
        with torch.no_grad():
            return self.numbers(pixels_of(images, self.mean, self.std)).flatten(1)

    def features(self, pixels: Tensor) -> Tensor:
        """B 3 H W, RGB in [0, 1] -> B h w D, of length 1 and in full precision."""
        tokens = self.encoder(2 * pixels - 1)[-1].movedim(1, -1)
        with without_autocast(tokens):
            return F.normalize(self.task_layer(tokens), dim=-1)

    def numbers(self, pixels: Tensor) -> Tensor:
        """The same -> B h w, the numbers of the nearest codes."""
        return self.codebook(self.features(pixels)).numbers


def pixels_of(images: Tensor, mean: Tensor | float, std: Tensor | float) -> Tensor:
    """Images as they were before they were normalised, in [0, 1], float32; the statistics are of values up to 255."""
    return (images.float() * std + mean) / 255


def taken(part: nn.Module, state: Mapping[str, Tensor], what: str) -> None:
    """Load tensors of a part under its own names; raise WeightsDoNotFit where they are of another."""
    try:
        part.load_state_dict(state)
    except RuntimeError as error:
        raise WeightsDoNotFit(f'{what} is another than this {type(part).__name__}: {error}') from error
