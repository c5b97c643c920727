"""What is hidden from a model: words (BERT, https://arxiv.org/abs/1810.04805) and blocks of patches (BEiT,
https://arxiv.org/abs/2106.08254)."""

import math

import torch
from torch import Tensor

from ...registry import MODELS
from ..roles import Part
from ..states import Texts

COUNTS = ('each', 'exact')


@MODELS.register_module()
class WordMasking(Part):
    """Which tokens of a text are to be told, and what stands in their place: ``masking(texts) -> (texts, targets)``,
    targets T S with -100 where nothing is told.

    Args:
        share: of the tokens that are no special ones.
        count: 'each', every token by itself with that chance (BERT); 'exact', that share of each text, rounded, at
            least one.
        whole_words: words, all pieces of each, instead of tokens.
        replace: chances of a mask, a random word, and the word itself.
        end: the last special token may be hidden, too (BEiT-3's captions).
    """

    uses = ('tokenizer',)

    def __init__(
        self,
        share: float = 0.15,
        count: str = 'each',
        whole_words: bool = False,
        replace: tuple[float, float, float] = (0.8, 0.1, 0.1),
        end: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if count not in COUNTS or not 0 < share <= 1 or abs(sum(replace) - 1) > 1e-6:
            raise ValueError(f'{count=} must be one of {COUNTS}, {share=} in (0, 1], and {replace=} sum up to 1')
        self.share, self.count, self.whole_words, self.replace, self.end = share, count, whole_words, replace, end

    def bind(self, model):
        if model.tokenizer is None:
            raise ValueError(f'{type(self).__name__} needs a tokenizer: which number is the mask is not known')
        self.tokenizer = model.tokenizer

    @torch.no_grad()
    def forward(self, texts: Texts) -> tuple[Texts, Tensor]:
        chosen = self.chosen(texts)
        targets = texts.ids.masked_fill(~chosen, -100)
        kind = torch.rand(texts.ids.shape, device=texts.ids.device)
        mask, other = self.replace[0], self.replace[0] + self.replace[1]
        ids = texts.ids.masked_fill(chosen & (kind < mask), self.tokenizer.mask_id)
        words = torch.randint(self.tokenizer.vocab_size, ids.shape, device=ids.device)
        ids = torch.where(chosen & (kind >= mask) & (kind < other), words, ids)
        return Texts(ids, texts.keep, texts.words, texts.owner), targets

    def chosen(self, texts: Texts) -> Tensor:
        """T S, True where a token is to be told."""
        special = set(self.tokenizer.special_ids) - ({self.tokenizer.eos_id} if self.end else set())
        known = torch.tensor(sorted(special), device=texts.ids.device)
        may = texts.keep & ~torch.isin(texts.ids, known)
        units = torch.arange(texts.ids.shape[1], device=may.device).expand_as(may)
        if self.whole_words:
            if texts.words is None:
                raise ValueError('whole_words: the texts do not say which pieces are one word')
            units = texts.words.masked_fill(~may, -1)
        draw = torch.rand(units.shape, device=may.device)
        first = torch.ones_like(may)
        if self.whole_words:  # a word is drawn once, by its first piece
            first = torch.cat([first[:, :1], units[:, 1:] != units[:, :-1]], 1)
        first &= may
        if self.count == 'each':
            heads = first & (draw < self.share)
        else:
            order = draw.masked_fill(~first, 2.0).argsort(1).argsort(1)
            heads = first & (order < self.counts(texts, first)[:, None])
        if not self.whole_words:
            return heads
        groups = first.cumsum(1)  # number of the word that a piece belongs to, from 1
        picked = torch.zeros_like(groups).scatter_add(1, groups, heads.long()) > 0
        return picked.gather(1, groups) & may

    def counts(self, texts: Texts, units: Tensor) -> Tensor:
        """T: how many of the units, B S of True where one begins, are hidden with 'exact'."""
        return (units.sum(1) * self.share).round().clamp(min=1).minimum(units.sum(1))


@MODELS.register_module()
class BlockMasking(Part):
    """Rectangles of patches until a share of the map is hidden: ``masking(B, size, device) -> B N`` bool.

    Args:
        share: BEiT-3 0.4 (BEiT 75 of 196).
        least: patches of the smallest rectangle.
        aspect: smallest ratio of its sides; the largest is its inverse.
    """

    def __init__(self, share: float = 0.4, least: int = 16, aspect: float = 0.3, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not 0 < share < 1:
            raise ValueError(f'share={share} must lie between 0 and 1')
        self.share, self.least, self.aspect = share, least, aspect

    @torch.no_grad()
    def forward(self, count: int, size: tuple[int, int], device=None) -> Tensor:
        return torch.stack([self.one(size).flatten() for _ in range(count)]).to(device)

    def one(self, size: tuple[int, int]) -> Tensor:
        """height width: exactly ``int(share * patches)`` are True."""
        height, width = size
        wanted = max(1, int(self.share * height * width))
        mask = torch.zeros(height, width, dtype=torch.bool)
        while (left := wanted - int(mask.sum())) > 0:
            block = self.block(mask, min(self.least, left), left)
            if block is None:
                break
            mask[block] = True
        hidden, shown = mask.flatten().nonzero()[:, 0], (~mask).flatten().nonzero()[:, 0]
        left = wanted - len(hidden)
        if left > 0:  # what no rectangle fits into
            mask.view(-1)[shown[torch.randperm(len(shown))[:left]]] = True
        return mask

    def block(self, mask: Tensor, least: int, most: int) -> tuple[slice, slice] | None:
        """A rectangle that hides between one and ``most`` more patches; None where ten tries find none."""
        height, width = mask.shape
        for _ in range(10):
            area = least + float(torch.rand(())) * (max(most, least) - least)
            aspect = math.exp((2 * float(torch.rand(())) - 1) * -math.log(self.aspect))
            rows, columns = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (0 < rows < height and 0 < columns < width):
                continue
            top, left = (int(torch.randint(room + 1, ())) for room in (height - rows, width - columns))
            block = slice(top, top + rows), slice(left, left + columns)
            if 0 < int((~mask[block]).sum()) <= most:
                return block
        return None
