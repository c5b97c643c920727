"""Exported models say what the models say, at their size alone."""

import json
import re
import runpy
import sys

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.registry import MODELS, init_default_scope
from tiny import CONFIGS

from mmparts.inference.export import Wanted, agree, export, inputs_of
from mmparts.inference.export.agreement import runner
from mmparts.ops.deform_attn.api import ms_deform_attn_reference
from mmparts.ops.deform_attn.gather import ms_deform_attn_gather
from mmparts.tasks import CannotExport, task_of

onnx = pytest.importorskip('onnx')
onnxruntime = pytest.importorskip('onnxruntime')
pytest.importorskip('onnxscript')

ROOT = CONFIGS.parent
SIZE = (64, 96)
DINO = 'dino/dino-4scale_small_1xb8-9e_shapes.py'
BUSI, HIPPOCAMPUS = 'u_net/u-net_same-small_1xb4-40e_busi.py', 'u_net/u-net_3d-small_1xb2-26e_hippocampus.py'
CELLS, CLIP = 'vit/vit_small_1xb32-40e_bccd-crops.py', 'clip/clip_small_1xb64-4e_shapes.py'
MASK_DINO = 'mask_dino/mask-dino_small_1xb8-9e_shapes-instance.py'
FAMILIES = [
    'detr/detr_small_1xb8-9e_shapes.py',
    'detr/detr-masks_small_1xb8-9e_shapes-instance.py',
    'deformable_detr/deformable-detr-refine-twostage_small_1xb8-9e_shapes.py',
    'dab_detr/dab-detr_small_1xb8-9e_shapes.py',
    'dn_detr/dn-detr_small_1xb8-9e_shapes.py',
    'smca_detr/smca-detr-multiscale_small_1xb8-9e_shapes.py',
    'cell_detr/cell-detr_small_1xb8-9e_shapes-instance.py',
    'h_detr/h-deformable-detr_small_1xb8-9e_shapes.py',
    'co_detr/co-dino-4scale_small_1xb8-9e_shapes.py',
    'swin/dino-4scale_swin-small_2xb4-7e_shapes.py',
    'intern_image/dino-4scale_intern-image-small_2xb4-7e_shapes.py',
    'swin_v2/swin-v2_small_1xb32-40e_bccd-crops.py',
    'swin_unet/swin-unet_small_1xb8-40e_phantoms.py',
    'swin_unetr/swin-unetr_small_1xb2-40e_phantoms.py',
    'unetr/unetr_small_1xb2-40e_phantoms.py',
]


def graph_of(name: str, post: bool = False, **others):
    """A tiny model of a config with random weights, of one layer, as a graph."""
    cfg = Config.fromfile(CONFIGS / name)
    init_default_scope(cfg.get('default_scope', 'mmdet'))
    task = task_of(cfg)
    tiny = task.tiny(cfg)
    if 'layers' not in others and 'decoder' in tiny and 'num_queries' in tiny:
        tiny.decoder.num_layers = 1
    torch.manual_seed(0)
    model = MODELS.build(tiny)
    for parameter in model.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    graph = task.graph(model, post, **others)
    return graph, tuple(task.sizes(model)[0])


def agrees(graph, path, batch: int = 1, size=SIZE, most: float = 1e-3) -> None:
    found = agree(graph, path, graph.examples(batch, size))
    assert found.differences and max(found.differences.values()) < most, str(found)
    if 'scores' in graph.outputs and found.objects:
        assert found.objects[0] == found.objects[1]


def test_gathers_are_the_definition():
    random = torch.Generator().manual_seed(0)
    shapes = ((5, 7), (3, 4))
    value = torch.randn(2, 47, 3, 8, generator=random)
    locations = torch.rand(2, 9, 3, 2, 4, 2, generator=random) * 1.6 - 0.3  # also outside
    locations[0, 0, 0] = 1e6  # far
    weights = torch.rand(2, 9, 3, 2, 4, generator=random)
    expected = ms_deform_attn_reference(value, shapes, locations, weights)
    torch.testing.assert_close(ms_deform_attn_gather(value, shapes, locations, weights), expected, atol=1e-5, rtol=1e-5)


@pytest.fixture(scope='module')
def dino(tmp_path_factory):
    """A detector with its post-processing, and its file."""
    graph, _ = graph_of(DINO, post=True)
    path = str(tmp_path_factory.mktemp('dino') / 'model.onnx')
    export(graph, path, Wanted(SIZE, classes=list('abcdef')))
    return graph, path


