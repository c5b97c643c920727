"""BERT and MED: the same numbers as transformers' in each mode, and what masks and caches must not change."""

import pytest
import torch
from text_models import MEMORY, VOCABULARY, ours, pair, random_

from mmparts.multimodal.bert import Bert, BertPast, BertWriter, WordHead


def batch():
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(1, VOCABULARY, (2, 7), generator=random)
    valid = torch.ones(2, 7, dtype=torch.bool)
    valid[1, 5:] = False
    return ids, valid, torch.randn(2, 6, MEMORY, generator=random)


@pytest.mark.parametrize('memory', [False, True])
@pytest.mark.parametrize('causal', [False, True])
def test_equals_transformers(causal, memory):
    bert, head, peer = pair()
    ids, valid, images = batch()
    seen = images if memory else None
    with torch.no_grad():
        states = bert(ids, valid, memory=seen, causal=causal)
        expected = peer.bert(
            ids, valid.long(), encoder_hidden_states=seen, is_decoder=causal, return_dict=True
        ).last_hidden_state
    assert torch.allclose(states[valid], expected[valid], atol=2e-5)
    if causal:
        with torch.no_grad():
            scores = peer(ids, valid.long(), encoder_hidden_states=seen, is_decoder=True).logits
        assert torch.allclose(head(states)[valid], scores[valid], atol=2e-4)


def test_padding_changes_nothing():
    bert = ours()
    ids, valid, memory = batch()
    alone = bert(ids[1:, :5], memory=memory[1:])
    assert torch.allclose(bert(ids, valid, memory=memory)[1:, :5], alone, atol=1e-5)
    other = ids.clone()
    other[1, 5:] = 3
    assert torch.allclose(bert(other, valid, memory=memory)[1:, :5], alone, atol=1e-5)


def test_a_causal_token_sees_nothing_later():
    bert = ours()
    ids, _, memory = batch()
    other = ids.clone()
    other[:, 4:] = 1
    assert torch.allclose(bert(ids, memory=memory, causal=True)[:, :4], bert(other, memory=memory, causal=True)[:, :4])
    assert not torch.allclose(bert(ids, memory=memory)[:, :4], bert(other, memory=memory)[:, :4])


def test_a_memory_for_several_texts_equals_copies():
    bert = ours()
    ids, valid, memory = batch()
    ids, valid = ids.repeat_interleave(3, 0), valid.repeat_interleave(3, 0)
    ids = ids + torch.arange(6)[:, None]
    seen = torch.ones(2, 6, dtype=torch.bool)
    seen[0, 4:] = False
    shared = bert(ids % VOCABULARY, valid, memory, seen)
    copied = bert(ids % VOCABULARY, valid, memory.repeat_interleave(3, 0), seen.repeat_interleave(3, 0))
    assert torch.allclose(shared, copied, atol=1e-5)
    with pytest.raises(ValueError, match='7 texts over 2 memories'):
        bert(ids[:1].repeat(7, 1), memory=memory)


def test_caches_give_the_same_states():
    bert = ours()
    ids, _, memory = batch()
    whole = bert(ids, memory=memory, causal=True)
    past = BertPast(3)
    parts = [bert(part, memory=memory, causal=True, past=past) for part in ids.split([3, 1, 2, 1], 1)]
    assert torch.allclose(torch.cat(parts, 1), whole, atol=1e-5)


def test_a_writer_goes_on_from_the_rows_it_is_told():
    bert, head = ours(), random_(WordHead(32, VOCABULARY))
    ids, _, memory = batch()
    writer = BertWriter(bert, head, memory)
    with torch.no_grad():
        writer.start(ids)
        words, rows = torch.tensor([4, 5, 6, 7]), torch.tensor([0, 0, 1, 1])
        scores = writer.go_on(words, rows)
        texts = torch.cat([ids[rows], words[:, None]], 1)
        expected = head(bert(texts, memory=memory[rows], causal=True)[:, -1])
    assert torch.allclose(scores, expected, atol=1e-4)


def test_twins_see_both_images():
    for twins in ('mean', 'merge'):
        bert = ours(twins=twins)
        ids, valid, memory = batch()
        both = bert(ids, valid, [memory, memory.flip(1) * 2])
        assert not torch.allclose(both, bert(ids, valid, [memory, memory]), atol=1e-3)
        merged = [layer.cross_attn.part.merge is not None for layer in bert.layers]
        assert merged == ([False, True, True] if twins == 'merge' else [False] * 3)
        bert(ids, valid, [memory, memory]).sum().backward()
        assert all(p.grad is not None for p in bert.parameters())


def test_what_is_refused():
    with pytest.raises(ValueError, match='41 tokens.*40 places'):
        ours()(torch.zeros(1, 41, dtype=torch.long))
    with pytest.raises(ValueError, match='memory_dims'):
        ours(memory_dims=None)(torch.zeros(1, 3, dtype=torch.long), memory=torch.zeros(1, 2, MEMORY))
    with pytest.raises(ValueError, match="arch='huge'"):
        Bert('huge')
    with pytest.raises(ValueError, match="twins='three'"):
        Bert(twins='three')
