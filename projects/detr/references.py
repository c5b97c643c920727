"""How a reference moves from one decoder layer to the next.

Each rule is called as ``rule(branch, hidden, reference, eps)`` with the layer's box branch and returns
``(into the next layer, kept for the next layer's prediction)``.
"""

from torch import Tensor, nn

from ..registry import MODELS
from .boxes import move
from .roles import ReferenceUpdate


@MODELS.register_module()
class FixedReference(ReferenceUpdate):
    """The reference stays: every layer predicts relative to the first one (DETR, Deformable DETR)."""

    def __call__(self, branch: nn.Module, hidden: Tensor, reference: Tensor | None, eps: float):
        return reference, reference


@MODELS.register_module()
class IterativeRefinement(ReferenceUpdate):
    """The predicted box is the next reference, cut from the graph (Deformable DETR, appendix A.4)."""

    def __call__(self, branch: nn.Module, hidden: Tensor, reference: Tensor | None, eps: float):
        # Not under no_grad: an autocast may keep weights that it cast there, without a graph, for the head's own call.
        refined = move(branch(hidden), reference, eps).detach()
        return refined, refined


@MODELS.register_module()
class LookForwardTwice(ReferenceUpdate):
    """As refinement, but a layer's prediction also trains the box that it started from (DINO, section 3.5)."""

    def __call__(self, branch: nn.Module, hidden: Tensor, reference: Tensor | None, eps: float):
        refined = move(branch(hidden), reference, eps)
        return refined.detach(), refined