def test_a_detector_agrees_at_its_size_alone(dino):
    graph, path = dino
    agrees(graph, path)
    for size, batch in (((96, 64), 1), ((64, 128), 1), (SIZE, 2)):
        with pytest.raises(Exception, match='[Ii]nvalid dimensions'):
            runner(path)(*graph.examples(batch, size))


def test_its_file_holds_no_operator_of_ours_and_no_grid_sample(dino):
    made = onnx.load(dino[1])
    assert not {node.op_type for node in made.graph.node} & {'GridSample'}
    assert {node.domain for node in made.graph.node} <= {'', 'ai.onnx'} and not made.functions
    assert made.opset_import[0].version >= 17


def test_results_are_those_of_predict(dino):
    graph, path = dino
    (images,) = graph.examples(1, SIZE)
    boxes, scores, labels = runner(path)(images)
    sample = task_of(graph.model).sample(metainfo=dict(ori_shape=SIZE, img_shape=SIZE, scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        (result,) = graph.model.test_step(dict(inputs=[images[0].byte()], data_samples=[sample]))
    expected = result.pred_instances
    np.testing.assert_allclose(scores[0], expected.scores.numpy(), atol=1e-4)
    np.testing.assert_allclose(boxes[0][:20], expected.bboxes.numpy()[:20], atol=0.05)
    assert (labels[0][:20] == expected.labels.numpy()[:20]).all()


def test_the_example_of_the_docs_runs_with_onnxruntime_and_opencv_alone(dino, tmp_path, monkeypatch, capsys):
    (source,) = re.findall(r'```python\n(.*?)```', (ROOT / 'docs/guide/export.md').read_text(), re.DOTALL)
    assert set(re.findall(r'^(?:import|from) (\w+)', source, re.MULTILINE)) == {
        *('json', 'sys', 'cv2', 'numpy', 'onnxruntime')
    }
    assert len(source.splitlines()) <= 30
    image = np.random.default_rng(0).integers(255, size=(120, 180, 3)).astype(np.uint8)
    cv2.imwrite(str(tmp_path / 'in.png'), image)
    (tmp_path / 'detect.py').write_text(source.replace('0.3', '0.0'))  # random weights are sure of nothing
    monkeypatch.setattr(sys, 'argv', ['detect.py', dino[1], str(tmp_path / 'in.png'), str(tmp_path / 'out.png')])
    runpy.run_path(str(tmp_path / 'detect.py'))
    assert cv2.imread(str(tmp_path / 'out.png')).shape == (120, 180, 3)
    graph, lines = dino[0], capsys.readouterr().out.splitlines()
    with torch.no_grad():
        boxes, scores, labels = graph(*inputs_of(graph, str(tmp_path / 'in.png'), SIZE))
    name, score, left, *_ = lines[0].split()
    assert len(lines) == len(scores[0]) and name == 'abcdef'[labels[0, 0]]
    assert abs(float(score) - scores[0, 0]) < 0.01 and abs(float(left) - boxes[0, 0, 0] * 180 / SIZE[1]) < 2


def test_a_classifier_takes_any_batch(tmp_path):
    graph, size = graph_of(CELLS, post=True)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(size, dynamic=frozenset(['batch'])))
    for batch in (1, 3):
        agrees(graph, path, batch, size)
    with pytest.raises(Exception, match='[Ii]nvalid dimensions'):
        runner(path)(torch.zeros(1, 3, size[0] * 2, size[1]))


@pytest.mark.parametrize(
    'name',
    [
        FAMILIES[0],
        pytest.param(DINO, marks=pytest.mark.long),
        pytest.param(FAMILIES[2], marks=pytest.mark.long),
        pytest.param(FAMILIES[3], marks=pytest.mark.long),
        pytest.param(FAMILIES[7], marks=pytest.mark.long),
    ],
)
def test_a_detector_takes_any_batch_of_its_size(name, tmp_path):
    graph, _ = graph_of(name)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(SIZE, dynamic=frozenset(['batch'])))
    for batch in (1, 3):
        agrees(graph, path, batch)
    with pytest.raises(Exception, match='[Ii]nvalid dimensions'):
        runner(path)(*graph.examples(1, SIZE[::-1]))


