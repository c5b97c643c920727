"""Images with texts: what is read from each kind of file, and the items that are refused with file and place."""

import json

import numpy as np
import pytest
from mmengine.dataset import pseudo_collate
from PIL import Image

from mmparts.datasets import (
    CaptionPairs,
    CocoCaptions,
    ImageTextFolder,
    KarpathyCaptions,
    LargestObject,
    PackMultimodal,
)
from mmparts.datasets.annotations import BadAnnotations
from mmparts.registry import MODELS


def write(folder, name: str, content) -> str:
    path = folder / name
    path.write_text(content if isinstance(content, str) else json.dumps(content))
    return str(path)


@pytest.fixture
def images(tmp_path):
    for name in ('a.jpg', 'b.jpg'):
        Image.fromarray(np.zeros((8, 6, 3), np.uint8)).save(tmp_path / name)
    return tmp_path


TWICE = [dict(id=7, file_name='a.jpg')] * 2


def coco(**changes) -> dict:
    images = [dict(id=7, file_name='a.jpg'), dict(id=9, file_name='b.jpg')]
    texts = [(1, 7, 'a red circle'), (2, 9, 'two squares'), (3, 7, 'a circle')]
    annotations = [dict(id=number, image_id=image, caption=text) for number, image, text in texts]
    return dict(images=images, annotations=annotations) | changes


def read(kind, folder, content, name='captions.json', **kwargs):
    path = write(folder, name, content)
    return kind(ann_file=path, data_prefix=dict(img=str(folder)), **kwargs)


def items(dataset) -> list[dict]:
    return [dataset[index] for index in range(len(dataset))]


def test_coco_captions_by_image_and_by_text(images):
    dataset = read(CocoCaptions, images, coco())
    first = dataset[0]
    assert (len(dataset), first['img_id'], first['texts'], first['text_ids']) == (
        2,
        7,
        ['a red circle', 'a circle'],
        [1, 3],
    )
    by_text = read(CocoCaptions, images, coco(), per='text')
    assert [item['texts'] for item in map(by_text.get_data_info, range(3))] == [
        ['a red circle'],
        ['a circle'],
        ['two squares'],
    ]


def test_caption_pairs_are_of_the_image_or_of_another(images):
    texts = coco()['annotations'] + [dict(id=4, image_id=9, caption='a square')]
    dataset = read(CaptionPairs, images, coco(annotations=texts))
    own = {7: {'a red circle', 'a circle'}, 9: {'two squares', 'a square'}}
    np.random.seed(0)
    labels = []
    for index in list(range(2)) * 100:
        item = dataset.get_data_info(index)
        first, second = item['texts'][0].split(' [SEP] ')
        assert first in own[item['img_id']] and first != second
        assert (second in own[item['img_id']]) == bool(item['gt_label'])
        labels.append(item['gt_label'])
    assert 70 < sum(labels) < 130, 'half of them match'
    still = read(CaptionPairs, images, coco(annotations=texts), test_mode=True)
    assert len({still.get_data_info(1)['texts'][0] for _ in range(9)}) == 1
    with pytest.raises(BadAnnotations, match='image 9 has 1 captions'):
        len(read(CaptionPairs, images, coco()))


def entry(**changes):
    return dict(id=5, image_id=7, caption='a circle') | changes


@pytest.mark.parametrize(
    ('content', 'said'),
    [
        (coco(annotations=[entry(), entry(id=6, image_id=9, caption=' . ')]), r'images\[1\]: text 6 of b.jpg is empty'),
        (coco(annotations=[entry(caption=None)]), r'text 5 of a.jpg is None, not a string'),
        (coco(annotations=[entry()]), r'images\[1\]: b.jpg has no text'),
        (
            coco(images=[dict(id=7, file_name='a.jpg')] * 2, annotations=[entry()]),
            r'images\[1\]: the image id 7 was at .*',
        ),
        (coco(annotations=[entry(), entry()]), r'annotations\[0\] has the id 5, as 1 other has'),
        (coco(annotations=[entry(image_id=8)]), r'annotations\[0\] is of image 8, which is not in images'),
        (coco(annotations=[dict(id=1, image_id=7)]), r"annotations\[0\] has no 'caption'"),
        (coco(images=None), r"no list 'images'"),
        ('{"images": [', 'captions.json is no JSON'),
    ],
)
def test_bad_captions_are_refused_with_file_and_item(images, content, said):
    with pytest.raises(BadAnnotations, match=f'captions.json.*{said}|{said}') as refused:
        read(CocoCaptions, images, content)
    assert 'captions.json' in str(refused.value)


def test_missing_images_are_counted_and_named(images):
    (images / 'b.jpg').unlink()
    with pytest.raises(FileNotFoundError, match=r'captions.json names images that are not there: .*b.jpg of 2'):
        read(CocoCaptions, images, coco())
    assert len(read(CocoCaptions, images, coco(), check_images=False)) == 2


def test_an_image_outside_the_folder_is_refused(images):
    with pytest.raises(ValueError, match='leaves the folder'):
        read(CocoCaptions, images, coco(images=[dict(id=7, file_name='../a.jpg'), dict(id=9, file_name='b.jpg')]))


def test_empty_texts_may_be_skipped(images):
    content = coco(annotations=[entry(), entry(id=6, caption='')])
    dataset = read(CocoCaptions, images, content, on_empty='skip')
    assert len(dataset) == 1 and dataset[0]['texts'] == ['a circle']


