"""Attention pictures: points and maps fall where they belong in the original image, whatever was resized and padded."""

import os
import runpy
import sys

import mmcv
import numpy as np
import pytest
import tiny
import torch
from matplotlib.backends.backend_agg import FigureCanvasAgg
from mmengine.config import Config

from mmparts.detr.selection import BestClassSelection, TopKSelection
from mmparts.visualization.attention import KINDS, Found, Look, Watch, find, on_finest
from mmparts.visualization.attention_figure import Frame, draw_looks
from mmparts.visualization.masked_attention import watch

TOOL = tiny.CONFIGS.parent / 'tools' / 'visualize_attention.py'


def watch_points(offset: tuple[float, float]) -> tuple[Look, Frame]:
    """Every sample of the last decoder layer lies so many cells beside its reference. The first image is 64x96, padded
    below to 128x96, and was shrunk from 128x288."""
    model = tiny.build(tiny.base('deformable_detr_r50')).eval()
    sampling = model.decoder.layers[-1].cross_attn.attn.sampling_offsets
    torch.nn.init.zeros_(sampling.weight)
    sampling.bias.data = torch.tensor(offset).repeat(len(sampling.bias) // 2)
    data = tiny.batch(model, sizes=((64, 96), (128, 64)))
    with Watch(model) as watch:
        model(**data, mode='predict')
    return watch.look(), Frame.of(data['data_samples'][0])


def test_points_without_offset_lie_on_the_reference():
    look, frame = watch_points((0.0, 0.0))
    expected = (look.reference * torch.tensor([288.0, 128.0]))[:, None, None].expand_as(look.points)
    assert torch.allclose(frame.from_padded(look.points), expected, atol=1e-2)
    assert torch.allclose(frame.from_resized(look.reference), expected[:, 0, 0], atol=1e-2)


def test_an_offset_counts_in_cells_of_its_level():
    look, frame = watch_points((1.0, -0.5))
    shift = frame.from_padded(look.points) - frame.from_resized(look.reference)[:, None, None]
    strides = torch.tensor([8.0, 16.0, 32.0]).repeat_interleave(
        4
    )  # four points a level; 96 is no multiple of stride 64
    expected = torch.stack([3 * strides, -0.5 * 2 * strides], dim=-1)  # the image was shrunk by 3 and 2
    assert torch.allclose(shift[:, :, :12], expected.expand(*shift.shape[:2], -1, -1), atol=1e-2)


def test_weights_of_a_query_sum_to_one_in_each_head():
    look, _ = watch_points((0.0, 0.0))
    assert look.weights.shape == look.points.shape[:-1]
    assert torch.allclose(look.weights.sum(-1), torch.ones(look.weights.shape[:2]))


@pytest.mark.parametrize('name', ['detr_r50', 'dab_detr_r50', 'smca_detr_r50'])
def test_a_map_has_the_rows_of_the_tokens_and_nothing_on_padding(name):
    model = tiny.build(tiny.base(name)).eval()
    data = tiny.batch(model, sizes=((64, 96), (128, 160)))
    with Watch(model, layer=0) as watch:
        model(**data, mode='predict')
    maps = watch.look().maps
    assert maps.shape == (20, 8, 4, 5)  # 128x160 at stride 32
    assert torch.allclose(maps.sum((-2, -1)), torch.ones(20, 8))
    assert maps[:, :, 2:].max() == 0 and maps[:, :, :, 3:].max() == 0 and maps[:, :, :2, :3].min() > 0


def test_gaussians_are_drawn_around_the_place_that_a_query_predicts():
    model = tiny.build(tiny.base('smca_detr_r50')).eval()
    for layer in model.decoder.spatial_prior.layers:
        torch.nn.init.zeros_(layer.offset.weight), torch.nn.init.zeros_(layer.offset.bias)
    data = tiny.batch(model, sizes=((320, 192), (384, 480)))
    with Watch(model, layer=0, kind='gaussian') as watch:
        model(**data, mode='predict')
    look = watch.look()
    assert look.maps.shape == (20, 8, 12, 15)
    assert look.maps[:, :, 10:].max() == 0 and look.maps[..., 6:].max() == 0  # padding
    brightest = look.maps[:, 0].flatten(1).argmax(1)
    cells = (
        (look.reference * torch.tensor([6.0, 10.0])).round().clamp(max=torch.tensor([5.0, 9.0]))
    )  # 192x320 at stride 32
    assert torch.stack([brightest % 15, brightest // 15], dim=-1).equal(cells.long())


def test_levels_are_laid_over_the_finest():
    maps = torch.zeros(1, 1, 8 + 2)
    maps[..., 0], maps[..., 9] = 0.1, 0.9  # the first cell of 2x4, the last of 1x2
    coarse = 0.9 * torch.tensor([0.0, 0.25, 0.75, 1.0]).repeat(2, 1)  # the two cells, interpolated
    fine = torch.tensor([[0.1, 0.0, 0.0, 0.0], [0.0, 0.0, 0.0, 0.0]])
    assert on_finest(maps, ((2, 4), (1, 2)), density=False)[0, 0].allclose(fine + coarse)
    assert on_finest(maps, ((2, 4), (1, 2)), density=True)[0, 0].allclose(fine + coarse / 4)


def test_maps_of_several_levels_sum_to_one():
    model = tiny.build(tiny.base('smca_detr_multiscale_r50')).eval()
    data = tiny.batch(model, sizes=((64, 96), (128, 160)))
    with Watch(model) as watch:
        model(**data, mode='predict')
    maps = watch.look().maps
    assert maps.shape == (20, 8, 8, 10) and torch.allclose(maps.sum((-2, -1)), torch.ones(20, 8))


@pytest.mark.parametrize(
    ('name', 'kinds', 'wrong'),
    [
        ('detr_r50', ['attention'], 'gaussian'),
        ('dino_r50', ['points'], 'attention'),
        ('smca_detr_r50', ['attention', 'gaussian'], 'points'),
        ('mask_dino_r50', ['points', 'mask'], 'mask-attention'),
        ('cell_detr_a', ['attention', 'mask-attention', 'mask'], 'points'),
    ],
)
def test_a_kind_that_is_not_offered_is_refused_with_those_that_are(name, kinds, wrong):
    model = tiny.build(tiny.base(name))
    watch = Watch(model)
    assert (watch.kinds, watch.kind) == (kinds, kinds[0])
    with pytest.raises(ValueError, match=f' offer {" and ".join(kinds)}, not {wrong}'):
        Watch(model, kind=wrong)


SIZES = dict(sizes=((64, 96), (128, 160)))


def test_attention_to_gated_levels_sums_to_one():
    model = tiny.build(tiny.base('dn_detr_deformable_encoder_r50')).eval()
    with Watch(model) as watch:
        model(**tiny.batch(model, **SIZES), mode='predict')
    maps = watch.look().maps
    assert maps.shape == (20, 8, 16, 20) and torch.allclose(maps.sum((-2, -1)), torch.ones(20, 8))


def test_attention_that_a_mask_is_made_of():
    """Cell-DETR: one softmax over all heads and places; nothing on padding. Only the last layer's output is read."""
    model = tiny.build(tiny.base('cell_detr_a')).eval()
    seen = []
    model.head.mask_branch.attention.register_forward_pre_hook(lambda module, inputs: seen.append(inputs))
    with Watch(model, kind='mask-attention') as watch:
        model(**tiny.batch(model, **SIZES), mode='predict')
    look = watch.look()
    assert look.maps.shape == (20, 8, 8, 10) and look.masks.shape == (20, 128, 160)
    shares = model.head.mask_branch.attention(*seen[0])[
        0
    ]  # relative to looking everywhere alike: 8 heads, 6 x 4 places
    torch.testing.assert_close(look.maps, shares / (8 * 24))  # heads, places
    assert look.maps[..., 4:, :].max() == 0 and look.maps[..., 6:].max() == 0 and look.maps[..., :4, :6].min() > 0

    with Watch(model, layer=0, kind='mask-attention') as watch:
        model(**tiny.batch(model, **SIZES), mode='predict')
    with pytest.raises(ValueError, match='masks of the last decoder layer only, not of layer -2'):
        watch.look()


def left_half(model: torch.nn.Module):
    """Make every mask of a Mask DINO the left half of the padded input, in every layer."""
    for parameter in model.head.mask_branch.layers[-1].parameters():
        torch.nn.init.zeros_(parameter)
    model.head.mask_branch.layers[-1].bias.data[0] = 3.0

    def pixels(module, inputs, memory):
        memory.pixels = torch.zeros_like(memory.pixels)
        memory.pixels[:, 0] = torch.linspace(1, -1, memory.pixels.shape[-1])

    model.encoder.register_forward_hook(pixels)


@pytest.mark.parametrize('layer', [0, -1])
def test_a_mask_lies_where_it_is_predicted(layer):
    model = tiny.build(tiny.base('mask_dino_r50')).eval()
    left_half(model)
    data = tiny.batch(model, **SIZES)
    with Watch(model, layer, kind='mask') as watch:
        result, _ = model(**data, mode='predict')
    look = watch.look()
    assert look.maps.shape == (20, 1, 32, 40)
    assert look.maps[..., :20].min() > 0.5 and look.maps[..., 20:].max() < 0.5
    assert look.maps[..., 0].min().item() == pytest.approx(torch.tensor(3.0).sigmoid().item())
    # Scores weigh in the masks, as those of the detections do, but over the padded input.
    found = find(look, watch.select)
    assert len(found) == len(result.pred_instances) and 0 < found[0].score < 1
    assert {each.query for each in find(look, watch.select, query=7)} == {7}

    figure = draw_looks(np.zeros((64, 96, 3), np.uint8), Frame((160, 128), (96, 64)), look, found[:1])
    (outline,) = [each for each in figure.axes[0].collections if each.get_paths()]
    assert np.allclose(outline.get_paths()[0].vertices[:, 0], 80, atol=0.1)  # half of 160


def test_each_layer_has_masks_of_its_own():
    """What enters the first decoder layer has some too, which are not drawn."""
    model = tiny.build(tiny.base('mask_dino_r50')).eval()
    data = tiny.batch(model, **SIZES)
    for layer in (0, 1):
        with Watch(model, layer, kind='mask') as watch:
            model(**data, mode='predict')
        masks = watch.predictions['masks']
        expected = torch.einsum('nc,chw->nhw', masks.kernels[1 + layer, 0], masks.pixels[0]).sigmoid()
        torch.testing.assert_close(watch.look().maps[:, 0], expected.detach())


@pytest.mark.parametrize(('layer', 'stride'), [(0, 32), (1, 16), (-1, 8)])
def test_attention_stays_within_the_mask_of_the_layer_before(layer, stride):
    """mmdet's Mask2Former. Where nothing of a mask is left at the layer's size, the query looks everywhere."""
    model = tiny.build(tiny.mask2former()).eval()
    with watch(model, layer, kind='mask-attention') as watched, torch.no_grad():
        model(**tiny.batch(model, **SIZES), mode='predict')
    look = watched.look()
    shape = (128 // stride, 160 // stride)
    before = watched.predictions[1][layer - 1 if layer < 0 else layer][0]  # the first entry precedes the first layer
    inside = torch.nn.functional.interpolate(before[None], shape, mode='bilinear')[0] >= 0
    empty = ~inside.flatten(1).any(1)
    assert look.maps.shape == (20, 8, *shape)
    assert torch.allclose(look.maps.sum((-2, -1)), torch.ones(20, 8))
    assert (look.maps > 0).equal((inside | empty[:, None, None])[:, None].expand(-1, 8, -1, -1))
    assert 0 < inside.float().mean() < 1


def test_masks_of_mask2former():
    model = tiny.build(tiny.mask2former()).eval()
    with watch(model, kind='mask') as watched, torch.no_grad():
        model(**tiny.batch(model, **SIZES), mode='predict')
    look = watched.look()
    assert look.maps[:, 0].equal(look.masks.sigmoid()) and look.maps.shape == (20, 1, 32, 40)
    assert look.boxes is None and len(find(look, watched.select)) == 100


def made_by_hand(column: int) -> Look:
    """One query and head that looks at one cell of the lower row of a 2x4 map."""
    maps = torch.zeros(1, 1, 2, 4)
    maps[0, 0, 1, column] = 1.0
    return Look(torch.zeros(1, 3), torch.tensor([[0.5, 0.2, 0.1, 0.1]]), None, maps=maps)


@pytest.mark.parametrize(('column', 'bright', 'dark'), [(0, (16, 48), (48, 48)), (1, (48, 48), (16, 48))])
def test_a_map_is_drawn_over_the_padded_input(column, bright, dark):
    frame = Frame(padded=(128, 64), resized=(64, 64))  # half of the columns lie on padding
    figure = draw_looks(np.zeros((64, 64, 3), np.uint8), frame, made_by_hand(column), [Found(0, 0, 0.5)])
    canvas = FigureCanvasAgg(figure)
    canvas.draw()
    picture = np.asarray(canvas.buffer_rgba())[..., :3].astype(int)

    def at(x, y):
        left, up = figure.axes[0].transData.transform((x, y))
        return picture[round(picture.shape[0] - up), round(left)].sum()

    assert at(*bright) > 3 * at(*dark)


@pytest.mark.parametrize(('select', 'query', 'label'), [(TopKSelection(3), 2, 1), (BestClassSelection(), 2, 1)])
def test_objects_are_found_with_their_query(select, query, label):
    logits = torch.full((4, 3), -5.0)
    logits[query, label] = 5.0
    look = Look(logits, torch.rand(4, 4), None)
    best = find(look, select)[0]
    assert (best.query, best.label) == (query, label) and best.score > 0.9
    assert {found.query for found in find(look, select, query=1)} == {1}


@pytest.mark.parametrize('layer', [2, -3])
def test_a_layer_that_is_not_there_is_named(layer):
    with pytest.raises(ValueError, match=f'2 decoder layers; there is no layer {layer}'):
        Watch(tiny.build(tiny.base('detr_r50')), layer)


MODELS = {
    name: tiny.base(name)
    for name in ('detr_r50', 'deformable_detr_r50', 'smca_detr_r50', 'mask_dino_r50', 'cell_detr_a', 'detr_masks_r50')
}
MODELS['mask2former'] = tiny.mask2former()


@pytest.fixture(params=MODELS)
def files(request, tmp_path) -> dict[str, str]:
    """Image, config and checkpoint of a tiny detector."""
    model = MODELS[request.param]
    pipeline = [
        dict(type='LoadImageFromFile'),
        dict(type='Resize', scale=(96, 96), keep_ratio=True),
        dict(type='PackDetInputs', meta_keys=('img_path', 'ori_shape', 'img_shape', 'scale_factor')),
    ]
    dataset = dict(type='CocoDataset', metainfo=dict(classes=[f'kind {i}' for i in range(80)]), pipeline=pipeline)
    cfg = Config(dict(model=model, default_scope='mmdet', test_dataloader=dict(dataset=dataset)))
    paths = {
        name: str(tmp_path / file)
        for name, file in dict(
            image='image.png', config='config.py', checkpoint='weights.pth', out='deep/attention.png'
        ).items()
    }
    cfg.dump(paths['config'])
    torch.save(dict(state_dict=tiny.build(model).state_dict()), paths['checkpoint'])
    mmcv.imwrite(np.random.default_rng(0).integers(0, 255, (40, 60, 3), dtype=np.uint8), paths['image'])
    return paths


def run_tool(files: dict[str, str], monkeypatch, *options: str):
    arguments = [str(TOOL), files['image'], files['config'], files['checkpoint'], '--device', 'cpu']
    monkeypatch.setattr(os, 'environ', dict(os.environ))  # what the tool sets ends with the test
    monkeypatch.setattr(sys, 'argv', [*arguments, '--out', files['out'], *options])
    with pytest.raises(SystemExit) as ended:
        runpy.run_path(str(TOOL), run_name='__main__')
    return ended.value.code


def test_the_tool_draws_one_object_large(files, monkeypatch, capsys):
    assert not run_tool(files, monkeypatch)
    assert '; the config offers: ' in capsys.readouterr().out
    picture = mmcv.imread(files['out'])
    assert max(picture.shape[:2]) > 600  # the image has 60 pixels
    assert len(np.unique(picture.reshape(-1, 3), axis=0)) > 1000


def test_the_tool_refuses_what_is_not_there(files, monkeypatch):
    assert 'no query 20' in run_tool(files, monkeypatch, '--query', '20')
    assert 'no detection reaches 1.0' in run_tool(files, monkeypatch, '--score-thr', '1')
    assert 'no detection 1000' in run_tool(files, monkeypatch, '--object', '1000')
    kinds = watch(tiny.build(Config.fromfile(files['config']).model)).kinds
    wrong = next(kind for kind in KINDS if kind not in kinds)
    assert f', not {wrong}' in run_tool(files, monkeypatch, '--kind', wrong)
    for kind in kinds[1:]:
        assert not run_tool(files, monkeypatch, '--kind', kind, '--heads')
