"""Searches: with caches as without, as transformers, and by rules that hold for any text."""

import itertools

import parity
import pytest
import torch
from text_models import MEMORY, VOCABULARY, ours, pair, random_

from mmparts.multimodal.bert import BertWriter, WordHead
from mmparts.multimodal.generation import BeamSearch, GreedySearch, NucleusSampling, nucleus

END = 49
PROMPT = torch.tensor([[48, 7], [48, 7], [48, 7]])


class Recomputing:
    """A writer without caches: reads every text from its start each time."""

    def __init__(self, bert, head, memory):
        self.bert, self.head, self.memory = bert, head, memory

    def start(self, prompt):
        self.texts, self.items = prompt, torch.arange(len(prompt))
        return self._next()

    def go_on(self, words, rows):
        self.texts, self.items = torch.cat([self.texts[rows], words[:, None]], 1), self.items[rows]
        return self._next()

    def _next(self):
        return self.head(self.bert(self.texts, memory=self.memory[self.items], causal=True)[:, -1])


def memories(seed=0, items=3):
    return torch.randn(items, 6, MEMORY, generator=torch.Generator().manual_seed(seed))


def softer(model, factor=0.3):
    """Scores closer to each other, so that several beams live; the last word, the end, is likely."""
    with torch.no_grad():
        model.decoder.weight.mul_(factor)
        model.decoder.bias[-1] = 2.0
    return model


SEARCHES = [
    GreedySearch(max_length=12),
    GreedySearch(max_length=12, min_length=6, repetition_penalty=1.5),
    BeamSearch(num_beams=1, max_length=10),
    BeamSearch(num_beams=3, max_length=12, min_length=4),
    BeamSearch(num_beams=5, max_length=9, length_penalty=2.0, repetition_penalty=1.2),
    NucleusSampling(top_p=0.9, top_k=20, max_length=12, seed=1),
]


@pytest.mark.parametrize('search', SEARCHES, ids=lambda one: f'{type(one).__name__}{one.max_length}')
def test_caches_change_nothing(search):
    bert, head = ours(), softer(random_(WordHead(32, VOCABULARY), 3))
    for seed in range(3):
        memory = memories(seed)
        kept = search(BertWriter(bert, head, memory), PROMPT, END)
        plain = search(Recomputing(bert, head, memory), PROMPT, END)
        assert [one.ids for one in kept] == [one.ids for one in plain]
        assert torch.allclose(*(torch.tensor([one.score for one in each]) for each in (kept, plain)), atol=1e-4)


@pytest.mark.parametrize('search', SEARCHES[:5], ids=lambda one: f'{type(one).__name__}{one.max_length}')
def test_a_batch_is_its_items(search):
    bert, head = ours(), softer(random_(WordHead(32, VOCABULARY), 3))
    memory = memories()
    whole = search(BertWriter(bert, head, memory), PROMPT, END)
    alone = [search(BertWriter(bert, head, memory[i : i + 1]), PROMPT[:1], END)[0] for i in range(3)]
    assert [one.ids for one in whole] == [one.ids for one in alone]


@pytest.mark.parametrize(
    'options',
    [
        dict(num_beams=3),
        dict(num_beams=3, min_length=6, length_penalty=0.6),
        dict(num_beams=4, repetition_penalty=1.4, length_penalty=2.0),
        dict(num_beams=2, min_length=3, max_length=5),
        dict(num_beams=1, min_length=5, repetition_penalty=1.3),
    ],
    ids=str,
)
def test_equals_transformers(options):
    parity.reference('transformers')
    bert, head, peer = pair()
    with torch.no_grad():  # of both: the table is shared
        peer.bert.embeddings.word_embeddings.weight.mul_(0.3)
        bert.embeddings.words.weight.copy_(peer.bert.embeddings.word_embeddings.weight)
        head.decoder.weight.copy_(peer.cls.predictions.decoder.weight)
        for bias in (head.decoder.bias, peer.cls.predictions.bias, peer.cls.predictions.decoder.bias):
            bias[END] = 2.5
    options = dict(max_length=12) | options
    kind = BeamSearch if options['num_beams'] > 1 else GreedySearch
    search = kind(**{key: value for key, value in options.items() if kind is BeamSearch or key != 'num_beams'})
    ended = 0
    for seed in range(4):
        memory = memories(seed)
        mine = [one.ids for one in search(BertWriter(bert, head, memory), PROMPT, END)]
        theirs = peer.generate(
            input_ids=PROMPT, eos_token_id=END, pad_token_id=0, do_sample=False, encoder_hidden_states=memory, **options
        )
        for text, other in zip(mine, theirs.tolist()):
            assert text == other[: len(text)] and not any(other[len(text) :])
            ended += text[-1] == END
    assert ended


def test_a_wide_beam_finds_the_best_of_all_texts():
    """Against all texts of up to three new words over a small vocabulary."""
    bert, head = ours(vocab_size=6), softer(random_(WordHead(32, 6), 5))
    memory, prompt, end = memories(items=1), torch.tensor([[4]]), 5
    found = BeamSearch(num_beams=300, max_length=4, length_penalty=1.0)(BertWriter(bert, head, memory), prompt, end)[0]
    best = (-torch.inf, [])
    for length in (1, 2, 3):
        for words in itertools.product(range(6), repeat=length):
            if end in words[:-1] or (length < 3 and words[-1] != end):
                continue
            text = torch.tensor([[4, *words]])
            with torch.no_grad():
                said = head(bert(text, memory=memory, causal=True)).log_softmax(-1)[0, :-1]
            best = max(best, (said.gather(1, text[0, 1:, None]).sum().item() / length, text[0].tolist()))
    assert found.ids == best[1] and abs(found.score - best[0]) < 1e-4


def test_the_nucleus_is_the_smallest_set():
    scores = torch.tensor([[0.5, 0.3, 0.15, 0.05]]).log()
    assert torch.allclose(nucleus(scores, 0.7), torch.tensor([[0.625, 0.375, 0, 0]]))
    assert torch.allclose(nucleus(scores, 0.81), torch.tensor([[0.5, 0.3, 0.15, 0]]) / 0.95)
    assert torch.allclose(nucleus(scores, 1.0), scores.exp())
    assert torch.allclose(nucleus(scores, 0.01), torch.tensor([[1.0, 0, 0, 0]]))
    assert torch.allclose(nucleus(scores, 1.0, top_k=2), torch.tensor([[0.625, 0.375, 0, 0]]))


def test_lengths_hold():
    bert, head = ours(), softer(random_(WordHead(32, VOCABULARY), 3))
    for search in SEARCHES:
        for one in search(BertWriter(bert, head, memories()), PROMPT, END):
            assert search.min_length < len(one.ids) <= search.max_length or one.ids[-1] != END
            assert len(one.ids) == search.max_length or one.ids[-1] == END
            assert one.ids[:2] == [48, 7] and END not in one.ids[:-1]


def test_what_is_refused():
    for kind, words, message in (
        (BeamSearch, dict(num_beams=0), 'num_beams=0'),
        (GreedySearch, dict(min_length=30), '30 to 20'),
        (NucleusSampling, dict(top_p=0.0), 'top_p=0.0'),
        (GreedySearch, dict(repetition_penalty=0), 'repetition_penalty=0'),
    ):
        with pytest.raises(ValueError, match=message):
            kind(**words)
    with pytest.raises(ValueError, match='prompts of 2 tokens leave none of max_length=2'):
        GreedySearch(max_length=2)(None, PROMPT, END)
