"""CapFilt: texts are kept by their match, captions are written, a call that was stopped goes on."""

import json
import os

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from tiny import CONFIGS, build, tiny

from mmparts.commands.capfilt import texts_of
from mmparts.datasets import ImageTextFolder
from mmparts.inference.capfilt import CAPTIONS, RECORDS, STATISTICS, Filter, Tally, filtered, read, write
from mmparts.inference.detector import Detector

HEAD = dict(captioner='a', filter='b')
TEXTS = {'a': ['a red circle', 'nothing'], 'b': ['two stars'], 'c': []}


@pytest.fixture(scope='module')
def made(tmp_path_factory):
    """A tiny BLIP that captions and matches, and three images, one without a text."""
    root = tmp_path_factory.mktemp('capfilt')
    cfg = Config.fromfile(CONFIGS / 'blip/blip_small_1xb32-12e_shapes.py')
    cfg.model = tiny(cfg)
    torch.save(dict(state_dict=build(cfg.model).state_dict(), meta={}), root / 'blip.pth')
    (root / 'images').mkdir()
    rng = np.random.default_rng(0)
    for name, texts in TEXTS.items():
        cv2.imwrite(str(root / f'images/{name}.png'), rng.integers(256, size=(40, 60, 3)).astype(np.uint8))
        if texts:
            (root / f'images/{name}.txt').write_text('\n'.join(texts))
    captioner, judge = (kind(cfg, str(root / 'blip.pth')) for kind in (Detector, Filter))
    return captioner, judge, root


def run(captioner, judge, root, out, **head):
    texts = texts_of(str(root / 'images'), None) if root != out.parent else {}
    return filtered(captioner, judge, str(root / 'images'), texts, out, HEAD | head)


def test_the_probability_is_that_of_the_matching_head(made):
    _, judge, root = made
    path = str(root / 'images/a.png')
    both, one = judge.probabilities(path, TEXTS['a']), judge.probabilities(path, TEXTS['a'][1:])
    torch.testing.assert_close(torch.tensor(both[1:]), torch.tensor(one), atol=1e-5, rtol=1e-4)
    item = judge.prepare(path)
    data = judge.model.data_preprocessor(
        dict(inputs=[dict(item['inputs'], text=TEXTS['a'][0])], data_samples=[item['data_samples']])
    )
    from mmparts.multimodal.states import States

    with torch.no_grad():
        joint = States(judge.model, data['inputs']).joint('image', 'text')
        wanted = judge.matching.head(joint.pooled).softmax(-1)[0, 1]
    assert abs(both[0] - float(wanted)) < 1e-5 and both[0] != both[1]


def test_records_go_on_where_they_were_stopped(made, tmp_path):
    captioner, judge, root = made
    whole = list(run(captioner, judge, root, tmp_path / 'whole'))
    assert [record['image'] for record in whole] == ['a.png', 'b.png', 'c.png']
    assert whole[2]['texts'] == [] and len(whole[2]['written']) == 1, 'an image without a text is captioned, too'
    assert [text for text, _ in whole[0]['texts']] == TEXTS['a'] and len(whole[0]['written']) == 1

    stopped = run(captioner, judge, root, tmp_path / 'again')
    next(stopped)
    stopped.close()
    path = tmp_path / 'again' / RECORDS
    path.write_text(path.read_text() + '{"image": "b.p')  # cut short
    assert list(read(path, HEAD)) == ['a.png']
    calls = []

    class Counting:
        def __call__(self, paths):
            calls.extend(paths)
            return captioner(paths)

    assert list(run(Counting(), judge, root, tmp_path / 'again')) == whole
    assert [os.path.basename(path) for path in calls] == ['b.png', 'c.png'], 'not the first once more'
    with pytest.raises(ValueError, match='other models'):
        list(run(captioner, judge, root, tmp_path / 'again', filter='c'))

    head = path.read_text().splitlines()[0]
    path.write_text(head + '\n{"image": "a')  # cut short at the first record: the head is there already
    assert list(run(captioner, judge, root, tmp_path / 'again')) == whole
    assert path.read_text().count(head) == 1


def test_an_image_that_cannot_be_read_is_named(made, tmp_path):
    captioner, judge, root = made
    (tmp_path / 'images').mkdir()
    (tmp_path / 'images/x.png').write_bytes(b'no image')
    (record,) = run(captioner, judge, tmp_path, tmp_path / 'out')
    assert 'x.png' in record['failed'] and 'texts' not in record


def test_what_is_kept_is_a_data_set_with_statistics(made, tmp_path):
    records = [
        dict(image='a.png', texts=[['a red circle', 0.9], ['nothing', 0.2]], written=[['a circle', 0.5]]),
        dict(image='b.png', texts=[['two stars', 0.8]], written=[['two stars', 0.8]]),
        dict(image='c.png', texts=[['a ring', 0.1]], written=[]),
    ]
    tally = Tally()
    kept = [(record['image'], tally.add(record, 0.5)) for record in records]
    assert kept == [('a.png', ['a red circle', 'a circle']), ('b.png', ['two stars']), ('c.png', [])]
    path = write(tmp_path, kept, tally, 0.5)
    assert path.name == CAPTIONS
    data = ImageTextFolder(ann_file=str(path), data_prefix=dict(img=str(made[2] / 'images')))
    assert [data.get_data_info(index)['texts'] for index in range(len(data))] == [texts for _, texts in kept[:2]]
    assert json.loads((tmp_path / STATISTICS).read_text()) == dict(
        threshold=0.5, images=3, texts=4, texts_kept=2, written=2, written_kept=2, left=1
    )


def test_a_filter_without_matching_is_refused(made):
    cfg = Config.fromfile(CONFIGS / 'clip/clip_small_1xb64-4e_shapes.py')
    cfg.model = tiny(cfg)
    path = str(made[2] / 'clip.pth')
    torch.save(dict(state_dict=build(cfg.model).state_dict(), meta={}), path)
    with pytest.raises(ValueError, match='no objective Matching; it has contrastive'):
        Filter(cfg, path)


def test_the_command_writes_records_captions_and_statistics(made, tmp_path, run_tool, capsys):
    root = made[2]
    cfg = Config.fromfile(CONFIGS / 'blip/blip_small_1xb32-12e_shapes.py')
    cfg.model = tiny(cfg)
    cfg.model.data_preprocessor.inputs.text.tokenizer.type = 'mmparts.ByteTokenizer'  # a class cannot be written
    cfg.dump(tmp_path / 'blip.py')
    run = (tmp_path / 'blip.py', root / 'blip.pth', root / 'images', '--filter-checkpoint', root / 'blip.pth')
    assert run_tool('capfilt', *run, '--out', tmp_path / 'out', '--threshold', 0) == 0
    assert '3 images: 3 of 3 texts and 3 of 3 captions kept, 0 images without a text' in capsys.readouterr().out
    data = ImageTextFolder(ann_file=str(tmp_path / 'out' / CAPTIONS), data_prefix=dict(img=str(root / 'images')))
    assert len(data) == 3 and data.get_data_info(0)['texts'][:2] == TEXTS['a']
    assert len((tmp_path / 'out' / RECORDS).read_text().splitlines()) == 1 + 3
