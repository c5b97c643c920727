"""BEiT-3 fine-tuned: captions written into masks.

Paper: https://arxiv.org/abs/2208.10442, section 3. Code: microsoft/unilm (beit3).
"""

from collections.abc import Mapping

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers.attention import KeyValues
from ...registry import MODELS, build_part
from ..bert import attention_mask
from ..objectives.masking import WordMasking
from ..roles import Decoder, Objective
from ..states import State, States, Texts
from .encoder import MultiwayFusion


@MODELS.register_module()
class MultiwayDecoder(Decoder):
    """Tells words from an image and the words before them: the image sees itself, a word the image and what is left of
    it. A word is told at a mask in its place."""

    gives = ('masked decoder', 'writer')
    uses = ('joint', 'tokenizer')
    needs = ('image', 'text')

    def __init__(self, vocab_size: int = 64010, joint_dims: int | None = None, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.head = nn.Linear(joint_dims or 1, vocab_size)
        nn.init.trunc_normal_(self.head.weight, std=0.02)
        nn.init.zeros_(self.head.bias)

    def bind(self, model):
        if not isinstance(model.fusion, MultiwayFusion):
            raise ValueError(f'{type(self).__name__} writes with a MultiwayFusion, not {type(model.fusion).__name__}')
        self.model = (model,)  # a tuple, so that the model is no part of itself

    def memory(self, states: States) -> State:
        self.sizes = states.encoder.fusion.sizes(states)
        return states.tower('image')

    def masked(self, states: States, texts: Texts) -> Tensor:
        """Logits T S V of texts with masks in them."""
        words, image = states.encoder.towers['text'](texts), states.tower('image')
        tokens = image.tokens if texts.owner is None else image.tokens[texts.owner]
        seen = caption_mask(tokens.shape[1], texts.ids.shape[1], tokens.device)
        parts = dict(image=State(tokens), text=words)
        joint = states.encoder.fusion.run(parts, seen, states.encoder.fusion.sizes(states))
        return self.head(joint.tokens[:, joint.parts['text']])

    def writer(self, memory: State) -> 'MultiwayWriter':
        model = self.model[0]
        words = model.towers['text'].words
        return MultiwayWriter(model.fusion, words, self.head, memory, model.tokenizer.mask_id, self.sizes)


def caption_mask(image: int, text: int, device) -> Tensor:
    """N N, True where it is allowed: images see images, words see the image and the words up to themselves."""
    mask = torch.ones(image + text, image + text, dtype=torch.bool, device=device).tril()
    mask[:image, :image] = True
    return mask


class MultiwayWriter:
    """Each step reads the last word and a mask, tells the next word at the mask, and forgets what the mask left.

    Args:
        words: table of the words.
        memory: embedded tokens of the images, B N C.
        sizes: rows and columns of the image's patches.
    """

    def __init__(
        self, fusion: MultiwayFusion, words: nn.Embedding, head: nn.Linear, memory: State, mask_id: int, sizes: Mapping
    ):
        self.fusion, self.words, self.head, self.memory, self.mask_id = fusion, words, head, memory, mask_id
        self.sizes = sizes

    def start(self, prompt: Tensor) -> Tensor:
        """Prompts B T -> B V."""
        self.past = [KeyValues() for _ in self.fusion.blocks]
        image = self.memory.tokens
        words = self.words(self.with_mask(prompt))
        self.images, self.read = image.shape[1], prompt.shape[1]
        x = torch.cat([image + self.fusion.places('image', image, self.sizes), self.placed(words, 0)], 1)
        spans = [('image', self.images), ('text', words.shape[1])]
        return self.tell(x, spans, caption_mask(*(count for _, count in spans), x.device))

    def go_on(self, words: Tensor, rows: Tensor) -> Tensor:
        """R words after the texts of these rows -> R V."""
        for each in self.past:
            each.select(rows)
        x = self.placed(self.words(self.with_mask(words[:, None])), self.read)
        self.read += 1
        return self.tell(x, [('text', 2)], attention_mask(2, self.past[0].length, None, True, x.device))

    def with_mask(self, ids: Tensor) -> Tensor:
        return F.pad(ids, (0, 1), value=self.mask_id)

    def placed(self, words: Tensor, start: int) -> Tensor:
        return words + self.fusion.places('text', words, {}, start)

    def tell(self, x: Tensor, spans, seen: Tensor) -> Tensor:
        states = self.fusion.through(x, spans, seen, self.past)
        for each in self.past:
            each.shorten(each.length - 1)
        return self.head(states[:, -1])


@MODELS.register_module()
class CaptionMasking(WordMasking):
    """Masks of captions: ``round(share * n)`` of n tokens, both special ones counted; at least one, never the first."""

    def __init__(self, share: float = 0.7, replace=(0.8, 0.1, 0.1), init_cfg: dict | None = None):
        super().__init__(share, 'exact', False, replace, True, init_cfg)

    def counts(self, texts: Texts, units: Tensor) -> Tensor:
        length = texts.keep.sum(1)
        return (length * self.share).round().clamp(min=1).minimum(length - 1)


@MODELS.register_module()
class MaskedCaptioning(Objective):
    """Hidden words of a caption are told from the image and the words before.

    The loss of a word is the divergence from a target with ``1 - label_smoothing`` on the word and the rest spread over
    all others; after ``drop_after`` steps the fifth with the greatest losses is left out.

    Args:
        masking: see :class:`CaptionMasking`.
        drop_worst: share of the words that is left out then.
    """

    uses = ('masked decoder',)

    def __init__(
        self,
        masking: dict = dict(type=CaptionMasking),
        label_smoothing: float = 0.1,
        drop_worst: float = 0.2,
        drop_after: int = 12000,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.masking, self.label_smoothing = build_part(masking), label_smoothing
        self.drop_worst, self.drop_after = drop_worst, drop_after
        self.register_buffer('steps', torch.zeros((), dtype=torch.long))

    def bind(self, model):
        self.masking.bind(model)

    def forward(self, states: States) -> dict[str, Tensor]:
        texts, targets = self.masking(states.inputs['text'])
        logits = states.encoder.decoder.masked(states, texts)
        chosen = targets >= 0
        logits, targets = logits[chosen].float(), targets[chosen]
        losses = smoothed_divergence(logits, targets, self.label_smoothing)
        if self.training:
            self.steps += 1
            if int(self.steps) > self.drop_after:
                losses = losses.topk(max(1, int(len(losses) * (1 - self.drop_worst))), largest=False).values
        return dict(loss=losses.mean(), accuracy=(logits.argmax(-1) == targets).float().mean())


def smoothed_divergence(logits: Tensor, targets: Tensor, smoothing: float) -> Tensor:
    """Logits M V -> M: KL divergence of the prediction from a target with 1 - smoothing on the right word and
    smoothing / (V - 1) on each other one."""
    said, count = logits.log_softmax(-1), logits.shape[-1]
    right = said.gather(1, targets[:, None])[:, 0]
    other = smoothing / (count - 1)
    entropy = (1 - smoothing) * torch.log(said.new_tensor(1 - smoothing))
    if smoothing:
        entropy = entropy + smoothing * torch.log(said.new_tensor(other))
    return entropy - (1 - smoothing) * right - other * (said.sum(-1) - right)
