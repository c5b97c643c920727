"""Folders of classes: labels go by name, and what is wrong is said."""

import cv2
import numpy as np
import pytest
from mmengine.registry import DefaultScope

from mmparts.datasets import ImageFolders
from mmparts.datasets.loading import BadImage

PACK = [dict(type='mmparts.LoadCheckedImage'), dict(type='mmparts.PackImage')]


@pytest.fixture
def root(tmp_path):
    for name, count in (('cat', 3), ('dog', 2), ('n01', 1)):
        (tmp_path / name / 'inner').mkdir(parents=True)
        for index in range(count):
            image = np.full((4, 6, 3), (index, 20, 30), np.uint8)
            cv2.imwrite(str(tmp_path / name / 'inner' / f'{index}.png'), image)
    (tmp_path / 'cat' / 'notes.txt').write_text('no image')
    return tmp_path


def load(root, pipeline=(), **kwargs):
    with DefaultScope.overwrite_default_scope('mmdet'):
        return ImageFolders(data_root=str(root), pipeline=list(pipeline), **kwargs)


def test_labels_go_by_the_names_of_folders(root):
    data = load(root, PACK)
    assert data.metainfo['classes'] == ('cat', 'dog', 'n01')
    assert [data.get_data_info(i)['gt_label'] for i in range(len(data))] == [0, 0, 0, 1, 1, 2]
    item = data[1]
    assert item['inputs'].shape == (3, 4, 6) and item['inputs'][:, 0, 0].tolist() == [1, 20, 30]
    assert item['data_samples'].gt_label == 0 and item['data_samples'].img_id == 'cat/inner/1.png'


def test_labels_go_by_the_names_of_classes_and_folders_may_share_one(root):
    data = load(root, metainfo=dict(classes=('dog', 'cat')), names=dict(n01='dog'))
    assert sorted(data.get_data_info(i)['gt_label'] for i in range(len(data))) == [0, 0, 0, 1, 1, 1]


def test_a_part_of_each_class(root):
    assert len(load(root, fraction=(0, 0.5))) == 2 + 1 + 0


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(metainfo=dict(classes=('cats', 'dog', 'n01'))), r'none of the 3 classes: cat \(meant: cats\?\)'),
        (dict(metainfo=dict(classes=('cat', 'dog', 'n01', 'bird'))), 'no folder for bird; it has cat, dog, n01'),
    ],
)
def test_folders_and_classes_that_differ_are_refused(root, kwargs, words):
    with pytest.raises(ValueError, match=words):
        load(root, **kwargs)


def test_an_empty_class_is_refused_unless_asked_for(root):
    (root / 'emu').mkdir()
    with pytest.raises(ValueError, match=r'no image .* of emu in .*allow_empty=True'):
        load(root)
    assert load(root, allow_empty=True).metainfo['classes'] == ('cat', 'dog', 'emu', 'n01')


def test_a_bad_file_is_named(root):
    (root / 'dog' / 'inner' / '0.png').write_bytes(b'no image')
    with pytest.raises(OSError, match=r'dog/inner/0\.png'):
        load(root, PACK)[3]


def test_no_folder(tmp_path):
    with pytest.raises(FileNotFoundError, match='is no folder'):
        load(tmp_path / 'absent')
    with pytest.raises(FileNotFoundError, match='one for each class'):
        load(tmp_path)


# holds: missing, empty, truncated, a web page
def test_a_bad_image_is_named_or_skipped(root):
    (root / 'cat' / 'inner' / '1.png').write_bytes(b'')
    with pytest.raises(BadImage, match='cat/inner/1.png'):
        load(root, PACK)[1]
    data = load(root, PACK, on_bad_image='skip', max_bad_images=1)
    assert data[1]['data_samples'].img_id != 'cat/inner/1.png'
    assert [path.endswith('cat/inner/1.png') for path in data.bad_images()] == [True]
