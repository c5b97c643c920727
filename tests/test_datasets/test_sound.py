"""Sounds with texts: files, rates, spoken digits, and what is refused with file and item."""

import json
from pathlib import Path

import numpy as np
import pytest
from scipy.io import wavfile

from mmparts.datasets import (
    BadAnnotations,
    DrawDigit,
    LabelledSounds,
    LoadSound,
    PackMultimodal,
    SoundTexts,
    SpokenDigits,
)

DIGITS = Path(__file__).parents[3] / 'shared/data/fsdd_spoken_digits'


def test_sound_of_another_rate_is_refused_or_resampled(tmp_path):
    from scipy.io import wavfile

    path = str(tmp_path / 'a.wav')
    wavfile.write(path, 8000, (20000 * np.sin(np.arange(4000) / 5)).astype(np.int16))
    with pytest.raises(ValueError, match='a.wav has 8000 samples a second, the model takes 16000'):
        LoadSound(16000)(dict(audio_path=path))
    found = LoadSound(16000, resample=True)(dict(audio_path=path))['audio']
    assert found.shape == (8000,) and found.dtype == np.float32 and 0.5 < np.abs(found).max() < 0.7
    same = LoadSound(8000)(dict(audio_path=path))['audio']
    np.testing.assert_allclose(found[::2][100:-100], same[100:-100], atol=0.02)
    short = LoadSound(8000, most=0.25)(dict(audio_path=path))['audio']
    assert len(short) == 2000
    (tmp_path / 'b.wav').write_bytes(b'RIFF')
    with pytest.raises(ValueError, match='b.wav is no WAV file'):
        LoadSound(8000)(dict(audio_path=str(tmp_path / 'b.wav')))


def test_channels_and_types_become_shares(tmp_path):
    path = str(tmp_path / 'a.wav')
    for kind, low, high in ((np.uint8, 0, 255), (np.int16, -(2**15), 2**15 - 1), (np.float32, -1, 1)):
        wavfile.write(path, 8000, np.array([[low, low], [high, high], [low, high]], kind))
        found = LoadSound(8000)(dict(audio_path=path))['audio']
        np.testing.assert_allclose(found, [-1, 1, 0], atol=0.01)


@pytest.mark.parametrize(
    ('entries', 'said'),
    [
        ([dict(audio='a.wav', text=' . ')], r"\[0\]: the texts of a.wav are \[' . '\]"),
        ([dict(text='a bell')], r"\[0\] has no 'audio'"),
        ([dict(audio='a.wav', text='a bell')] * 2, r'\[1\]: a.wav came before'),
        ({}, 'holds no list of sounds'),
    ],
)
def test_items_that_are_wrong_are_named(tmp_path, entries, said):
    (tmp_path / 'sounds.json').write_text(json.dumps(entries))
    with pytest.raises(BadAnnotations, match=said):
        len(SoundTexts(ann_file='sounds.json', data_root=str(tmp_path)))


def test_sounds_and_their_texts(tmp_path):
    (tmp_path / 'sounds.json').write_text(json.dumps([dict(audio='a.wav', texts=['a bell', 'ringing'])]))
    item = SoundTexts(ann_file='sounds.json', data_root=str(tmp_path), data_prefix=dict(audio='wavs')).get_data_info(0)
    assert item['audio_path'] == str(tmp_path / 'wavs/a.wav') and item['texts'] == ['a bell', 'ringing']


