"""Masked words and patches are told from what is left (VisualBERT, https://arxiv.org/abs/1908.03557; BEiT-3,
https://arxiv.org/abs/2208.10442)."""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS, build_part
from ..bert import WordHead
from ..labels import class_labels
from ..roles import Objective, Part
from ..states import State, States
from .masking import BlockMasking, WordMasking


def told(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Mean cross-entropy and accuracy of the targets that are not negative; 0 where there is none."""
    chosen = targets >= 0
    if not bool(chosen.any()):
        return logits.sum() * 0, logits.new_zeros(())
    loss = F.cross_entropy(logits[chosen].float(), targets[chosen])
    return loss, (logits[chosen].argmax(-1) == targets[chosen]).float().mean()


@MODELS.register_module()
class MaskedWords(Objective):
    """Masked words of a text, seen together with another modality, and whether the two belong together.

    Args:
        between: what is seen together, the text among them.
        text: name of the text.
        masking: see :class:`WordMasking`.
        match: also tell from the pooled vector whether the text belongs to the rest: ``gt_label`` 1, it does (the
            published code of VisualBERT; BERT's next sentence has 0 for that), or 0.

    The last matrix of the head is the table of the text tower's words.
    """

    def __init__(
        self,
        vocab_size: int = 30522,
        joint_dims: int | None = None,
        between: Sequence[str] = ('text', 'regions'),
        text: str = 'text',
        masking: dict = dict(type=WordMasking),
        match: bool = True,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.between = self.needs = tuple(between)
        self.uses, self.text = ('joint', 'tokenizer'), text
        self.masking = build_part(masking)
        self.head = WordHead(joint_dims or 1, vocab_size)
        self.match = nn.Linear(joint_dims or 1, 2) if match else None

    def bind(self, model):
        self.masking.bind(model)
        words = getattr(model.towers[self.text], 'words', None)
        if words is None or words.weight.shape != self.head.decoder.weight.shape:
            raise ValueError(
                f'{type(self).__name__}: the tower of {self.text!r} has no table `words` of '
                f'{tuple(self.head.decoder.weight.shape)}, whose rows the head tells'
            )
        self.head.decoder.weight = words.weight

    def forward(self, states: States) -> dict[str, Tensor]:
        texts, targets = self.masking(states.inputs[self.text])
        others = {name: states.tower(name) for name in self.between if name != self.text}
        joint = states.changed({self.text: texts}, others).joint(*self.between)
        loss, accuracy = told(self.head(joint.tokens[:, joint.parts[self.text]]), targets)
        said = dict(loss_words=loss, words_accuracy=accuracy)
        if self.match is not None:
            logits = self.match(joint.pooled)
            labels = class_labels(states.samples, 2, logits.device)
            said['loss_match'] = F.cross_entropy(logits.float(), labels)
            said['match_accuracy'] = (logits.argmax(1) == labels).float().mean()
        return said

    def words_of(self, states: States) -> Tensor:
        """T S V: what is told of a text as it is given."""
        joint = states.joint(*self.between)
        return self.head(joint.tokens[:, joint.parts[self.text]])


class PatchCodes(Part):
    """Base of visual tokens: ``codes(images B C H W) -> B N`` numbers of the patches, row by row.

    Images come as the preprocessor of the model normalised them; `bind` may read from it how.

    Attributes:
        num_codes: how many there are.
        patch_size: pixels of the side of a patch, that of the image tower.
    """

    num_codes: int
    patch_size: int

    def forward(self, images: Tensor) -> Tensor:
        raise NotImplementedError


@MODELS.register_module()
class ColourCodes(PatchCodes):
    """The mean colour of a patch, so many bits a channel: a tokenizer that needs no training (ViT's masked patch
    prediction has 3 bits).

    Args:
        spread: normalised values from -spread to spread are told apart.
    """

    def __init__(self, patch_size: int = 16, bits: int = 2, spread: float = 2.0, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.patch_size, self.levels, self.spread = patch_size, 2**bits, spread
        self.num_codes = self.levels**3

    @torch.no_grad()
    def forward(self, images: Tensor) -> Tensor:
        means = F.avg_pool2d(images.float(), self.patch_size).flatten(2).transpose(1, 2)
        level = ((means / self.spread + 1) / 2 * self.levels).long().clamp(0, self.levels - 1)
        return (level * level.new_tensor([self.levels**2, self.levels, 1])).sum(-1)


@MODELS.register_module()
class MaskedData(Objective):
    """Masked data modelling of three kinds: texts alone, images alone, and pairs of which both are masked.

    Every kind is a pass of its own over the batch, which is of pairs; in the paper a third of each batch is of a kind.

    Args:
        kinds: of 'text', 'image', 'pair'.
        words: kind ('text', 'pair') -> its :class:`WordMasking`.
        patches: see :class:`BlockMasking`; of images alone and in pairs.
        codes: see :class:`PatchCodes`; the paper's are `VqkdCodes`. None: only counted, not trained.
        num_codes: of them, where `codes` does not say it.

    Raises:
        ValueError: an unknown kind; `codes` of other patches than those of the image tower.
    """

    KINDS = ('text', 'image', 'pair')

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return {} if cfg.get('codes') else dict(codes=dict(type=ColourCodes))

    def __init__(
        self,
        vocab_size: int = 64010,
        joint_dims: int | None = None,
        kinds: Sequence[str] = KINDS,
        words: Mapping[str, dict] = dict(
            text=dict(type=WordMasking, share=0.15), pair=dict(type=WordMasking, share=0.5)
        ),
        patches: dict = dict(type=BlockMasking, share=0.4),
        codes: dict | None = None,
        num_codes: int = 8192,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        if not kinds or set(kinds) - set(self.KINDS):
            raise ValueError(f'kinds={kinds} must be some of {self.KINDS}')
        self.kinds, self.uses = tuple(kinds), ('joint', 'alone', 'tokenizer', 'mask token')
        self.needs = ('image', 'text')
        self.words = nn.ModuleDict({kind: build_part(cfg) for kind, cfg in words.items()})
        self.patches = build_part(patches)
        self.codes = build_part(codes) if codes else None
        self.word_head = nn.Linear(joint_dims or 1, vocab_size)
        self.patch_head = nn.Linear(joint_dims or 1, num_codes if self.codes is None else self.codes.num_codes)
        for head in (self.word_head, self.patch_head):
            nn.init.trunc_normal_(head.weight, std=0.02)
            nn.init.zeros_(head.bias)

    def bind(self, model):
        for masking in self.words.values():
            masking.bind(model)
        if self.codes is None:
            return
        patch, own = model.towers['image'].patch_embed.patch_size, self.codes.patch_size
        if tuple(patch) != (own, own):
            raise ValueError(
                f'codes={type(self.codes).__name__} are of patches of {own}x{own}, the image tower has '
                f'{"x".join(map(str, patch))}; write the same patch_size'
            )
        self.codes.bind(model)

    def forward(self, states: States) -> dict[str, Tensor]:
        said = {}
        for kind in self.kinds:
            said.update(getattr(self, f'of_{kind}')(states))
        return said

    def of_text(self, states: States) -> dict[str, Tensor]:
        texts, targets = self.words['text'](states.inputs['text'])
        tokens = states.changed(dict(text=texts)).joint('text').tokens
        return self.tell('text', self.word_head(tokens), targets)

    def of_image(self, states: States) -> dict[str, Tensor]:
        image, targets = self.masked_image(states)
        tokens = states.changed({}, dict(image=image)).joint('image').tokens
        return self.tell('image', self.patch_head(tokens[:, 1:]), targets)

    def of_pair(self, states: States) -> dict[str, Tensor]:
        texts, words = self.words['pair'](states.inputs['text'])
        image, patches = self.masked_image(states)
        joint = states.changed(dict(text=texts), dict(image=image)).joint('image', 'text')
        seen = joint.tokens[:, joint.parts['image']][:, 1:]
        return {
            **self.tell('pair_text', self.word_head(joint.tokens[:, joint.parts['text']]), words),
            **self.tell('pair_image', self.patch_head(seen), patches),
        }

    def words_of(self, states: States) -> Tensor:
        """T S V: what is told of a text as it is given, together with its image where there is one."""
        names = ('image', 'text') if 'image' in states.inputs else ('text',)
        joint = states.joint(*names)
        return self.word_head(joint.tokens[:, joint.parts['text']])

    def tell(self, kind: str, logits: Tensor, targets: Tensor) -> dict[str, Tensor]:
        loss, accuracy = told(logits, targets)
        return {f'loss_{kind}': loss, f'{kind}_accuracy': accuracy}

    def masked_image(self, states: States) -> tuple[State, Tensor]:
        """The tower's state of hidden patches, and their codes, B N with -100 where a patch is seen."""
        if self.codes is None:
            raise ValueError(
                'MaskedData: without codes=... nothing says which visual token a patch is; write '
                "codes=dict(type='mmparts.VqkdCodes', ...), see configs/vqkd"
            )
        images, tower = states.inputs['image'], states.encoder.towers['image']
        hidden = self.patches(len(images), tower.grid(images), images.device)
        return tower(images, hidden), self.codes(images).masked_fill(~hidden, -100)