def test_a_volume(tmp_path):
    graph, size = graph_of(HIPPOCAMPUS)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(size))
    agrees(graph, path, size=size)


def test_what_cannot_be_is_refused(tmp_path):
    graph, _ = graph_of(DINO)
    for name, wanted, said in (
        ('model.txt', Wanted(SIZE), 'the name must end with'),
        ('model.onnx', Wanted(SIZE, opset=11), '17'),
        ('model.pt2', Wanted(SIZE, half=True), 'half precision is of ONNX files'),
    ):
        with pytest.raises(CannotExport, match=said):
            export(graph, str(tmp_path / name), wanted)
    other, _ = graph_of(FAMILIES[0])
    whole = other.preprocessor.forward
    other.preprocessor.forward = lambda data, training: dict(inputs=2 * whole(data, training)['inputs'])
    with pytest.raises(CannotExport, match='DetDataPreprocessor does more with an image than a graph can hold'):
        other.check(SIZE)
    graph.preprocessor.pad_size_divisor = 32
    with pytest.raises(CannotExport, match='60x90 is not a multiple of 32x32, to which the model pads; export 64x96'):
        graph.check((60, 90))
    with pytest.raises(CannotExport, match='no tower'):
        graph_of(CLIP, tower='sound')


def test_a_file_says_its_classes_and_sizes(dino):
    meta = onnxruntime.InferenceSession(dino[1]).get_modelmeta().custom_metadata_map
    assert json.loads(meta['classes']) == list('abcdef') and json.loads(meta['size']) == list(SIZE)


@pytest.mark.long
@pytest.mark.parametrize('name', FAMILIES)
def test_the_other_families_agree(name, tmp_path):
    graph, size = graph_of(name)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(size))
    agrees(graph, path, size=size)
    assert {node.domain for node in onnx.load(path).graph.node} <= {'', 'ai.onnx'}


@pytest.mark.long
def test_masks_are_those_of_predict(tmp_path):
    graph, _ = graph_of(MASK_DINO, post=True)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(SIZE))
    (images,) = graph.examples(1, SIZE)
    boxes, scores, labels, masks = runner(path)(images)
    sample = task_of(graph.model).sample(metainfo=dict(ori_shape=SIZE, img_shape=SIZE, scale_factor=(1.0, 1.0)))
    with torch.no_grad():
        (result,) = graph.model.test_step(dict(inputs=[images[0].byte()], data_samples=[sample]))
    expected = result.pred_instances
    np.testing.assert_allclose(scores[0], expected.scores.numpy(), atol=1e-4)
    assert (masks[0][:10] == expected.masks.numpy()[:10]).mean() > 0.999 and masks.shape[2:] == SIZE


@pytest.mark.long
@pytest.mark.parametrize('tower', ['image', 'text'])
def test_towers(tower, tmp_path):
    graph, size = graph_of(CLIP, tower=tower)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(size))
    agrees(graph, path, size=size)


@pytest.mark.long
@pytest.mark.parametrize('name', [FAMILIES[0], DINO])
def test_half_precision(name, tmp_path):
    graph, _ = graph_of(name)
    whole, half = str(tmp_path / 'whole.onnx'), str(tmp_path / 'half.onnx')
    export(graph, half, Wanted(SIZE, half=True))
    export(graph, whole, Wanted(SIZE))
    agrees(graph, half, most=3e-2)
    assert (tmp_path / 'half.onnx').stat().st_size < 0.8 * (tmp_path / 'whole.onnx').stat().st_size


@pytest.mark.long
def test_programs_of_torch(tmp_path):
    graph, path = graph_of(DINO)[0], str(tmp_path / 'model.pt2')
    export(graph, path, Wanted(SIZE))
    agrees(graph, path)
    with pytest.raises(Exception, match='(?i)size|shape|guard'):
        runner(path)(*graph.examples(1, (96, 64)))


@pytest.mark.long
def test_a_segmentor_of_any_size_refuses_what_it_cannot_take(tmp_path):
    graph, size = graph_of(BUSI)
    path = str(tmp_path / 'model.onnx')
    export(graph, path, Wanted(size, dynamic=frozenset(['batch', 'size'])))
    agrees(graph, path, 3, (128, 96))
    with pytest.raises(Exception, match='(?i)reshape'):
        runner(path)(*graph.examples(1, (72, 96)))
