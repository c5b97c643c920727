"""How a text is written word by word: greedy, beam search, nucleus sampling; batched, with caches.

Papers: https://arxiv.org/abs/1609.08144 (length penalty), https://arxiv.org/abs/1904.09751 (nucleus),
https://arxiv.org/abs/1909.05858 (repetition penalty). A search knows nothing of the model: it asks a writer,

    writer.start(prompt)        # B T -> B V: scores (logits) of the word after each prompt
    writer.go_on(words, rows)   # R words, each after the text of that row of the last call -> R V

which keeps keys and values of what was read (`BertWriter`, `MultiwayWriter`). The results are those of transformers 5:
a beam that ends counts with its summed log-probability over (number of new words, the end included) ** length_penalty;
an item is ready when it has as many ended beams as it has beams, and none that still runs is better than the worst.
"""

from dataclasses import dataclass
from typing import Protocol

import torch
from torch import Tensor

from ..registry import MODELS


class Writer(Protocol):
    """What a search asks, see above."""

    def start(self, prompt: Tensor) -> Tensor: ...

    def go_on(self, words: Tensor, rows: Tensor) -> Tensor: ...


@dataclass
class Written:
    """A text.

    Args:
        ids: prompt, words and, unless the text was cut at its greatest length, the end.
        score: log-probability of the new words; over their number ** length_penalty for a beam search.
    """

    ids: list[int]
    score: float


class Search:
    """What all searches have in common.

    Args:
        max_length, min_length: tokens of a text, prompt and end included; before the least an end is not allowed.
        repetition_penalty: divides positive scores of words that the text has already, and multiplies negative ones.

    Raises:
        ValueError: lengths that leave no room; a prompt that is as long as a text may be.
    """

    def __init__(self, max_length: int = 20, min_length: int = 0, repetition_penalty: float = 1.0):
        if not 0 <= min_length <= max_length or max_length < 2:
            raise ValueError(f'a text of {min_length} to {max_length} tokens; write 0 <= min_length <= max_length >= 2')
        if repetition_penalty <= 0:
            raise ValueError(f'repetition_penalty={repetition_penalty}; it must be greater than 0, 1 for none')
        self.max_length, self.min_length, self.repetition_penalty = max_length, min_length, repetition_penalty

    @torch.no_grad()
    def __call__(self, writer: Writer, prompt: Tensor, end: int) -> list[Written]:
        """Prompts B T of one length -> B texts."""
        if prompt.shape[1] >= self.max_length:
            raise ValueError(f'prompts of {prompt.shape[1]} tokens leave none of max_length={self.max_length}')
        return self.write(writer, prompt, end)

    def write(self, writer: Writer, prompt: Tensor, end: int) -> list[Written]:
        raise NotImplementedError

    def ruled(self, scores: Tensor, texts: Tensor, end: int) -> Tensor:
        """Scores R V of the words after texts R T, by the rules above."""
        if self.repetition_penalty != 1:
            old = scores.gather(1, texts)
            new = torch.where(old < 0, old * self.repetition_penalty, old / self.repetition_penalty)
            scores = scores.scatter(1, texts, new)
        if texts.shape[1] < self.min_length:
            scores = scores.clone()
            scores[:, end] = -torch.inf
        return scores


class OneByOne(Search):
    """Searches that keep one text for each prompt."""

    def choose(self, scores: Tensor) -> Tensor:
        """B V -> B."""
        raise NotImplementedError

    def write(self, writer: Writer, prompt: Tensor, end: int) -> list[Written]:
        texts, rows = prompt, torch.arange(len(prompt), device=prompt.device)
        running = torch.ones_like(rows, dtype=torch.bool)
        totals = torch.zeros(len(prompt), device=prompt.device)
        scores = writer.start(prompt)
        while True:
            scores = scores.float()
            words = self.choose(self.ruled(scores, texts, end))
            said = scores.log_softmax(-1).gather(1, words[:, None])[:, 0]
            words, totals = torch.where(running, words, end), totals + said * running
            texts, running = torch.cat([texts, words[:, None]], 1), running & (words != end)
            if texts.shape[1] == self.max_length or not bool(running.any()):
                break
            scores = writer.go_on(words, rows)
        start = prompt.shape[1]
        return [Written(cut(text, start, end), total) for text, total in zip(texts.tolist(), totals.tolist())]


def cut(text: list[int], start: int, end: int) -> list[int]:
    """Up to the first end after the prompt, that included."""
    return text[: text.index(end, start) + 1] if end in text[start:] else text


@MODELS.register_module()
class GreedySearch(OneByOne):
    """The most probable word each time."""

    def choose(self, scores: Tensor) -> Tensor:
        return scores.argmax(-1)


