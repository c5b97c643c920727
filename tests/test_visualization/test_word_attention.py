"""What words look at among regions: the weights of the real forward, and `visualize_attention` on VisualBERT."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from PIL import Image
from tiny import CONFIGS, build, tiny

from mmparts.commands.attention import read_regions_from
from mmparts.inference.detector import Detector
from mmparts.multimodal.states import States, Texts
from mmparts.multimodal.tokenizers import WordTokenizer
from mmparts.multimodal.visual_bert.towers import Regions
from mmparts.structures import MultimodalSample
from mmparts.visualization.word_attention import StreamWatch, WordLooks, looking_most, rows_of, stream_of

SMALL = 'visual_bert/visual-bert_small_1xb32-8e_shapes.py'


@pytest.fixture(scope='module')
def model():
    """The small config at its own size, every weight drawn large, so that attention is far from even."""
    built = build(Config.fromfile(CONFIGS / SMALL).model).eval()
    for parameter in built.fusion.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return built


def batch(model, regions=(3, 5)):
    """Two texts, the first one the shorter, with so many regions of each."""
    texts = model.data_preprocessor.inputs['text'](['a red ring', 'one blue star on grass .'], 'cpu')
    random = torch.Generator().manual_seed(0)
    keep = torch.arange(max(regions)) < torch.tensor(regions)[:, None]
    found = Regions(torch.randn(2, max(regions), 64, generator=random), keep)
    samples = [MultimodalSample(metainfo=dict(img_id=index)) for index in range(2)]
    return dict(text=texts, regions=found), samples


def by_hand(attention, x, bias):
    """Attention B heads N N and what comes out of it, without the module's own methods."""
    query, key, value = F.linear(x, attention.in_proj_weight, attention.in_proj_bias).chunk(3, -1)
    batch, count, width = query.shape
    heads = [
        each.reshape(batch, count, attention.num_heads, width // attention.num_heads).permute(0, 2, 1, 3)
        for each in (query, key, value)
    ]
    scores = torch.einsum('bhqd,bhkd->bhqk', *heads[:2]) / math.sqrt(width // attention.num_heads)
    scores = torch.where(bias, scores, torch.tensor(-torch.inf))
    weights = scores.exp() / scores.exp().sum(-1, keepdim=True)
    mixed = torch.einsum('bhqk,bhkd->bhqd', weights, heads[2]).permute(0, 2, 1, 3).reshape(batch, count, width)
    return weights, F.linear(mixed, attention.out_proj.weight, attention.out_proj.bias)


@torch.no_grad()
def test_weights_are_those_of_the_forward(model):
    inputs, samples = batch(model)
    seen = []
    hooks = [
        layer.attn.part.register_forward_hook(
            lambda part, given, named, out: seen.append((part, given[0], named['bias'], out)), with_kwargs=True
        )
        for layer in model.fusion.layers
    ]
    with StreamWatch(stream_of(model)) as watched:
        model(inputs, samples, mode='predict')
    for hook in hooks:
        hook.remove()
    looks = watched.looks(model.tokenizer)
    assert looks.words == ['a', 'red', 'ring'] and len(seen) == len(looks.layers) == 4
    words, regions = slice(1, 4), slice(inputs['text'].ids.shape[1], None)
    for (part, x, bias, out), found in zip(seen, looks.layers):
        weights, expected = by_hand(part, x, bias)
        torch.testing.assert_close(weights.sum(-1), torch.ones_like(weights[..., 0]))
        torch.testing.assert_close(out, expected, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(found, weights[0][:, words, regions], rtol=1e-4, atol=1e-6)
        assert not found[..., 3:].any(), 'there are three regions; the others are padding'
        assert found.std() > 0.01, 'attention that is even would hide a fault'


@torch.no_grad()
def test_a_watched_forward_says_the_same(model):
    inputs, samples = batch(model)
    before = model(inputs, samples, mode='predict')
    with StreamWatch(stream_of(model)) as watched:
        during = model(inputs, samples, mode='predict')
    after = model(inputs, samples, mode='predict')
    with StreamWatch(stream_of(model)):
        logits = words_of(model, inputs, samples)
    assert logits.equal(words_of(model, inputs, samples))
    assert [one.pred_text for one in before] == [one.pred_text for one in during] == [one.pred_text for one in after]
    assert not any(layer.attn.part._forward_pre_hooks for layer in model.fusion.layers)
    assert watched.weights is not None


def words_of(model, inputs, samples):
    return model.objectives['masked'].words_of(States(model, inputs, samples))


def test_pieces_of_a_word_are_one_row():
    watched = StreamWatch.__new__(StreamWatch)
    watched.names = ('text', 'regions')
    tokenizer = WordTokenizer(('red', 'ring', '.'))
    ids = torch.tensor([[2, 5, 6, 4, 3, 0]])  # red and ring stand for two pieces of one word; then a mask
    watched.texts = Texts(ids, ids > 0, torch.tensor([[-1, 0, 0, 1, -1, -1]]))
    watched.weights = [torch.rand(2, 6, 3)]
    looks = watched.looks(tokenizer)
    assert looks.words == ['red ring', '[MASK]']
    torch.testing.assert_close(looks.layers[0][:, 0], watched.weights[0][:, 1:3].mean(1))
    torch.testing.assert_close(looks.layers[0][:, 1], watched.weights[0][:, 3])
    watched.texts = Texts(ids, ids > 0, torch.full_like(ids, -1))
    with pytest.raises(ValueError, match='no words'):
        watched.looks(tokenizer)
    watched.weights = None
    with pytest.raises(ValueError, match='text and regions in no common pass'):
        watched.looks(tokenizer)


def test_rows_are_layers_or_heads():
    looks = WordLooks(['a', 'b'], [torch.rand(4, 2, 3) for _ in range(3)])
    assert [title for title, _ in rows_of(looks, None)] == ['layer 0', 'layer 1', 'layer 2']
    ((title, mean),) = rows_of(looks, -1)
    assert title == 'layer 2' and mean.equal(looks.layers[2].mean(0))
    rows = rows_of(looks, 1, heads=True)
    assert [title for title, _ in rows][:2] == ['layer 1', 'layer 1, head 0'] and rows[4][1].equal(looks.layers[1][3])
    for wrong in (3, -4):
        with pytest.raises(ValueError, match=f'3 layers; there is no layer {wrong}'):
            rows_of(looks, wrong)


def test_the_words_that_look_most_have_a_panel():
    weights = torch.rand(20, 5) / 5
    weights[[3, 17]] = 1
    found = looking_most(weights)
    assert len(found) == 12 and found == sorted(found) and {3, 17} <= set(found)


@pytest.fixture(scope='module')
def drawn(tmp_path_factory):
    """An image, four regions of it, and the small config's weights."""
    root = tmp_path_factory.mktemp('words')
    random = np.random.default_rng(0)
    (root / 'regions').mkdir()
    Image.fromarray(random.integers(0, 99, (60, 80, 3), np.uint8)).save(root / 'a.png')
    write_regions(root / 'regions/a.png.npz', 64)
    torch.save(build(Config.fromfile(CONFIGS / SMALL).model).state_dict(), root / 'weights.pth')
    return root


def write_regions(path, dims):
    random = np.random.default_rng(1)
    boxes = np.array([[0, 0, 0.5, 0.5], [0.5, 0.5, 1, 1], [0.1, 0.6, 0.4, 0.9], [0.2, 0.2, 0.8, 0.8]], np.float32)
    np.savez(path, features=random.normal(size=(4, dims)).astype(np.float32), boxes=boxes, scores=np.ones(4))


def arguments(root, *more, regions=True):
    where = ('--regions', root / 'regions') if regions else ()
    return (
        *('visualize_attention', root / 'a.png', CONFIGS / SMALL, root / 'weights.pth', *where),
        *('--out', root / 'out.png', '--device', 'cpu', *more),
    )


def test_layers_of_a_small_visual_bert(run_tool, drawn, capsys):
    assert not run_tool(*arguments(drawn, '--text', 'red ring', '--layer', 'all'))
    assert '2 words on 4 regions' in capsys.readouterr().out
    pixels = np.asarray(Image.open(drawn / 'out.png').convert('RGB')).astype(int)
    assert ((pixels[..., 0] - pixels[..., 2]) > 60).mean() > 0.01, 'boxes are drawn'
    assert not run_tool(*arguments(drawn, '--text', 'red ring', '--layer', '1'))
    assert len(pixels) > 2 * Image.open(drawn / 'out.png').size[1], 'four rows against one'


@pytest.mark.parametrize(
    ('more', 'said'),
    [
        ([], 'give one: --text "TEXT"'),
        (['--text', 'a ring', '--layer', '4'], 'the model has 4 layers; there is no layer 4'),
        (['--text', 'a', 'ring'], 'the model reads one text, these are 2; put it into quotes'),
        (['--text', 'a ring', '--kind', 'points'], '--kind: words look at regions here'),
        (['--text', ''], 'the text has no words'),
    ],
)
def test_what_is_wrong_is_said(run_tool, drawn, capsys, more, said):
    assert run_tool(*arguments(drawn, *more))
    assert said in capsys.readouterr().err


def test_a_missing_file_of_regions_is_named(run_tool, drawn, capsys):
    assert run_tool(*arguments(drawn, '--text', 'a ring', regions=False))
    assert 'a.png.npz; `mmparts data regions CONFIG CHECKPOINT IMAGES --out FOLDER`' in capsys.readouterr().err


def test_a_model_without_regions_is_refused(run_tool, drawn, capsys):
    config = 'clip/clip_small_1xb64-4e_shapes.py'
    torch.save(build(Config.fromfile(CONFIGS / config).model).state_dict(), drawn / 'clip.pth')
    args = ('visualize_attention', drawn / 'a.png', CONFIGS / config, drawn / 'clip.pth', '--device', 'cpu')
    assert run_tool(*args, '--layer', 'all')
    assert '--layer all is for models that read words' in capsys.readouterr().err
    assert run_tool(*args, '--text', 'a ring')
    assert '--text is for models that read words and regions in one stream' in capsys.readouterr().err
    assert run_tool(*args)
    assert 'MultimodalModel has no decoder to look at' in capsys.readouterr().err
    assert run_tool(*args, '--regions', drawn / 'regions')
    assert 'the test pipeline of the config reads no regions' in capsys.readouterr().err


CONFIGS_OF_TASKS = [path.name for path in sorted((CONFIGS / 'visual_bert').glob('*_4xb*.py'))]


@pytest.mark.parametrize('name', CONFIGS_OF_TASKS)
def test_every_task(name, drawn, tmp_path):
    """Each config, its model made tiny; four texts where it chooses among them."""
    cfg = Config.fromfile(CONFIGS / 'visual_bert' / name)
    cfg.model = tiny(cfg)
    torch.save(build(cfg.model).state_dict(), tmp_path / 'weights.pth')
    read_regions_from(str(tmp_path), cfg, str(drawn / 'a.png'))
    texts = ['a dog', 'a cat', 'a cow', 'a hen'] if 'answers' in name else ['a dog']
    detector = Detector(cfg, str(tmp_path / 'weights.pth'), texts=texts)
    wide = 6 if 'phrases' in name else 0
    write_regions(tmp_path / 'a.png.npz', cfg.model.towers.regions.dims - wide)
    item = detector.prepare(str(drawn / 'a.png'))
    with StreamWatch(stream_of(detector.model)) as watched:
        detector.predict_batch([item])
    looks = watched.looks(detector.model.tokenizer)
    assert looks.words == ['a', 'dog', *(['[MASK]'] if 'vqa' in name else [])]
    assert all(each.shape[1:] == (len(looks.words), 4) for each in looks.layers)