def test_karpathy_has_splits(images):
    sentence = [dict(raw='a circle', sentid=3)]
    entries = [
        dict(filename='a.jpg', filepath='', split='train', cocoid=7, sentences=sentence),
        dict(filename='b.jpg', split='test', imgid=1, sentences=sentence),
    ]
    (item,) = items(read(KarpathyCaptions, images, dict(images=entries)))
    assert (item['img_id'], item['texts'], item['text_ids']) == (1, ['a circle'], [3])
    assert len(read(KarpathyCaptions, images, dict(images=entries), split=('train', 'test'))) == 2
    with pytest.raises(BadAnnotations, match="has no split 'val'; there are test, train"):
        read(KarpathyCaptions, images, dict(images=entries), split='val')


def test_folders_with_texts_beside_images(images):
    write(images, 'a.txt', 'a red circle\n\na circle\n')
    with pytest.raises(BadAnnotations, match=r'b.txt: b.jpg has no text'):
        ImageTextFolder(data_prefix=dict(img=str(images)))
    write(images, 'b.txt', 'two squares')
    dataset = ImageTextFolder(data_prefix=dict(img=str(images)))
    assert [item['texts'] for item in items(dataset)] == [['a red circle', 'a circle'], ['two squares']]


@pytest.mark.parametrize(
    ('name', 'content'),
    [
        ('t.jsonl', '{"image": "a.jpg", "text": "one"}\n{"image": "b.jpg", "texts": ["two", "three"]}\n'),
        ('t.csv', 'image,text\na.jpg,one\nb.jpg,two\nb.jpg,three\n'),
        ('t.tsv', 'image\ttext\na.jpg\tone\nb.jpg\ttwo\nb.jpg\tthree\n'),
    ],
)
def test_folders_with_one_file(images, name, content):
    assert [item['texts'] for item in items(read(ImageTextFolder, images, content, name))] == [
        ['one'],
        ['two', 'three'],
    ]


@pytest.mark.parametrize(
    ('name', 'content', 'said'),
    [
        ('t.jsonl', '{"image": "a.jpg", "text": "one"}\n{"image": 3}\n', 't.jsonl:2 is not'),
        ('t.csv', 'file,text\na.jpg,one\n', r"t.csv:1 names the columns \['file', 'text'\]"),
        ('t.jsonl', '{"image": "a.jpg", "text": ""}\n', "t.jsonl:1: text 'a.jpg#0' of a.jpg is empty"),
        ('t.xml', '', 'is no .jsonl, .csv or .tsv'),
    ],
)
def test_bad_lines_are_named(images, name, content, said):
    with pytest.raises(BadAnnotations, match=said):
        read(ImageTextFolder, images, content, name)


def test_largest_object_is_the_label(images):
    sizes = dict(width=6, height=8)
    content = dict(
        images=[dict(id=7, file_name='a.jpg', **sizes), dict(id=9, file_name='b.jpg', **sizes)],
        categories=[dict(id=1, name='circle'), dict(id=2, name='star')],
        annotations=[
            dict(id=1, image_id=7, category_id=1, bbox=[0, 0, 2, 2], area=4, iscrowd=0),
            dict(id=2, image_id=7, category_id=2, bbox=[0, 0, 4, 4], area=16, iscrowd=0),
        ],
    )
    dataset = read(LargestObject, images, content)
    assert [(item['img_id'], item['gt_label']) for item in items(dataset)] == [(7, 1)]
    assert read(LargestObject, images, content, metainfo=dict(classes=('star',)))[0]['gt_label'] == 0
    with pytest.raises(BadAnnotations, match='has star, none of the classes square'):
        read(LargestObject, images, content, metainfo=dict(classes=('square',)))


def test_pack_chooses_texts():
    item = dict(img=np.zeros((4, 5, 3), np.uint8), texts=['a', 'b'], img_id=3, gt_label=2, question='why?')
    packed = PackMultimodal()(dict(item))
    assert packed['inputs']['image'].shape == (3, 4, 5) and list(packed['inputs']['text']) == ['a', 'b']
    assert packed['data_samples'].gt_texts == ['a', 'b'] and int(packed['data_samples'].gt_label) == 2
    assert PackMultimodal('first')(dict(item))['inputs']['text'] == 'a'
    assert {PackMultimodal('random')(dict(item))['inputs']['text'] for _ in range(40)} == {'a', 'b'}
    assert set(PackMultimodal('none', keys=('question',))(dict(item))['inputs']) == {'image', 'question'}


def test_items_of_unequal_numbers_of_texts_share_a_batch():
    """As mmengine's data loader collates them; ids and owners are those of the items."""
    image = np.zeros((4, 5, 3), np.uint8)
    items = [PackMultimodal()(dict(img=image, texts=texts)) for texts in (['a', 'b', 'c'], ['d'])]
    batch = pseudo_collate(items)
    inputs = dict(
        image=dict(type='mmparts.ImageInputs'),
        text=dict(type='mmparts.TextInputs', tokenizer=dict(type='mmparts.ByteTokenizer')),
    )
    made = MODELS.build(dict(type='mmparts.MultimodalPreprocessor', inputs=inputs))(batch)['inputs']
    assert made['text'].strings == ['a', 'b', 'c', 'd'] and made['text'].owner.tolist() == [0, 0, 0, 1]
    assert made['image'].shape == (2, 3, 4, 5)
