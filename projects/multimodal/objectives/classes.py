"""Classes of what a model has seen together: is a sentence true, which of the known answers is it."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..answers import read_answers
from ..labels import class_labels
from ..roles import Objective
from ..states import State, States
from .matching import select

ACTS = {'relu': nn.ReLU, 'gelu': nn.GELU, 'tanh': nn.Tanh}
ANSWER_LOSSES = ('bce', 'kl')
READS = ('pooled', 'firsts', 'mean', 'mask')


@MODELS.register_module()
class JointHead(nn.Sequential):
    """Pooled vector -> logits: a norm or none; a hidden layer with norm and activation, or none; a linear map.

    Args:
        in_dims: channels of the vector.
        pooler: a norm, a linear map and tanh before all else (BEiT-3's VQA).
        hidden_dims: None: no hidden layer.
        norm_first, norm_hidden: a LayerNorm there.
        dropout: before the last map.
        last_scale: factor of the last matrix at the start.
    """

    def __init__(
        self,
        in_dims: int,
        num_classes: int,
        hidden_dims: int | None = None,
        act: str = 'gelu',
        norm_first: bool = False,
        norm_hidden: bool = False,
        norm_eps: float = 1e-5,
        dropout: float = 0.0,
        last_scale: float = 1.0,
        pooler: bool = False,
    ):
        layers = [nn.LayerNorm(in_dims, eps=norm_eps)] if norm_first or pooler else []
        layers += [nn.Linear(in_dims, in_dims), nn.Tanh()] if pooler else []
        if hidden_dims:
            layers.append(nn.Linear(in_dims, hidden_dims))
            layers += [nn.LayerNorm(hidden_dims, eps=norm_eps)] if norm_hidden else []
            layers.append(ACTS[act]())
        layers += [nn.Dropout(dropout)] if dropout else []
        super().__init__(*layers, nn.Linear(hidden_dims or in_dims, num_classes))
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.trunc_normal_(layer.weight, std=0.02)
                nn.init.zeros_(layer.bias)
        self[-1].weight.data.mul_(last_scale)


class JointReader(Objective):
    """Base: a head reads numbers off what a model has seen together.

    Args:
        between: what is seen together; one name: the state of that modality.
        head: see :class:`JointHead`; it is told `in_dims` and `num_classes`.
        read: what it reads: 'pooled', the pooled vector; 'firsts', the first token of each modality; 'mean', the mean
            of all tokens but the first (BEiT-3 on images); 'mask', the text's last token but one, where a question ends
            in a mask (VisualBERT). A part is told `embed_dims` and called with the joint state, as `QueryPooling`
            (ONE-PEACE).

    Attributes:
        passes: how many joint states the head reads.
    """

    passes = 1
    uses = ('joint',)

    def __init__(
        self,
        outputs: int,
        between: Sequence[str] = ('image', 'text'),
        head: dict = dict(type=JointHead),
        read: str | dict = 'pooled',
        joint_dims: int | None = None,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        dims = joint_dims or 1
        self.pooling = build_part(read, embed_dims=dims) if isinstance(read, Mapping) else None
        if self.pooling is None and read not in READS:
            raise ValueError(f'read={read!r} is unknown; choose from {", ".join(map(repr, READS))}, or give a part')
        self.read = read
        self.between = self.needs = tuple(between)
        vectors = self.passes * (len(self.between) if read == 'firsts' else 1)
        self.head = build_part(head, in_dims=vectors * dims, num_classes=outputs)

    def logits(self, states: States) -> Tensor:
        """B, and what the head gives."""
        return self.head(self.vector(states.joint(*self.between)))

    def vector(self, joint: State) -> Tensor:
        """B C, what the head reads of a joint state."""
        if self.pooling is not None:
            return self.pooling(joint)
        if self.read == 'pooled':
            return joint.pooled
        if self.read == 'firsts':
            return torch.cat([joint.tokens[:, joint.parts[name]][:, 0] for name in self.between], -1)
        if self.read == 'mean':
            return joint.tokens[:, 1:].mean(1)
        text = joint.parts['text']
        words = joint.tokens[:, text]
        last = torch.full_like(words[:, 0, 0], words.shape[1]) if joint.keep is None else joint.keep[:, text].sum(1)
        return words[torch.arange(len(words), device=words.device), last.long() - 2]


@MODELS.register_module()
class JointClasses(JointReader):
    """Classes, ``gt_label`` of the samples, or ``gt_score`` of mixed images.

    Args:
        kwargs: see :class:`JointReader`.
    """

    def __init__(self, num_classes: int = 2, label_smoothing: float = 0.0, **kwargs):
        super().__init__(num_classes, **kwargs)
        self.num_classes, self.label_smoothing = num_classes, label_smoothing

    def forward(self, states: States) -> dict[str, Tensor]:
        logits = self.logits(states).float()
        targets = self.targets(states, logits)
        return dict(loss=self.loss(logits, targets), accuracy=self.accuracy(logits.detach(), targets))

    def targets(self, states: States, logits: Tensor) -> Tensor:
        return class_labels(states.samples, self.num_classes, logits.device)

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        return F.cross_entropy(logits, targets, label_smoothing=self.label_smoothing)

    def accuracy(self, logits: Tensor, targets: Tensor) -> Tensor:
        labels = targets if targets.ndim == 1 else targets.argmax(1)
        return (logits.argmax(1) == labels).float().mean()


@MODELS.register_module()
class PairReasoning(JointClasses):
    """Is a sentence true of two images: the text with each of them in a pass of its own, and what is read of both
    passes, side by side, to a head. Images come as all first ones, then all second ones.

    Args:
        read: 'firsts', vectors of image and text (BEiT-3), or a part, as `QueryPooling` (ONE-PEACE).
    """

    passes = 2

    def __init__(self, num_classes: int = 2, read: str | dict = 'firsts', **kwargs):
        super().__init__(num_classes, read=read, **kwargs)

    def logits(self, states: States) -> Tensor:
        image, text = self.between
        texts = states.inputs[text]
        both = torch.arange(len(texts), device=texts.ids.device).repeat(2)
        joint = states.changed({text: select(texts, both)}, {image: states.tower(image)}).joint(image, text)
        return self.head(torch.cat(self.vector(joint).chunk(2), -1))


@MODELS.register_module()
class AnswerClasses(JointClasses):
    """Known answers as classes, with soft scores: ``gt_answers`` and ``gt_answer_weights`` of the samples.

    Args:
        answers: a list, or a file of them (:func:`read_answers`); None: only counted, not trained.
        loss: 'bce', the mean of binary cross-entropies times the number of answers (BEiT-3); 'kl', the divergence from
            the scores as shares (VisualBERT).

    Answers that are not among the known ones are no class: a sample of such answers alone has only zeros.
    """

    tiny = dict(answers=('yes', 'no'))

    def __init__(
        self, answers: Sequence[str] | str | None = None, num_classes: int = 3129, loss: str = 'bce', **kwargs
    ):
        self_answers = None if answers is None else read_answers(answers)
        super().__init__(num_classes=num_classes if self_answers is None else len(self_answers), **kwargs)
        if loss not in ANSWER_LOSSES:
            raise ValueError(f'loss={loss!r} is unknown; choose from {ANSWER_LOSSES}')
        self.answers, self.kind = self_answers, loss
        self.rows = {answer: row for row, answer in enumerate(self.answers or ())}

    def targets(self, states: States, logits: Tensor) -> Tensor:
        if self.answers is None:
            raise ValueError('AnswerClasses: without answers=... nothing says which class an answer is')
        targets = torch.zeros_like(logits)
        for row, sample in enumerate(states.samples):
            for answer, score in zip(sample.gt_answers, sample.gt_answer_weights):
                if answer in self.rows:
                    targets[row, self.rows[answer]] = float(score)
        return targets

    def loss(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.kind == 'bce':
            return F.binary_cross_entropy_with_logits(logits, targets) * self.num_classes
        return F.kl_div(logits.log_softmax(-1), targets, reduction='batchmean')

    def accuracy(self, logits: Tensor, targets: Tensor) -> Tensor:
        """The mean score of the chosen answers."""
        return targets.gather(1, logits.argmax(1, keepdim=True)).mean()
