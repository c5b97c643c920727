"""Loss terms: each compares logits with the truth; sums over the terms, times their weights, are what trains.

Called as ``term(logits, target, extras)``: logits B K *size, the truth at that size, and what parts gave beside maps.
"""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from .structures import IGNORE, Target


class Term(nn.Module):
    """
    Args:
        weight: factor of the term in the sum.
    """

    name: str  #: key of the loss
    every_scale = True  #: whether the coarser outputs and auxiliary branches have it, too

    def __init__(self, weight: float = 1.0):
        super().__init__()
        self.weight = weight

    def forward(self, logits: Tensor, target: Target, extras: dict) -> Tensor:
        raise NotImplementedError


def probabilities(logits: Tensor, activation: str) -> Tensor:
    """Of logits B K *size, in float32."""
    if activation not in ('softmax', 'sigmoid', 'none'):
        raise ValueError(f"activation={activation!r} is unknown; choose from 'softmax', 'sigmoid', 'none'")
    logits = logits.float()
    if activation == 'softmax':
        return logits.softmax(1)
    return logits.sigmoid() if activation == 'sigmoid' else logits


@MODELS.register_module()
class SoftDiceTerm(Term):
    """Soft Dice: 1 - (2 sum(p t) + smooth_nr) / (sum(p) + sum(t) + smooth_dr), the mean over classes.

    Args:
        activation: 'softmax', 'sigmoid' or 'none'; set by the segmentor.
        squared: sums of squares in the denominator (V-Net).
        over_batch: sums over the batch, too; else the loss is the mean over samples.
        background: whether class 0 counts.
        class_sum: the sum over classes instead of their mean (TransBTS).
        from_zero: without the 1: the value is minus the Dice (nnU-Net v1); the gradient is the same.

    >>> truth = torch.tensor([[[0, 1], [1, 1]]])
    >>> sure = 50 * torch.nn.functional.one_hot(truth).movedim(-1, 1).float()
    >>> round(SoftDiceTerm()(sure, Target(truth), {}).item(), 4)
    0.0
    """

    name = 'loss_dice'

    def __init__(
        self,
        activation: str = 'softmax',
        squared: bool = False,
        over_batch: bool = False,
        background: bool = True,
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        class_sum: bool = False,
        from_zero: bool = False,
        weight: float = 1.0,
    ):
        super().__init__(weight)
        self.activation, self.squared, self.over_batch, self.background = activation, squared, over_batch, background
        self.smooth_nr, self.smooth_dr, self.class_sum, self.from_zero = smooth_nr, smooth_dr, class_sum, from_zero

    def forward(self, logits, target, extras):
        product, denominator = overlap(logits, target, self.activation, self.squared, self.over_batch)
        dice = (2 * product + self.smooth_nr) / (denominator + self.smooth_dr)
        dice = dice if self.background else dice[:, 1:]
        loss = -dice if self.from_zero else 1 - dice
        return loss.sum(1).mean() if self.class_sum else loss.mean()


def overlap(
    logits: Tensor, target: Target, activation: str, squared: bool = False, over_batch: bool = False
) -> tuple[Tensor, Tensor]:
    """B K (1 K over the batch) each: sums of p t, and of p + t (their squares), where there is a truth."""
    valid = target.valid
    guess = probabilities(logits, activation) * valid
    true = target.dense(logits.shape[1])
    axes = tuple(range(2, logits.ndim)) + ((0,) if over_batch else ())
    product = (guess * true).sum(axes)
    total = (guess.square() + true.square() if squared else guess + true).sum(axes)
    return (product[None], total[None]) if over_batch else (product, total)


