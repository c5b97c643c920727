"""Pairs of frames, texts, clips and sets: files, generated ones, and what is wrong with them."""

import cv2
import numpy as np
import pytest

from mmparts.datasets.arrays import (
    FlowCrop,
    FlowPairs,
    LoadClip,
    LoadFlowPair,
    LoadSet,
    LoadText,
    MaskBytes,
    PackClip,
    PackFlow,
    TextFiles,
    make_captions,
    make_clips,
    make_entities,
    make_flow,
    make_glyphs,
    make_points,
    read_flow,
    write_flow,
)
from mmparts.datasets.arrays.make import moving_pair
from mmparts.datasets.arrays.text import MASK, decode, encode


class TestFlowFiles:
    @pytest.mark.parametrize(('name', 'off'), [('a.flo', 0), ('a.png', 1 / 128)])
    def test_round_trip(self, name, off, tmp_path):
        flow = np.random.default_rng(0).normal(0, 20, (5, 7, 2)).astype(np.float32)
        known = np.ones((5, 7), bool)
        known[2, 3] = False
        write_flow(tmp_path / name, flow, known)
        found, where = read_flow(tmp_path / name)
        assert (where == known).all() and np.abs(found - flow)[known].max() <= off + 1e-6

    def test_bytes_of_a_flo_file(self, tmp_path):
        """By hand: PIEH, width, height, then (right, down) row by row."""
        numbers = np.arange(4, dtype='<f4').tobytes()
        (tmp_path / 'a.flo').write_bytes(b'PIEH' + (2).to_bytes(4, 'little') + (1).to_bytes(4, 'little') + numbers)
        assert read_flow(tmp_path / 'a.flo')[0].tolist() == [[[0, 1], [2, 3]]]

    def test_others_are_named(self, tmp_path):
        (tmp_path / 'a.flo').write_bytes(b'PIEH' + bytes(8) + bytes(3))
        with pytest.raises(ValueError, match='should hold 0x0 vectors, 12 bytes, and has 15'):
            read_flow(tmp_path / 'a.flo')
        (tmp_path / 'b.flo').write_bytes(b'no flow at all')
        with pytest.raises(ValueError, match=r'b\.flo is no \.flo file'):
            read_flow(tmp_path / 'b.flo')
        cv2.imwrite(str(tmp_path / 'c.png'), np.zeros((4, 4, 3), np.uint8))
        with pytest.raises(ValueError, match='a PNG of 16 bits'):
            read_flow(tmp_path / 'c.png')


