"""search_images and predict with a model of images and texts: pages, records, what is read again and what is not."""

import json

import numpy as np
import pytest
import torch
from mmengine.config import Config
from PIL import Image

from mmparts.inference.search import THUMB, ImageIndex
from mmparts.registry import MODELS

MODEL = dict(
    type='mmparts.MultimodalModel',
    data_preprocessor=dict(
        type='mmparts.MultimodalPreprocessor',
        inputs=dict(
            image=dict(type='mmparts.ImageInputs'),
            text=dict(type='mmparts.TextInputs', tokenizer=dict(type='mmparts.ByteTokenizer', context_length=24)),
        ),
    ),
    towers=dict(
        image=dict(
            type='mmparts.ImageTower',
            backbone=dict(
                type='mmparts.ViT',
                arch=dict(embed_dims=32, num_layers=1, num_heads=2),
                image_size=32,
                patch_size=16,
                out='class',
            ),
        ),
        text=dict(type='mmparts.CausalTextTower', embed_dims=32, num_layers=1, num_heads=2),
    ),
    projections=dict(image=16, text=16),
)


@pytest.fixture(scope='module')
def trained(tmp_path_factory):
    """Config, checkpoint and a folder of three images."""
    root = tmp_path_factory.mktemp('search')
    pipeline = [
        dict(type='mmparts.LoadCheckedImage'),
        dict(type='mmcv.Resize', scale=(32, 32)),
        dict(type='mmparts.PackMultimodal'),
    ]
    dataset = dict(type='mmparts.ImageTextFolder', data_root=str(root), pipeline=pipeline)
    config = dict(default_scope='mmdet', model=MODEL, test_dataloader=dict(dataset=dataset))
    Config(config).dump(root / 'config.py')
    torch.manual_seed(0)
    torch.save(dict(state_dict=MODELS.build(MODEL).state_dict()), root / 'model.pth')
    (root / 'images' / 'below').mkdir(parents=True)
    for index, name in enumerate(('a.png', 'b.png', 'below/c.png')):
        image = np.full((40, 30, 3), 60 * index, np.uint8)
        image[:20] = (255 - 90 * index, 80 * index, 30)
        Image.fromarray(image).save(root / 'images' / name)
    return root


def test_a_page_by_text_and_by_image(trained, tmp_path, run_tool, capsys):
    model = (trained / 'config.py', trained / 'model.pth')
    outs = ('--index', tmp_path / 'i.npz', '--out', tmp_path / 'page.html')
    assert run_tool('search_images', trained / 'images', *model, '--text', 'a <red> circle', *outs) == 0
    text = (tmp_path / 'page.html').read_text()
    assert text.count('<figure>') == 3 and 'below/c.png' in text and 'a &lt;red&gt; circle' in text
    assert '3 images' in capsys.readouterr().out

    assert run_tool('search_images', trained / 'images', *model, '--image', trained / 'images/b.png', *outs) == 0
    best = capsys.readouterr().out.splitlines()[0]
    assert best == '1.000 b.png'

    outs = ('--index', tmp_path / 'i.npz', '--top', 2, '--out', tmp_path / 'grid.png')
    assert run_tool('search_images', trained / 'images', *model, '--image', trained / 'images/b.png', *outs) == 0
    grid = Image.open(tmp_path / 'grid.png')
    assert grid.width > 2 * THUMB and np.asarray(grid).std() > 0


def test_only_what_is_new_is_embedded(trained, tmp_path, run_tool, capsys):
    folder = tmp_path / 'images'
    folder.mkdir()
    for name in ('a.png', 'b.png'):
        (folder / name).write_bytes((trained / 'images' / name).read_bytes())
    run = (folder, trained / 'config.py', trained / 'model.pth', '--text', 'x', '--index', tmp_path / 'i.npz')
    run = (*run, '--out', tmp_path / 'page.html')
    run_tool('search_images', *run)
    index = ImageIndex.load(tmp_path / 'i.npz')
    index.vectors[0] = 7.0  # what is taken from the index stays as it is
    index.save(tmp_path / 'i.npz')
    (folder / 'b.png').write_bytes((trained / 'images' / 'below/c.png').read_bytes())
    (folder / 'bad.png').write_bytes(b'no image')
    assert run_tool('search_images', *run) == 1  # one could not be read, and is named
    assert 'bad.png: failed' in capsys.readouterr().out
    again = ImageIndex.load(tmp_path / 'i.npz')
    assert again.paths == ['a.png', 'b.png'] and (again.vectors[0] == 7.0).all()
    assert not np.array_equal(again.vectors[1], index.vectors[1])

    (tmp_path / 'i.npz').write_bytes(b'nothing')
    assert run_tool('search_images', *run) == 1
    assert 'is no index of images' in capsys.readouterr().err


def test_predict_compares_with_texts_and_tells_names_apart(trained, tmp_path, run_tool):
    run = (trained / 'images/a.png', trained / 'config.py', trained / 'model.pth', '--score-thr', 0)
    texts = ('--texts', 'a circle', 'a star')
    assert run_tool('predict', *run, '--out', tmp_path / 'one', *texts) == 0
    (record,) = json.loads((tmp_path / 'one/predictions.json').read_text())['predictions']
    assert record['texts'] == ['a circle', 'a star'] and len(record['similarities']) == 2
    assert (tmp_path / 'one' / record['picture']).is_file()

    names = ('--cfg-options', 'model.inference.type=mmparts.ZeroShot')
    assert run_tool('predict', *run, '--out', tmp_path / 'two', *texts, *names) == 0
    (record,) = json.loads((tmp_path / 'two/predictions.json').read_text())['predictions']
    assert sorted(record['names']) == ['a circle', 'a star'] and sum(record['scores']) == pytest.approx(1, abs=1e-3)
