"""BLEU, CIDEr-D and VQA's accuracy: by hand, and as the reference code where it is installed."""

import math

import pytest

from mmparts.evaluation.answers import normalised, soft_score
from mmparts.evaluation.captions import bleu, cider_d, objects_of, words
from mmparts.registry import METRICS

SAID = ['a red circle on the grass', 'two blue stars', 'the cat']
KNOWN = [
    ['a red circle on the grass', 'one circle on grass'],
    ['two blue stars on the sand', 'two stars'],
    ['a dog on the sand', 'the dog is brown'],
]


def test_bleu_by_hand():
    one = bleu(['the the the the the the the'], [['the cat is on the mat', 'there is a cat on the mat']])
    assert one[0] == pytest.approx(2 / 7)  # clipped, as in the paper
    assert bleu(['a b c d e'], [['a b c d e']]) == pytest.approx([1.0] * 4)
    short = bleu(['a b c'], [['a b c d e f']])
    assert short[:2] == pytest.approx([math.exp(1 - 6 / 3)] * 2)
    assert bleu([''], [['a']]) == [0.0] * 4


def test_cider_by_hand():
    scores = cider_d(SAID, KNOWN)
    assert scores[0] > scores[1] > scores[2] >= 0
    # One word each: the weight of 'a' in one of two images is log 2 and cancels, so the cosine is 1, for single words.
    assert cider_d(['a', 'b'], [['a'], ['b']]).tolist() == pytest.approx([2.5, 2.5])
    # Pairs of words one more than the reference has: the Gaussian of the gap of 1.
    pair = cider_d(['a a', 'b'], [['a'], ['b']])[0]
    weight = math.log(2)
    cosine = min(2 * weight, weight) * weight / (2 * weight * weight)
    assert pair == pytest.approx(10 / 4 * cosine * math.exp(-1 / 72))


def test_equals_the_reference_code():
    pytest.importorskip('pycocoevalcap')
    from pycocoevalcap.bleu.bleu import Bleu
    from pycocoevalcap.cider.cider import Cider

    said = {index: [' '.join(words(text))] for index, text in enumerate(SAID)}
    known = {index: [' '.join(words(text)) for text in texts] for index, texts in enumerate(KNOWN)}
    assert bleu(SAID, KNOWN) == pytest.approx(Bleu(4).compute_score(known, said, verbose=0)[0], abs=1e-6)
    assert cider_d(SAID, KNOWN).tolist() == pytest.approx(Cider().compute_score(known, said)[1].tolist(), abs=1e-6)


def test_objects_of_a_caption():
    assert objects_of('Two dotted red circles and a blue star on the grass.') == {
        ('red', 'circle'): 2,
        ('blue', 'star'): 1,
    }
    assert objects_of('A cross on the water.') == {}
    metric = METRICS.build(dict(type='mmparts.CaptionedObjects'))
    truth = ['Two dotted red circles and a blue star on the grass.']
    for said in (truth[0], 'A red circle and a blue star.', 'Three green rings.'):
        metric.process({}, [dict(pred_text=said, gt_texts=truth)])
    assert metric.compute_metrics(metric.results) == pytest.approx(
        dict(objects=100 * 5 / 9, counts=100 * 2 / 3, exact=100 / 3), abs=1e-3
    )


def test_caption_scores_count_an_image_once():
    metric = METRICS.build(dict(type='mmparts.CaptionScores'))
    for number, said, known in zip((0, 1, 2, 2), [*SAID, 'the cat'], [*KNOWN, KNOWN[2]]):
        metric.process({}, [dict(img_id=number, pred_text=said, gt_texts=known)])
    found = metric.compute_metrics(metric.results)
    assert found['CIDEr'] == pytest.approx(100 * cider_d(SAID, KNOWN).mean(), abs=1e-3)
    assert [found[f'BLEU-{n}'] for n in (1, 2, 3, 4)] == pytest.approx([100 * x for x in bleu(SAID, KNOWN)], abs=1e-3)


def test_answers():
    assert normalised('The  two dogs.') == '2 dogs' and normalised('1,000') == '1000' and normalised('3.5') == '3.5'
    given = ['red'] * 3 + ['blue'] * 2 + ['green'] * 5
    assert soft_score('Red', given) == pytest.approx((3 * 2 / 3 + 7 * 1) / 10)
    assert soft_score('red', given, 'shortcut') == 0.9 and soft_score('green', given, 'shortcut') == 1.0
    assert soft_score('black', given) == 0.0 == soft_score('black', given, 'shortcut')
    metric = METRICS.build(dict(type='mmparts.VqaAccuracy'))
    metric.process(
        {},
        [dict(pred_text='red', gt_all_answers=given), dict(pred_text='2', gt_answers=['two'], gt_answer_weights=[0.6])],
    )
    assert metric.compute_metrics(metric.results)['accuracy'] == pytest.approx(100 * (0.9 + 0.6) / 2)
