"""Pre-training on images without labels: the objects are patches of the image, described by its frozen backbone.

What UP-DETR and DETReg share. A patch is cut from the image and augmented by the data pipeline
(`datasets/patches.py`); it arrives as ``gt_instances.patches``, P 3 H W uint8, one for each box. The names of all
parts are those of the detector that is fine-tuned; what only pre-training has is `prompt` and `head.embedding_branch`.
"""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from mmdet.models.layers import MLP
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from ...registry import MODELS, build_part
from ..branches import States
from ..compatibility import check_number
from ..detector import QueryDetector
from ..queries import Proposals
from ..roles import Branch
from ..structures import Memory, QueryGroup, Targets

PROBE_SIZE = 128  # pixels of a trial patch


@MODELS.register_module()
class PretextDetector(QueryDetector):
    """A :class:`QueryDetector` whose backbone is frozen and describes the patches of each image.

    Args:
        stage: name of the backbone's module whose output, B C H W, is averaged into descriptors ('layer4').
        prompt: config of the part that tells the matching queries which patches to look for; None: they are not told.
        adapt_norms: the backbone's batch norms take the statistics of these images, though no weight is trained. With
            those of unlike images all descriptors are nearly the same, and there is nothing to find.
        head: config of a head with an :class:`EmbeddingBranch`; it gets ``descriptor_dims``, as the prompt does.
        others: as those of :class:`QueryDetector`.
    """

    def __init__(
        self,
        backbone: dict,
        head: dict,
        stage: str = 'layer4',
        prompt: dict | None = None,
        adapt_norms: bool = False,
        embed_dims: int = 256,
        num_queries: int = 300,
        **kwargs,
    ):
        dims = descriptor_dims(backbone, stage)
        super().__init__(
            backbone=backbone,
            head=dict(head, descriptor_dims=dims),
            embed_dims=embed_dims,
            num_queries=num_queries,
            **kwargs,
        )
        self.stage, self.adapt_norms = stage, adapt_norms
        shared = dict(embed_dims=embed_dims, num_queries=num_queries, descriptor_dims=dims)
        self.prompt = build_part(prompt, **shared) if prompt else None
        if prompt:
            check_number(self.queries, self.prompt)
        self.backbone.requires_grad_(False)

    @property
    def tiny_counts(self) -> tuple | None:
        """Objects in the images of tests, few and many: queries are dealt to patches, of which every image has some."""
        return ((5, 5), (10, 10)) if self.prompt else None

    def train(self, mode: bool = True) -> 'PretextDetector':
        super().train(mode)
        self.backbone.eval()
        for module in self.backbone.modules():
            if self.adapt_norms and isinstance(module, _BatchNorm):
                module.train(mode)
        return self

    def encode(self, batch_inputs: Tensor, samples: list | None) -> Memory:
        """Also writes ``gt_instances.descriptors``, P D, where the samples bring patches."""
        memory = super().encode(batch_inputs, samples)
        found = [sample.gt_instances for sample in samples or [] if 'patches' in sample.get('gt_instances', ())]
        if samples and len(found) == len(samples):
            described = self.describe(torch.cat([each.patches for each in found]))
            for each, part in zip(found, described.split([len(each.patches) for each in found])):
                each.descriptors = part
        return memory

    def ask(self, memory: Memory, samples: list | None) -> tuple[QueryGroup, Proposals | None]:
        match, proposals = super().ask(memory, samples)
        if self.prompt is not None:
            match = self.prompt(match, descriptors(samples))
        return match, proposals

    def describe(self, patches: Tensor) -> Tensor:
        """P 3 H W of 0 to 255, channels as images come -> P D, without gradient."""
        patches = self.data_preprocessor(dict(inputs=patches), training=False)['inputs']
        return pooled(self.backbone, self.stage, patches)


@torch.no_grad()
def pooled(backbone: nn.Module, stage: str, images: Tensor) -> Tensor:
    """B 3 H W -> B D: the mean over the output of one of the backbone's modules."""
    outputs = []
    handle = backbone.get_submodule(stage).register_forward_hook(lambda module, args, output: outputs.append(output))
    try:
        backbone(images)
    finally:
        handle.remove()
    if len(outputs) != 1 or getattr(outputs[0], 'ndim', 0) != 4:
        raise ValueError(
            f'stage={stage!r} of {type(backbone).__name__} gives no feature map B C H W, by which a patch '
            'could be described'
        )
    return outputs[0].float().mean((2, 3))


def descriptor_dims(backbone: dict, stage: str) -> int:
    """Channels of a stage's output, seen in a trial run on the meta device.

    Raises:
        ValueError: there is no such stage, or its output is not B C H W.
    """
    with torch.device('meta'):
        probe = MODELS.build(backbone)
        probe.eval()  # not chained: some backbones return None
        if stage not in dict(probe.named_modules()):
            names = ', '.join(name for name, _ in probe.named_children())
            raise ValueError(f'stage={stage!r}: {type(probe).__name__} has no such module; it has {names}')
        return pooled(probe, stage, torch.empty(1, 3, PROBE_SIZE, PROBE_SIZE)).shape[1]


def descriptors(samples: list | None) -> list[Tensor]:
    """P D of each image.

    Raises:
        ValueError: an image comes without patches.
    """
    found = [sample.get('gt_instances', {}).get('descriptors') for sample in samples or []]
    missing = [i for i, each in enumerate(found) if each is None]
    if missing or not found:
        raise ValueError(
            f'images {missing} of {len(found)} come without patches to look for; gt_instances.patches '
            '(P 3 H W uint8) are made by RandomQueryPatches or CutPatches and PackPatches'
        )
    return found


@dataclass
class Embeddings:
    """What the embedding branch says of queries, computed where it is asked for: at matched queries only.

    Args:
        hidden: L B N C.
    """

    hidden: Tensor
    branch: Callable[[Tensor], Tensor]

    def __getitem__(self, index) -> 'Embeddings':
        return Embeddings(self.hidden[index], self.branch)

    def at(self, where: tuple[Tensor, ...]) -> Tensor:
        """Layer, image and query of P predictions -> P D."""
        return self.branch(self.hidden[where])


@MODELS.register_module()
class EmbeddingBranch(Branch, MLP):
    """Two linear layers that are to tell the descriptor of the matched patch.

    Args:
        descriptor_dims: channels of the descriptors; a :class:`PretextDetector` knows them.
    """

    name = 'embedding_branch'
    predicts = ('embeddings',)

    def __init__(self, descriptor_dims: int | None, embed_dims: int = 256):
        if descriptor_dims is None:
            raise ValueError(
                'EmbeddingBranch does not know the channels of the descriptors: take PretextDetector, which does, or '
                'write descriptor_dims'
            )
        super().__init__(embed_dims, embed_dims, descriptor_dims, num_layers=2)

    def forward(self, states: States, references: list[Tensor | None], memory: Memory) -> dict[str, Embeddings]:
        return dict(embeddings=Embeddings(torch.stack(states.hidden), super().forward))


def wanted(targets: Targets, index: Tensor) -> Tensor:
    """P D: the descriptors of some objects."""
    return torch.cat(descriptors(targets.samples))[index]