@MODELS.register_module()
class GeneralisedDiceTerm(Term):
    """Dice of all classes together, each weighted by 1 / (its squared size) (https://arxiv.org/abs/1707.03237).

    An absent class has the weight 1 / eps and decides everything, as in BiTr-Unet's code; ``absent='largest'`` gives it
    the largest weight of those that are there (MONAI).

    Args:
        eps: added to the squared size.
        smooth_nr, smooth_dr: added to numerator and denominator.
        absent: 'eps' or 'largest'.
        others: see :class:`SoftDiceTerm`.
    """

    name = 'loss_gdice'

    def __init__(
        self,
        activation: str = 'softmax',
        over_batch: bool = False,
        background: bool = True,
        eps: float = 0.0,
        smooth_nr: float = 1e-5,
        smooth_dr: float = 1e-5,
        absent: str = 'largest',
        weight: float = 1.0,
    ):
        super().__init__(weight)
        if absent not in ('eps', 'largest'):
            raise ValueError(f"absent={absent!r} is unknown; choose from 'eps', 'largest'")
        self.activation, self.over_batch, self.background = activation, over_batch, background
        self.eps, self.smooth_nr, self.smooth_dr, self.absent = eps, smooth_nr, smooth_dr, absent

    def forward(self, logits, target, extras):
        product, denominator = overlap(logits, target, self.activation, over_batch=self.over_batch)
        axes = tuple(range(2, logits.ndim)) + ((0,) if self.over_batch else ())
        size = target.dense(logits.shape[1]).sum(axes).view_as(product)
        start = 0 if self.background else 1
        product, denominator, size = (each[:, start:] for each in (product, denominator, size))

        weight = 1 / (size.square() + self.eps)
        if self.absent == 'largest':
            missing = size == 0
            largest = weight.masked_fill(missing, 0).amax(1, keepdim=True)
            weight = torch.where(missing, largest, weight)
        top = 2 * (weight * product).sum(1) + self.smooth_nr
        return (1 - top / ((weight * denominator).sum(1) + self.smooth_dr)).mean()


@MODELS.register_module()
class CrossEntropyTerm(Term):
    """Cross entropy of softmax classes; the mean over pixels that have a truth.

    Args:
        class_weight: factor of each class; the mean is weighted by it, as in torch.
    """

    name = 'loss_ce'

    def __init__(self, class_weight: Sequence[float] | None = None, weight: float = 1.0):
        super().__init__(weight)
        class_weight = None if class_weight is None else torch.tensor(class_weight)
        self.register_buffer('class_weight', class_weight, persistent=False)

    def forward(self, logits, target, extras):
        labels = target.labels(logits.shape[1])
        losses = F.cross_entropy(logits.float(), labels, self.class_weight, ignore_index=IGNORE, reduction='sum')
        counted = self._counted(labels)
        return losses / counted.clamp(min=1e-12)

    def _counted(self, labels: Tensor) -> Tensor:
        known = labels != IGNORE
        return known.sum() if self.class_weight is None else self.class_weight[labels[known]].sum()


@MODELS.register_module()
class BinaryCrossEntropyTerm(Term):
    """Cross entropy of sigmoid regions; the mean over pixels and regions that have a truth.

    Args:
        positive_weight: factor of pixels in a region.
    """

    name = 'loss_bce'

    def __init__(self, positive_weight: float | None = None, weight: float = 1.0):
        super().__init__(weight)
        positive_weight = None if positive_weight is None else torch.tensor(float(positive_weight))
        self.register_buffer('positive_weight', positive_weight, persistent=False)

    def forward(self, logits, target, extras):
        true, valid = target.dense(logits.shape[1]), target.valid.expand_as(logits)
        losses = F.binary_cross_entropy_with_logits(
            logits.float(), true, pos_weight=self.positive_weight, reduction='none'
        )
        return (losses * valid).sum() / valid.sum().clamp(min=1)


@MODELS.register_module()
class DenseFocalTerm(Term):
    """Focal loss (https://arxiv.org/abs/1708.02002): cross entropy times (1 - p)^gamma, p of what is right.

    Args:
        activation: 'sigmoid' (each region) or 'softmax' (each pixel); set by the segmentor.
        alpha: factor of regions, 1 - alpha of what is outside them; None: none. Only with 'sigmoid'.
    """

    name = 'loss_focal'

    def __init__(
        self, activation: str = 'sigmoid', gamma: float = 2.0, alpha: float | None = None, weight: float = 1.0
    ):
        super().__init__(weight)
        if alpha is not None and activation != 'sigmoid':
            raise ValueError('alpha weighs what is in a region against what is not; softmax classes take none')
        self.activation, self.gamma, self.alpha = activation, gamma, alpha

    def forward(self, logits, target, extras):
        true, valid = target.dense(logits.shape[1]), target.valid
        if self.activation == 'softmax':
            log_right = (logits.float().log_softmax(1) * true).sum(1, keepdim=True)
        else:
            valid = valid.expand_as(logits)
            log_right = F.logsigmoid(torch.where(true > 0, logits, -logits).float())
        losses = -((1 - log_right.exp()) ** self.gamma) * log_right
        if self.alpha is not None:
            losses = losses * torch.where(true > 0, self.alpha, 1 - self.alpha)
        return (losses * valid).sum() / valid.sum().clamp(min=1)
