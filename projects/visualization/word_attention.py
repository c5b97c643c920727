"""What the words of a text look at among the regions of an image, in a transformer that has both in one stream
(VisualBERT, https://arxiv.org/abs/1908.03557, section 5): a panel for each word, whose regions are as opaque as the
attention that they get, and the weights as matrices, words x regions; of a layer, of its heads, or layer by layer.

The weights are those of the model's own forward. What a word gives to other words is not drawn, so a row of a matrix
sums to the share of its attention that goes to regions.
"""

import math
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

COLUMNS = 6  # panels beside each other, where there is one row of them
SHOWN = 12  # words that have a panel
MATRICES = 4  # beside each other
TITLE = 0.28  # inches that a line above a panel takes
COLOUR = (1.0, 0.3, 0.0)


@dataclass
class WordLooks:
    """What the words of a text look at.

    Args:
        words: W strings, in the order of the text; special tokens at its ends are left out.
        layers: L tensors heads W R: attention of a word to each region, the mean over the pieces of the word.
    """

    words: list[str]
    layers: list[Tensor]


def stream_of(model: nn.Module) -> nn.Module | None:
    """The fusion of a model that has the tokens of a text and those of others in one stream, as `OneStream`; None: it
    has none."""
    fusion = getattr(model, 'fusion', None)
    layers = [_attention(layer) for layer in getattr(fusion, 'layers', ())]
    return fusion if layers and all(hasattr(each, 'weights') for each in layers) and hasattr(fusion, 'text') else None


def _attention(layer: nn.Module) -> nn.Module | None:
    return getattr(getattr(layer, 'attn', None), 'part', None)


class StreamWatch:
    """Context manager that listens in on all layers of a stream while the model runs; then :meth:`looks`.

    Args:
        stream: see :func:`stream_of`.
        regions: what the regions are called among the model's inputs.
    """

    def __init__(self, stream: nn.Module, regions: str = 'regions'):
        self.stream, self.names = stream, (stream.text, regions)
        self.heard, self.weights, self.texts = [], None, None

    def __enter__(self):
        self.hooks = [
            self.stream.register_forward_pre_hook(self._begin),
            self.stream.register_forward_hook(self._end),
            *(_attention(each).register_forward_pre_hook(self._hear, with_kwargs=True) for each in self.stream.layers),
        ]
        return self

    def __exit__(self, *error):
        for hook in self.hooks:
            hook.remove()

    def _begin(self, module, inputs):
        self.heard = []

    def _hear(self, module, inputs, named):
        self.heard.append((module, inputs[0], named.get('bias')))

    @torch.no_grad()
    def _end(self, module, inputs, state):
        """Keep the first pass that has both; a modality alone goes through the stream, too."""
        states, names = inputs
        if self.weights is not None or not set(self.names) <= set(names):
            return
        text, regions = (state.parts[name] for name in self.names)
        maps = (part.weights(x, bias=bias)[0] for part, x, bias in self.heard)
        self.weights = [each[:, text, regions].float().cpu() for each in maps]
        self.texts = states.inputs[self.names[0]]

    def looks(self, tokenizer) -> WordLooks:
        """Of the first text of the batch.

        Args:
            tokenizer: the model's, for the words of its ids.

        Raises:
            ValueError: the model saw no text with regions, or the text has no words.
        """
        if self.weights is None:
            raise ValueError(f'the model looked at {" and ".join(self.names)} in no common pass')
        ids, numbers = self.texts.ids[0].cpu(), self.texts.words[0].cpu()
        pieces = [numbers == number for number in numbers[numbers >= 0].unique().tolist()]
        if not pieces:
            raise ValueError('the text has no words')
        share = torch.stack([each / each.sum() for each in pieces])
        words = [_word(ids[each].tolist(), tokenizer) for each in pieces]
        return WordLooks(words, [torch.einsum('wt,htr->hwr', share, each) for each in self.weights])


def _word(ids: list[int], tokenizer) -> str:
    """The pieces of a word as a string; a special token by its name."""
    named = {tokenizer.mask_id: '[MASK]', tokenizer.eos_id: '[SEP]'}
    return named.get(ids[0]) or tokenizer.decode(ids).strip() or f'#{ids[0]}'


def rows_of(looks: WordLooks, layer: int | None = -1, heads: bool = False) -> list[tuple[str, Tensor]]:
    """(title, weights W R) of what is to be drawn: the mean over heads, of a layer, or with ``layer=None`` of all.

    Args:
        layer: from 0; negative ones from the end.
        heads: behind a layer also each of its heads.

    Raises:
        ValueError: there is no such layer.
    """
    count = len(looks.layers)
    if layer is not None and not -count <= layer < count:
        raise ValueError(f'the model has {count} layers; there is no layer {layer}, from 0 or negative from the end')
    rows = []
    for index in range(count) if layer is None else [layer % count]:
        rows.append((f'layer {index}', looks.layers[index].mean(0)))
        if heads:
            rows += [(f'layer {index}, head {head}', each) for head, each in enumerate(looks.layers[index])]
    return rows


