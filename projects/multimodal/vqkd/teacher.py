"""What VQ-KD distils: the features that a trained model gives for each patch.

The paper's are CLIP ViT-B/16's after its last norm and projection (512), or DINO ViT-B/16's after its last norm (768),
of the same images (https://arxiv.org/abs/2208.06366, section 3.1).
"""

from collections.abc import Sequence

import torch
from mmengine.model import BaseModule
from torch import Tensor, nn

from ...layers.feature_spec import backbone_spec
from ...registry import MODELS
from ...weights.containers import unwrap
from ...weights.convert import account
from ...weights.errors import WeightsDoNotFit
from ...weights.readers import read_file
from ..preprocessor import CLIP_MEAN, CLIP_STD
from .tokenizer import taken

# Names of the projection in files of ours, of OpenAI (which has it the other way round) and of transformers.
PROJECTIONS = {'projections.image.weight': False, 'visual.proj': True, 'visual_projection.weight': False}
OURS = 'towers.image.backbone.'


@MODELS.register_module()
class PatchTeacher(BaseModule):
    """``teacher(pixels B 3 H W) -> B h w D``: the last map of a frozen backbone, projected.

    Args:
        backbone: of the registries; a ViT says ``out='map'``, so that class tokens are left out.
        out_dims: of a linear map after it, that of a CLIP into its joint space; None: none.
        checkpoint: of a CLIP trained here (a `MultimodalModel`), or a published file that fits the backbone.
        mean, std: of each channel, of values up to 255; CLIP's.
        untrained: allow a teacher without a checkpoint, which has nothing to teach; for tests.

    Raises:
        ValueError: no checkpoint.
        WeightsDoNotFit: the file is of another image tower, or has no projection.
    """

    tiny = dict(checkpoint=None, untrained=True)

    def __init__(
        self,
        backbone: dict,
        out_dims: int | None = None,
        checkpoint: str | None = None,
        mean: Sequence[float] = CLIP_MEAN,
        std: Sequence[float] = CLIP_STD,
        untrained: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if not (checkpoint or untrained):
            raise ValueError(
                'the teacher of VQ-KD has no weights: features of a random network teach nothing; give '
                'model.teacher.checkpoint=FILE, a trained CLIP (published, or of configs/clip)'
            )
        self.backbone = MODELS.build(backbone)
        spec = backbone_spec(self.backbone)
        self.stride, self.checkpoint = spec.strides[-1], checkpoint
        self.projection = nn.Linear(spec.channels[-1], out_dims, bias=False) if out_dims else nn.Identity()
        self.out_dims = out_dims or spec.channels[-1]
        for name, values in (('mean', mean), ('std', std)):
            self.register_buffer(name, torch.tensor(values, dtype=torch.float32).view(-1, 1, 1), persistent=False)
        self.requires_grad_(False).eval()

    def init_weights(self):
        super().init_weights()
        if self.checkpoint:
            self.load(self.checkpoint)

    def load(self, path: str) -> None:
        """Take backbone and projection out of a file; what else it has (texts, the pooling of a ResNet) is left."""
        found = unwrap(read_file(path))
        own = {name.removeprefix(OURS): each for name, each in found.state.items() if name.startswith(OURS)}
        if own:
            kept = {name: each for name, each in own.items() if not name.startswith('attn_pool.')}
            taken(self.backbone, kept, f'{path}: its image tower')
        else:
            self.backbone.load_state_dict(account(found, self.backbone).check().state)
        if isinstance(self.projection, nn.Linear):
            name = next((name for name in PROJECTIONS if name in found.state), None)
            if name is None:
                raise WeightsDoNotFit(
                    f'{path} has no projection of images ({", ".join(PROJECTIONS)}); write out_dims=None'
                )
            weight = found.state[name]
            weight = weight.T if PROJECTIONS[name] else weight
            taken(self.projection, dict(weight=weight), f'{path}: its projection')

    def train(self, mode: bool = True) -> 'PatchTeacher':
        return super().train(False)

    @torch.no_grad()
    def forward(self, pixels: Tensor) -> Tensor:
        """RGB in [0, 1]."""
        return self.projection(self.backbone((255 * pixels - self.mean) / self.std)[-1].movedim(1, -1))
