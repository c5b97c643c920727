"""Pairs in tars: read where they stand, in any order; damaged ones are named."""

import io
import tarfile

import numpy as np
import pytest
from PIL import Image

from mmparts.datasets import LoadTarImage, TarPairs
from mmparts.datasets.annotations import BadAnnotations
from mmparts.datasets.tars import split_name, tars_of


def png(value: int) -> bytes:
    buffer = io.BytesIO()
    Image.fromarray(np.full((4, 6, 3), value, np.uint8)).save(buffer, 'png')
    return buffer.getvalue()


def write(path, *members: tuple[str, bytes], mode='w'):
    with tarfile.open(path, mode) as tar:
        for name, content in members:
            info = tarfile.TarInfo(name)
            info.size = len(content)
            tar.addfile(info, io.BytesIO(content))


def pair(name: str, value: int, text: str) -> tuple:
    return (f'{name}.png', png(value)), (f'{name}.txt', text.encode())


@pytest.fixture
def tars(tmp_path):
    write(tmp_path / '00.tar', *pair('0001', 10, 'ten'), *pair('0002', 20, 'twenty'))
    write(tmp_path / '01.tar', ('x.json', b'{"caption": " thirty "}'), ('x.png', png(30)), ('x.cls', b'3'))
    return tmp_path


def test_items_are_read_where_they_stand(tars):
    dataset = TarPairs(data_prefix=dict(img=str(tars)), pipeline=[LoadTarImage()])
    assert len(dataset) == 3
    for index, (value, text) in reversed(list(enumerate([(10, 'ten'), (20, 'twenty'), (30, 'thirty')]))):
        item = dataset[index]
        assert item['img'][0, 0, 0] == value and item['texts'] == [text] and item['ori_shape'] == (4, 6)
    assert dataset[0]['img_id'] == '00.tar/0001' and dataset[0]['img_path'].endswith('00.tar/0001.png')


def test_patterns(tars):
    both = [str(tars / '00.tar'), str(tars / '01.tar')]
    assert tars_of(f'{tars}/{{00..01}}.tar') == tars_of(f'{tars}/*.tar') == tars_of(str(tars)) == both
    with pytest.raises(FileNotFoundError, match='no .*02.tar'):
        tars_of(f'{tars}/{{00..02}}.tar')
    with pytest.raises(FileNotFoundError, match='no .tar at'):
        TarPairs(data_prefix=dict(img=str(tars / 'none')))
    assert split_name('a.b/c.d.JPG') == ('a.b/c', '.jpg')


@pytest.mark.parametrize(
    ('members', 'mode', 'said'),
    [
        ([('a.png', b'x')], 'w', 'a.png has no text beside it'),
        ([*pair('a', 1, 'b'), *pair('a', 1, 'b')], 'w', 'holds a.png twice'),
        ([*pair('a', 1, 'b')], 'w:gz', 'is no plain tar, or damaged'),
    ],
)
def test_bad_tars_are_refused(tmp_path, members, mode, said):
    write(tmp_path / 'bad.tar', *members, mode=mode)
    with pytest.raises(BadAnnotations, match=f'bad.tar.*{said}'):
        TarPairs(data_prefix=dict(img=str(tmp_path / 'bad.tar')))


def test_an_empty_text_is_named(tmp_path):
    write(tmp_path / 'a.tar', *pair('0001', 1, ' ! '))
    dataset = TarPairs(data_prefix=dict(img=str(tmp_path / 'a.tar')))
    with pytest.raises(BadAnnotations, match=r'a.tar/0001.png: its text is empty'):
        dataset.get_data_info(0)