def test_spoken_digits_come_with_their_name_and_an_image(tmp_path):
    for name in ('3_ann_7', '3_ann_5', '9_bob_7', 'noise'):
        wavfile.write(tmp_path / f'{name}.wav', 8000, np.zeros(800, np.int16))
    pipeline = [LoadSound(8000), DrawDigit(64, fixed=True), PackMultimodal(texts='first', keys=('audio',))]
    data = SpokenDigits(data_root=str(tmp_path), takes=(7,), test_mode=True)
    items = [data.get_data_info(index) for index in range(len(data))]
    assert [(item['img_id'], item['texts']) for item in items] == [(3, ['three']), (9, ['nine'])]
    packed = []
    for item in (items[0], items[0], items[1]):
        for step in pipeline:
            item = step(item)
        packed.append(item['inputs'])
    assert packed[0]['audio'].shape == (800,) and packed[0]['image'].shape == (3, 64, 64)
    assert packed[0]['image'].equal(packed[1]['image']) and not packed[0]['image'].equal(packed[2]['image'])
    with pytest.raises(FileNotFoundError, match='no recording of takes 1, 2'):
        len(SpokenDigits(data_root=str(tmp_path), takes=(1, 2)))


@pytest.mark.skipif(not DIGITS.is_dir(), reason='the recordings are not there')
def test_the_real_recordings_are_read():
    train, val = (SpokenDigits(data_root=str(DIGITS), takes=takes) for takes in ((5, 6), (7,)))
    assert (len(train), len(val)) == (80, 40)
    sound = LoadSound(8000, most=1.0)(dict(val.get_data_info(0)))['audio']
    assert 800 < len(sound) <= 8000 and 0.01 < np.abs(sound).max() <= 1


def table(folder, *lines, **options):
    (folder / 'sounds.csv').write_text(''.join(f'{line}\n' for line in lines))
    for name in ('a', 'b', 'c_000007'):
        wavfile.write(folder / f'{name}.wav', 16000, np.zeros(800, np.int16))
    return LabelledSounds(ann_file='sounds.csv', data_root=str(folder), data_prefix=dict(audio=''), **options)


def test_sounds_with_classes_of_a_table(tmp_path):
    """ESC-50's form: the first line names the columns; classes by their names, underscores are spaces."""
    lines = ['filename,fold,category', 'a.wav,1,door_knock', 'b.wav,2,cat']
    found = table(tmp_path, *lines)
    assert found.metainfo['classes'] == ('cat', 'door knock')
    assert [found.get_data_info(index)['gt_label'] for index in (0, 1)] == [1, 0]
    part = table(tmp_path, *lines, where=dict(fold=[1]))
    assert len(part) == 1 and part.get_data_info(0)['gt_label'] == 1, 'as in the whole table'
    one = table(tmp_path, *lines, where=dict(fold=[2]), metainfo=dict(classes=('door knock', 'cat')))
    assert len(one) == 1 and one.get_data_info(0)['gt_label'] == 1
    assert one.get_data_info(0)['audio_path'] == str(tmp_path / 'b.wav')
    with pytest.raises(BadAnnotations, match="'door knock' is none of the 1 classes"):
        table(tmp_path, *lines, metainfo=dict(classes=('cat',)))
    with pytest.raises(BadAnnotations, match=r"sounds.csv:2 has no column 'label'; there are filename, fold, category"):
        table(tmp_path, *lines, label='label')
    with pytest.raises(BadAnnotations, match=r'sounds.csv:3 has fewer columns than'):
        table(tmp_path, lines[0], lines[1], 'b.wav,2')
    with pytest.raises(BadAnnotations, match="no row with {'fold': \\[9\\]}"):
        table(tmp_path, *lines, where=dict(fold=[9]))


def test_sounds_that_are_gone_are_told_or_left_out(tmp_path):
    """VGGSound's form: no first line, the name is made of two columns."""
    form = dict(columns=('video', 'second', 'label'), file='{video}_{second:0>6}.wav', label='label')
    lines = ['c,7,"bells, ringing"', 'd,8,cat']
    found = table(tmp_path, *lines, skip_missing=True, **form)
    assert len(found) == 1 and found.get_data_info(0)['img_id'] == 'c_000007.wav'
    assert found.metainfo['classes'] == ('bells, ringing', 'cat'), 'of the table, whatever is there'
    with pytest.raises(FileNotFoundError, match=r'd_000008.wav, 1 of 2; .*skip_missing=True'):
        table(tmp_path, *lines, **form)