class TestFlowPairs:
    @pytest.fixture
    def folder(self, tmp_path):
        make_flow(tmp_path / 'flow', images=2, val_images=1, size=64)
        return tmp_path / 'flow'

    def test_pairs_have_their_flow(self, folder):
        data = FlowPairs(
            data_root=str(folder),
            data_prefix=dict(img='train', flow='flow_train'),
            pipeline=[LoadFlowPair(), FlowCrop((32, 40)), PackFlow()],
        )
        assert len(data) == 2 and data.get_data_info(0)['img_id'] == '00000/0.png'
        item = data[0]
        assert item['inputs'].shape == (3, 2, 32, 40) and item['data_samples'].gt_flow.shape == (2, 32, 40)

    @pytest.mark.parametrize('seed', range(3))
    def test_generated_flow_is_true(self, seed):
        """The second frame, read where the flow points, is nearer to the first one than read a pixel beside it."""
        (first, second), flow = moving_pair(np.random.default_rng(seed), 96, 72, fastest=6)
        x, y = np.meshgrid(np.arange(96, dtype=np.float32), np.arange(72, dtype=np.float32))

        def off(right: float, down: float) -> float:
            at = (x + flow[..., 0] + np.float32(right), y + flow[..., 1] + np.float32(down))
            return np.median(np.abs(cv2.remap(second, *at, cv2.INTER_LINEAR).astype(float) - first))

        true = off(0, 0)
        assert all(true < off(*other) for other in ((1, 0), (-1, 0), (0, 1), (0, -1)))

    def test_a_mirrored_crop_turns_the_flow(self):
        frames, flow = np.arange(2 * 4 * 6 * 3).reshape(2, 4, 6, 3), np.random.default_rng(0).normal(size=(4, 6, 2))
        results = dict(frames=frames, gt_flow=flow.astype(np.float32), gt_valid=np.ones((4, 6), bool))
        turned = FlowCrop((4, 6), flip=(1.0, 1.0)).transform(dict(results))
        np.testing.assert_allclose(turned['gt_flow'], -flow[::-1, ::-1], rtol=1e-6)
        assert (turned['frames'] == frames[:, ::-1, ::-1]).all()

    def test_what_does_not_fit_is_named(self, folder, tmp_path):
        with pytest.raises(FileNotFoundError, match='no pair of frames'):
            FlowPairs(data_root=str(folder), data_prefix=dict(img='train', flow='flow_val/00000'))
        with pytest.raises(ValueError, match=r'smaller than the crop 100x40'):
            FlowCrop((100, 40)).transform(LoadFlowPair().transform(dict(img_path=str(folder / 'val/00000/0.png'))))
        with pytest.raises(ValueError, match=r'1\.png is the last frame of its folder'):
            LoadFlowPair().transform(dict(img_path=str(folder / 'val/00000/1.png')))
        cv2.imwrite(str(tmp_path / '0.png'), np.zeros((8, 8, 3), np.uint8))
        cv2.imwrite(str(tmp_path / '1.png'), np.zeros((8, 9, 3), np.uint8))
        with pytest.raises(ValueError, match='frames of 8x8 and 8x9 pixels'):
            LoadFlowPair().transform(dict(img_path=str(tmp_path / '0.png')))


class TestTexts:
    def test_ids_are_those_of_the_paper(self):
        assert encode('A\né') == [71, 16, 201, 175]
        assert encode('a[MASK][MASK]b') == [103, MASK, MASK, 104]
        assert decode([1, 71, MASK, 201, 175, 2]) == 'Aé'

    def test_ids_as_transformers(self):
        from parity import reference

        tokenizer = reference('transformers').PerceiverTokenizer()
        text = 'Naïve text,\twith 漢字.'
        assert encode(text) == tokenizer(text, add_special_tokens=False).input_ids

    def test_pieces_of_files(self, tmp_path):
        (tmp_path / 'a.txt').write_text('0123456789')
        (tmp_path / 'b.txt').write_text('xyz')
        data = TextFiles(data_root=str(tmp_path), max_length=4, pipeline=[LoadText(4)])
        assert [decode(data[i]['ids']) for i in range(len(data))] == ['0123', '4567', '89', 'xyz']

    @pytest.mark.parametrize('words', [True, False])
    def test_gaps(self, words):
        ids = np.array(encode('two red circles on the grass ' * 8))
        masked = MaskBytes(0.15, words=words, seed=0).transform(dict(ids=ids.copy(), start=0))
        again = MaskBytes(0.15, words=words, seed=0).transform(dict(ids=ids.copy(), start=0))
        asked = masked['asked']
        assert (again['asked'] == asked).all() and 0.05 < asked.mean() < 0.3
        assert (masked['ids'][asked] == MASK).all() and (masked['gt_ids'] == ids).all()
        letters = decode(ids)
        runs = ''.join('_' if gap else each for gap, each in zip(asked, letters)).split(' ')
        assert not words or all(set(run) == {'_'} or '_' not in run for run in runs)

    def test_a_text_with_gaps_keeps_to_them(self):
        results = MaskBytes(0.5).transform(dict(ids=np.array(encode('a[MASK]c'))))
        assert results['asked'].tolist() == [False, True, False] and 'gt_ids' not in results

    def test_one_letter_is_asked_for(self):
        assert MaskBytes(0.01).transform(dict(ids=np.array(encode('a'))))['asked'].all()

    def test_what_is_wrong_is_named(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r'no text \(\.txt\)'):
            TextFiles(data_root=str(tmp_path))
        (tmp_path / 'a.txt').touch()
        with pytest.raises(ValueError, match='are empty'):
            TextFiles(data_root=str(tmp_path))
        with pytest.raises(ValueError, match='no share between 0 and 1'):
            MaskBytes(1.5)