@MODELS.register_module()
class NucleusSampling(OneByOne):
    """A word drawn from the smallest set of words that holds the share ``top_p`` of the probability.

    Args:
        top_p: the share, of what is left by ``top_k``; 1: all words.
        top_k: the most words in the set; 0: any number. BLIP's code ran with 50, the default of transformers.
        temperature: scores are divided by it.
        seed: of the random words; None: that of torch.
    """

    def __init__(self, top_p: float = 0.9, top_k: int = 0, temperature: float = 1.0, seed: int | None = None, **kwargs):
        super().__init__(**kwargs)
        if not 0 < top_p <= 1 or temperature <= 0 or top_k < 0:
            raise ValueError(f'{top_p=}, {temperature=}, {top_k=}; 0 < top_p <= 1, temperature > 0 and top_k >= 0')
        self.top_p, self.top_k, self.temperature, self.seed = top_p, top_k, temperature, seed

    def write(self, writer: Writer, prompt: Tensor, end: int) -> list[Written]:
        device = prompt.device
        self.random = None if self.seed is None else torch.Generator(device).manual_seed(self.seed)
        return super().write(writer, prompt, end)

    def choose(self, scores: Tensor) -> Tensor:
        chances = nucleus(scores / self.temperature, self.top_p, self.top_k)
        return torch.multinomial(chances, 1, generator=self.random)[:, 0]


def nucleus(scores: Tensor, top_p: float, top_k: int = 0) -> Tensor:
    """Scores B V -> probabilities, 0 outside the nucleus."""
    if top_k and top_k < scores.shape[-1]:
        least = scores.topk(top_k, -1).values[:, -1:]
        scores = scores.masked_fill(scores < least, -torch.inf)
    chances, order = scores.softmax(-1).sort(-1, descending=True)
    before = chances.cumsum(-1) - chances
    chances = chances.masked_fill(before >= top_p, 0)
    chances = torch.zeros_like(chances).scatter(-1, order, chances)
    return chances / chances.sum(-1, keepdim=True)


@MODELS.register_module()
class BeamSearch(Search):
    """The best of ``num_beams`` texts that are written side by side.

    Args:
        length_penalty: power of the number of new words that a sum of log-probabilities is divided by; greater is
            longer.
    """

    def __init__(self, num_beams: int = 3, length_penalty: float = 1.0, **kwargs):
        super().__init__(**kwargs)
        if num_beams < 1:
            raise ValueError(f'num_beams={num_beams}; a search needs one or more')
        self.num_beams, self.length_penalty = num_beams, length_penalty

    def write(self, writer: Writer, prompt: Tensor, end: int) -> list[Written]:
        items, first = prompt.shape
        ended = [EndedBeams(self.num_beams) for _ in range(items)]
        texts, totals, scores = prompt, prompt.new_zeros(items, 1, dtype=torch.float32), writer.start(prompt)
        while True:
            best, words, rows = self.candidates(scores, texts, totals, end)
            texts = torch.cat([texts[rows.flatten()], words.flatten()[:, None]], 1).unflatten(0, words.shape)
            last = texts.shape[-1] == self.max_length
            stops = (words == end) | last
            weight = (texts.shape[-1] - first) ** self.length_penalty
            self.collect(ended, stops, best / weight, texts)
            if last:
                break

            totals, keep = best.masked_fill(stops, -torch.inf).topk(min(self.num_beams, best.shape[1]))
            top = (totals[:, 0] / weight).tolist()
            for one, score in zip(ended, top):
                one.closed |= one.worst >= score
            if all(one.closed for one in ended):
                break
            texts = texts.gather(1, keep[..., None].expand(-1, -1, texts.shape[-1])).flatten(0, 1)
            words, rows = words.gather(1, keep).flatten(), rows.gather(1, keep).flatten()
            scores = writer.go_on(words, rows)
        return [one.best for one in ended]

    def candidates(self, scores: Tensor, texts: Tensor, totals: Tensor, end: int) -> tuple[Tensor, Tensor, Tensor]:
        """The best ways to go on, twice as many as beams, so that enough are left when all beams end: B 2k each of
        summed log-probabilities, words, and rows that they go on from."""
        items, vocabulary = len(totals), scores.shape[-1]
        chances = self.ruled(scores.float().log_softmax(-1), texts, end)
        sums = (chances.view(items, -1, vocabulary) + totals[..., None]).flatten(1)
        best, places = sums.topk(min(2 * self.num_beams, sums.shape[1]))
        offset = torch.arange(items, device=places.device)[:, None] * totals.shape[1]
        return best, places % vocabulary, places // vocabulary + offset

    def collect(self, ended: list['EndedBeams'], stops: Tensor, scores: Tensor, texts: Tensor):
        """Ended candidates, of the first ``num_beams`` only."""
        stops = stops[:, : self.num_beams]
        for item, place in stops.nonzero().tolist():
            ended[item].add(scores[item, place].item(), texts[item, place])


class EndedBeams:
    """The best ended beams of an item.

    Args:
        size: the most that are kept.
    """

    def __init__(self, size: int):
        self.size, self.beams, self.closed = size, [], False

    def add(self, score: float, text: Tensor):
        if not self.closed:
            self.beams = sorted([*self.beams, Written(text.tolist(), score)], key=lambda one: -one.score)[: self.size]

    @property
    def worst(self) -> float:
        """Score that a beam must beat; minus infinity while there is room."""
        return self.beams[-1].score if len(self.beams) == self.size else -torch.inf

    @property
    def best(self) -> Written:
        return self.beams[0]
