"""VCR and Flickr30K Entities, from files written here in their forms."""

import json

import numpy as np
import pytest
import torch

from mmparts.datasets import BadAnnotations, Flickr30kEntities, VcrChoices
from mmparts.datasets.entities import ious, parsed
from mmparts.evaluation import PhraseRecall
from mmparts.structures import MultimodalSample

LINE = dict(
    img_fn='a/1.jpg',
    annot_id='train-7',
    objects=['person', 'dog', 'person'],
    question=['Why', 'is', [0], 'near', [2, 1], '?'],
    answer_choices=[[[2], 'called', '.'], ['No', '.'], [[1], 'sleeps', '.'], ['It', 'rains', '.']],
    answer_label=2,
    rationale_choices=[['One', '.'], ['Two', [0], '.'], ['Three', '.'], ['Four', '.']],
    rationale_label=1,
)


def vcr(folder, *lines, **options):
    (folder / 'train.jsonl').write_text(''.join(f'{json.dumps(line)}\n' for line in lines))
    return VcrChoices(ann_file='train.jsonl', data_root=str(folder), data_prefix=dict(img='images/'), **options)


def test_answers_and_reasons(tmp_path):
    item = vcr(tmp_path, LINE).get_data_info(0)
    assert item['texts'][0] == 'Why is Casey near Riley and dog ? [SEP] Riley called .' and item['gt_label'] == 2
    assert item['img_path'] == str(tmp_path / 'images/a/1.jpg') and item['img_id'] == 'train-7'
    item = vcr(tmp_path, LINE, choose='reason').get_data_info(0)
    assert (
        item['texts'][1] == 'Why is Casey near Riley and dog ? dog sleeps . [SEP] Two Casey .' and item['gt_label'] == 1
    )
    unknown = {key: value for key, value in LINE.items() if not key.endswith('_label')}
    assert 'gt_label' not in vcr(tmp_path, unknown).get_data_info(0)


@pytest.mark.parametrize(
    ('wrong', 'said'),
    [
        (dict(question=['Is', [3], '?']), 'train.jsonl:2: IndexError'),
        (dict(objects=None), 'train.jsonl:2: TypeError'),
        (dict(answer_label=4), 'answer_label is 4 of 4 choices'),
        (dict(img_fn='../out.jpg'), 'out.jpg'),
    ],
)
def test_lines_that_are_wrong_are_named(tmp_path, wrong, said):
    with pytest.raises((BadAnnotations, ValueError), match=said):
        vcr(tmp_path, LINE, LINE | wrong)
    with pytest.raises(ValueError, match="choose='reasons' is unknown"):
        vcr(tmp_path, LINE, choose='reasons')


XML = """<annotation><size><width>100</width><height>50</height></size>
<object><name>11</name><bndbox><xmin>0</xmin><ymin>0</ymin><xmax>50</xmax><ymax>50</ymax></bndbox></object>
<object><name>12</name><name>11</name><bndbox><xmin>50</xmin><ymin>0</ymin><xmax>100</xmax><ymax>50</ymax></bndbox></object>
<object><name>13</name><nobndbox>1</nobndbox><scene>1</scene></object></annotation>"""
SENTENCES = """[/EN#11/people Two men] with [/EN#12/bodyparts shaggy hair] in [/EN#13/scene the yard] .
[/EN#13/scene The yard] is empty ."""


@pytest.fixture
def folder(tmp_path):
    for name, file, content in (('Sentences', '5.txt', SENTENCES), ('Annotations', '5.xml', XML)):
        (tmp_path / name).mkdir()
        (tmp_path / name / file).write_text(content)
    (tmp_path / 'train.txt').write_text('5\n')
    (tmp_path / 'regions').mkdir()
    boxes = np.float32([[0, 0, 0.5, 0.9], [0.5, 0, 1, 1], [0, 0, 1, 0.2]])
    np.savez(tmp_path / 'regions/5.jpg.npz', features=np.eye(3, 4, dtype='f4'), boxes=boxes, scores=np.ones(3, 'f4'))
    return tmp_path


def entities(folder, every=False, length=32):
    load = dict(
        type='mmparts.LoadRegions', folder=str(folder / 'regions'), images=str(folder / 'images'), add_boxes=True
    )
    words = dict(type='mmparts.WordTokenizer', words=('two', 'men', 'hair'), context_length=length)
    pack = dict(type='mmparts.PackPhrases', tokenizer=words, every=every)
    return Flickr30kEntities(
        ann_file='train.txt',
        data_root=str(folder),
        data_prefix=dict(img='images/'),
        pipeline=[load, pack],
        test_mode=every,
    )


def test_phrases_with_places_and_regions(folder):
    assert parsed('no marks .') == ('no marks .', [])
    data = entities(folder)
    assert len(data) == 1  # the second sentence has no phrase with a box
    item = data.get_data_info(0)
    assert item['texts'] == ['Two men with shaggy hair in the yard .']
    assert [item['texts'][0][: each['end']] for each in item['phrases']] == ['Two men', 'Two men with shaggy hair']
    packed = data[0]
    sample = packed['data_samples']
    assert sample.gt_phrases.tolist() == [2, 5]  # with [CLS] before them
    assert sample.gt_phrase_regions.tolist() == [[0.5, 0.5, 0], [0, 1, 0]]
    assert packed['inputs']['regions'].features.shape == (3, 10) and packed['inputs']['text'] == item['texts'][0]
    assert entities(folder, length=5)[0]['data_samples'].gt_phrases.tolist() == [2]  # the second one is cut off


def test_phrases_that_no_region_overlaps(folder):
    boxes = np.float32([[0, 0, 0.1, 0.1], [0.5, 0, 1, 1]])
    np.savez(folder / 'regions/5.jpg.npz', features=np.eye(2, 4, dtype='f4'), boxes=boxes, scores=np.ones(2, 'f4'))
    assert entities(folder)[0]['data_samples'].gt_phrase_regions.tolist() == [[0, 1], [0, 1]]
    np.savez(folder / 'regions/5.jpg.npz', features=np.eye(1, 4, dtype='f4'), boxes=boxes[:1], scores=np.ones(1, 'f4'))
    assert entities(folder, every=True)[0]['data_samples'].gt_phrase_regions.tolist() == [[0], [0]]
    assert entities(folder).prepare_data(0) is None
    (folder / 'Annotations/5.xml').write_text('<annotation><object>')
    with pytest.raises(BadAnnotations, match='5.xml is no annotation'):
        entities(folder)


def test_overlap_by_hand():
    first = torch.tensor([[0.0, 0, 2, 2], [3, 3, 4, 4]])
    assert torch.allclose(ious(first, torch.tensor([[1.0, 1, 3, 3]])), torch.tensor([[1 / 7], [0.0]]))


def test_recall_of_phrases():
    metric = PhraseRecall(ks=(1, 2))
    right, said = torch.tensor([[0, 1.0, 0], [0.5, 0, 0.5], [0, 0, 0]]), torch.tensor([[3, 2, 1.0, 0]] * 3)
    metric.process({}, [MultimodalSample(gt_phrase_regions=right, pred_phrase_regions=said).to_dict()])
    found = metric.compute_metrics(metric.results)
    assert found == {'R@1': pytest.approx(33.3333), 'R@2': pytest.approx(66.6667), 'bound': pytest.approx(66.6667)}
    assert list(found) == metric.names()
