"""A text tower as a part of other families: strings become vectors. A detector's class branch reads classes by it."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from mmengine.model import BaseModule
from torch import Tensor, nn

from ..registry import MODELS, TASK_UTILS, build_part
from ..weights.readers import read_file
from .tokenizers import ByteTokenizer

BATCH = 256


@MODELS.register_module()
class TextEncoder(BaseModule):
    """``encoder(strings) -> T D``, of length 1: tokenizer, tower and projection.

    Args:
        tokenizer: config of one, in TASK_UTILS.
        tower: config of a text tower.
        out_dims: D, of the joint space that the tower was trained for.
        checkpoint: file of a `MultimodalModel`; its text tower and projection are taken when weights are initialised.
        frozen: keep them as they are, so that words which the training never named keep their meaning.

    Raises:
        ValueError: the file has no text tower, or one of other sizes.
    """

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(tokenizer=dict(_delete_=True, type=ByteTokenizer, context_length=16), out_dims=16, checkpoint=None)

    def __init__(
        self,
        tokenizer: dict,
        tower: dict,
        out_dims: int = 512,
        checkpoint: str | None = None,
        frozen: bool = True,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.tokenizer = TASK_UTILS.build(tokenizer)
        shared = dict(vocab_size=self.tokenizer.vocab_size, context_length=self.tokenizer.context_length)
        self.tower = build_part(tower, **shared)
        self.projection = nn.Linear(self.tower.pooled_dims, out_dims, bias=False)
        self.out_dims, self.checkpoint, self.frozen = out_dims, checkpoint, frozen
        if frozen:
            self.requires_grad_(False).eval()

    def init_weights(self):
        super().init_weights()
        if self.checkpoint:
            self.load(self.checkpoint)

    def load(self, path: str) -> None:
        """Take the text tower and its projection out of a checkpoint."""
        state = read_file(path).content
        state = state.get('state_dict', state)
        named = {'towers.text.': 'tower.', 'projections.text.': 'projection.'}
        own = {
            ours + name.removeprefix(theirs): tensor
            for name, tensor in state.items()
            for theirs, ours in named.items()
            if name.startswith(theirs)
        }
        if not own:
            raise ValueError(f'{path} has no text tower (names that begin with towers.text.)')
        try:
            self.load_state_dict(own)
        except RuntimeError as error:
            raise ValueError(f'{path}: its text tower is another than this one: {error}') from error

    def train(self, mode: bool = True) -> 'TextEncoder':
        return super().train(mode and not self.frozen)

    def forward(self, strings: Sequence[str]) -> Tensor:
        device, found = self.projection.weight.device, []
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            for start in range(0, len(strings), BATCH):
                texts = self.tokenizer(list(strings[start : start + BATCH])).to(device)
                found.append(F.normalize(self.projection(self.tower(texts).pooled), dim=-1))
        return torch.cat(found)