def draw_words(image: np.ndarray, words: list[str], rows: list[tuple[str, Tensor]], boxes: Tensor):
    """A figure: the regions with their numbers, a panel for each word, and below the weights as matrices. The largest
    weight of a row of panels is the most opaque.

    Args:
        image: H W 3, RGB.
        rows: as :func:`rows_of` gives them.
        boxes: R 4, xyxy in shares of the image's sides.

    Returns:
        matplotlib's ``Figure``, for :func:`.attention_figure.save_figure`.
    """
    from matplotlib.figure import Figure

    shown = looking_most(rows[-1][1])
    panels = [(row, word) for row in range(len(rows)) for word in (None, *shown)]
    columns = min(COLUMNS, len(panels)) if len(rows) == 1 else 1 + len(shown)
    lines, down = math.ceil(len(panels) / columns), math.ceil(len(rows) / MATRICES)
    across = math.ceil(len(rows) / down)
    wide = max(1.5 * columns, across * (2 + 0.08 * len(boxes)))
    high = wide / columns * image.shape[0] / image.shape[1] + TITLE
    top, bottom = lines * high, down * (2 * TITLE + 0.2 * len(words))

    # All lengths in inches: panels of the image's own shape, below them matrices with room for words and numbers.
    figure = Figure(figsize=(wide, top + bottom), dpi=120)
    share, line = bottom / (top + bottom), TITLE / (top + bottom)
    spaces = dict(wspace=0.04, hspace=TITLE / (high - TITLE))
    grid = figure.add_gridspec(lines, columns, left=0, right=1, bottom=share, top=1 - line, **spaces)
    for place, (row, word) in zip(grid, panels):
        axis, (title, weights) = figure.add_subplot(place), rows[row]
        axis.set_axis_off()
        if word is None:
            _draw_regions(axis, image, boxes)
            axis.set_title(title, fontsize=8)
        else:
            _draw_panel(axis, image, boxes, weights[word] / weights[shown].max().clamp(min=1e-12))
            axis.set_title(f'{words[word]} {float(weights[word].sum()):.2f}', fontsize=8)
    room = 0.1 + 0.08 * max(map(len, words))
    side = (wide - across * room - 0.4 * (across - 1)) / across
    spaces = dict(wspace=(room + 0.4) / side, hspace=2 * TITLE / (0.2 * len(words)))
    grid = figure.add_gridspec(down, across, left=room / wide, right=1, bottom=0, top=share - 2 * line, **spaces)
    for place, row in zip(grid, rows):
        _draw_matrix(figure.add_subplot(place), words, *row)
    return figure


def looking_most(weights: Tensor) -> list[int]:
    """The numbers of those of W words that give most of their attention to regions, at most :data:`SHOWN`, in the order
    of the text."""
    return sorted(weights.sum(1).argsort(descending=True, stable=True)[:SHOWN].tolist())


def _draw_regions(axis, image: np.ndarray, boxes: Tensor):
    """The image and the numbers of its regions."""
    _draw_panel(axis, image, boxes, torch.full((len(boxes),), 0.5), filled=False, grey=False)
    height, width = image.shape[:2]
    for number, (left, top, *_) in enumerate((boxes * boxes.new_tensor([width, height] * 2)).tolist()):
        dark = dict(facecolor=(0, 0, 0, 0.6), edgecolor='none', pad=0.5)
        axis.text(left, top, str(number), fontsize=5, color='white', va='top', bbox=dark)


def _draw_panel(axis, image: np.ndarray, boxes: Tensor, shares: Tensor, filled: bool = True, grey: bool = True):
    """Boxes over the image, the weakest first."""
    from matplotlib.patches import Rectangle

    height, width = image.shape[:2]
    pixels = image.mean(-1) if grey else image
    axis.imshow(pixels, cmap='gray', vmin=-120, vmax=255, extent=(0, width, height, 0), interpolation='bilinear')
    corners = (boxes * boxes.new_tensor([width, height] * 2)).tolist()
    for index in shares.argsort().tolist():
        (left, top, right, bottom), share = corners[index], float(shares[index])
        fill = (*COLOUR, 0.6 * share if filled else 0)
        style = dict(facecolor=fill, edgecolor=(*COLOUR, share), linewidth=1.2)
        axis.add_patch(Rectangle((left, top), right - left, bottom - top, **style))
    axis.set(xlim=(0, width), ylim=(height, 0))


def _draw_matrix(axis, words: list[str], title: str, weights: Tensor):
    shown = axis.imshow(weights.numpy(), cmap='inferno', vmin=0, aspect='auto', interpolation='nearest')
    axis.figure.colorbar(shown, ax=axis, fraction=0.03, pad=0.01).ax.tick_params(labelsize=6)
    axis.set_yticks(range(len(words)), words, fontsize=7)
    step = math.ceil(weights.shape[1] / 12)
    axis.set_xticks(range(0, weights.shape[1], step))
    axis.tick_params(axis='x', labelsize=6)
    axis.set_xlabel('region', fontsize=7)
    axis.set_title(f'{title}: attention of words on regions', fontsize=8)