class TestClips:
    @pytest.fixture
    def path(self, tmp_path):
        make_clips(tmp_path / 'clips', images=1, val_images=1, size=16)
        return str(tmp_path / 'clips/train/00000.npz')

    def test_arrays(self, path):
        item = PackClip(6).transform(LoadClip(4, 1024, rate=8000).transform(dict(img_path=path)))
        inputs = item['inputs']
        assert inputs['image'].shape == (3, 4, 16, 16) and inputs['audio'].shape == (1024,)
        assert not inputs['label'].any() and 0 <= item['data_samples'].gt_label < 6
        assert inputs['audio'].abs().max() <= 1

    def test_what_is_wrong_is_named(self, path, tmp_path):
        with pytest.raises(ValueError, match='sound of 8000 samples a second, the model is for 48000; resample it'):
            LoadClip(4, 1024, rate=48000).transform(dict(img_path=path))
        with pytest.raises(ValueError, match='video of 8, the model takes 16'):
            LoadClip(16, 1024).transform(dict(img_path=path))
        np.savez(tmp_path / 'a.npz', video=np.zeros((4, 8, 8, 3), np.uint8))
        with pytest.raises(ValueError, match=r'a\.npz holds no audio, no rate; it has video'):
            LoadClip(4, 1024).transform(dict(img_path=str(tmp_path / 'a.npz')))
        with pytest.raises(ValueError, match='none of 0 to 0'):
            PackClip(1).transform(dict(LoadClip(4, 1024).transform(dict(img_path=path)), gt_label=3))


class TestSets:
    def test_generated_sets(self, tmp_path):
        make_points(tmp_path / 'points', images=5, val_images=1, size=16)
        make_entities(tmp_path / 'entities', images=3, val_images=1, size=8)
        points = LoadSet().transform(dict(img_path=str(tmp_path / 'points/train/00004.npz')))
        assert points['points'].shape == (16, 3) and points['gt_labels'].shape == (1,)
        units = LoadSet().transform(dict(img_path=str(tmp_path / 'entities/train/00002.npz')))
        places, side, reach = units['points'][:, :2], units['points'][:, 2], units['points'][:, 4]
        for one, label in enumerate(units['gt_labels']):
            reached = [
                np.linalg.norm(places[one] - places[other]) < reach[other] and side[one] != side[other]
                for other in range(len(places))
            ]
            assert any(reached) == label

    def test_what_is_wrong_is_named(self, tmp_path):
        np.savez(tmp_path / 'a.npz', points=np.zeros(3))
        with pytest.raises(ValueError, match=r'a\.npz should hold points, N C'):
            LoadSet().transform(dict(img_path=str(tmp_path / 'a.npz')))
        (tmp_path / 'b.npz').write_bytes(b'nothing')
        with pytest.raises(ValueError, match=r'b\.npz is no set'):
            LoadSet().transform(dict(img_path=str(tmp_path / 'b.npz')))


def test_generated_sets_are_made_once(tmp_path):
    assert make_glyphs(tmp_path / 'glyphs', images=1, val_images=1)
    first = (tmp_path / 'glyphs/train/star/00000.png').read_bytes()
    assert not make_glyphs(tmp_path / 'glyphs', images=1, val_images=1)
    with pytest.raises(FileExistsError, match="holds a set made with .*'images': 1"):
        make_glyphs(tmp_path / 'glyphs', images=2, val_images=1)
    make_glyphs(tmp_path / 'more', images=2, val_images=1)
    assert (tmp_path / 'more/train/star/00000.png').read_bytes() == first, 'an image depends on its number alone'
    with pytest.raises(FileExistsError, match='what no generator wrote'):
        make_captions(tmp_path)
    make_captions(tmp_path / 'captions', images=3, val_images=1)
    assert (tmp_path / 'captions/train.txt').read_text().count('\n') == 3
