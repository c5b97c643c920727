"""What is done with a trained model: losses of a validation, several views, slim checkpoints, predictions."""

import copy
import json

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.registry import init_default_scope
from mmengine.runner import Runner
from mmengine.structures import BaseDataElement
from pycocotools.coco import COCO

from mmparts.analysis.config_checks.config_origin import lines_of, part
from mmparts.engine.reporting.report import read_record
from mmparts.engine.val_loop import truth_of_file
from mmparts.inference.detector import Detector
from mmparts.registry import DATASETS
from mmparts.tasks import Detection


@pytest.fixture(scope='module')
def cfg(tiny_run, shapes):
    init_default_scope('mmdet')
    (path,) = tiny_run.glob('*.py')
    return Config.fromfile(path)


def test_losses_of_a_validation_stand_among_its_metrics(tiny_run):
    metrics = read_record(str(tiny_run))['metrics']
    terms = {name: value for name, value in metrics.items() if name.startswith('val/')}
    assert {'val/loss', 'val/loss_cls', 'val/loss_bbox', 'val/loss_iou', 'val/dn_loss_cls'} <= set(terms)
    rest = sum(value for name, value in terms.items() if name != 'val/loss')
    assert np.isfinite(terms['val/loss']) and terms['val/loss'] == pytest.approx(rest, rel=1e-3)


def test_truth_is_brought_to_the_input_as_a_training_pipeline_does(cfg):
    test_set = cfg.val_dataloader.dataset
    names = [step['type'] for step in test_set.pipeline]
    resize, load = names.index('Resize'), names.index('LoadAnnotations')
    other = copy.deepcopy(test_set)
    other.pipeline[resize], other.pipeline[load] = other.pipeline[load], other.pipeline[resize]
    other.pipeline[load].scale = test_set.pipeline[resize].scale = (96, 80)
    late, early = DATASETS.build(test_set), DATASETS.build(other)
    assert truth_of_file(late) and not truth_of_file(early)
    for index in range(4):
        one, same = late[index], early[index]['data_samples']
        assert one['data_samples'].scale_factor[0] != 1
        moved = Detection().resized_truth(one['data_samples'], one['inputs'].shape[1:])
        expected = same.gt_instances.bboxes
        torch.testing.assert_close(moved.gt_instances.bboxes, getattr(expected, 'tensor', expected), atol=1e-3, rtol=0)


def test_published_weights_predict_the_same(tiny_run, cfg, run_tool, tmp_path, capsys, shapes):
    whole = tiny_run / 'epoch_2.pth'
    assert not run_tool('publish', whole, tmp_path / 'model.pth')
    (slim,) = tmp_path.glob('model-????????.pth')
    assert slim.stat().st_size < whole.stat().st_size / 2
    assert set(torch.load(slim, weights_only=True)) == {'meta', 'state_dict'}
    image = str(next((shapes / 'val').iterdir()))
    first, second = (next(iter(Detector(cfg, str(path))([image]))).pred_instances for path in (whole, slim))
    assert torch.equal(first.bboxes, second.bboxes) and torch.equal(first.scores, second.scores)
    assert Detector(cfg, str(slim)).classes == Detector(cfg, str(whole)).classes


def test_averaged_weights_are_published(tiny_run, run_tool, tmp_path):
    loaded = torch.load(tiny_run / 'epoch_2.pth', weights_only=True)
    name = next(key for key, value in loaded['state_dict'].items() if value.is_floating_point())
    average = {f'module.{key}': value for key, value in loaded['state_dict'].items()}
    average[f'module.{name}'] = loaded['state_dict'][name] + 1
    torch.save(dict(loaded, ema_state_dict=dict(average, steps=torch.tensor(5))), tmp_path / 'ema.pth')
    assert not run_tool('publish', tmp_path / 'ema.pth', tmp_path / 'out.pth', '--half')
    (slim,) = tmp_path.glob('out-*.pth')
    state = torch.load(slim, weights_only=True)['state_dict']
    assert set(state) == set(loaded['state_dict']) and state[name].dtype == torch.float16
    torch.testing.assert_close(state[name].float(), loaded['state_dict'][name] + 1, atol=1e-2, rtol=1e-2)


def test_predictions_are_coco_and_keep_to_the_threshold_of_the_report(
    tiny_run, cfg, shapes, run_tool, tmp_path, capsys
):
    (config,) = tiny_run.glob('*.py')
    common = (shapes / 'val', config, tiny_run / 'epoch_2.pth', '--out', tmp_path, '--coco')
    assert not run_tool('predict', *common)
    threshold = json.loads((tiny_run / 'report.json').read_text())['threshold']
    records = json.loads((tmp_path / 'predictions.json').read_text())['predictions']
    scores = [score for record in records for score in record['scores']]
    assert min(scores, default=1) >= threshold
    coco = COCO(str(tmp_path / 'coco.json'))
    assert len(coco.imgs) == len(records) == 24 and len(coco.anns) == len(scores)
    assert [one['name'] for one in coco.loadCats(coco.getCatIds())] == list(Detector(cfg, str(common[2])).classes)
    capsys.readouterr()
    assert not run_tool('predict', *common, '--score-thr', 1)
    assert '0 objects (best score 0.' in capsys.readouterr().out


def test_what_nobody_knows_is_not_drawn(tiny_run, cfg, shapes):
    detector = Detector(cfg, str(tiny_run / 'epoch_2.pth'))
    (result,) = detector([str(next((shapes / 'val').iterdir()))])
    image = detector.task.read(result)
    assert detector.task.views(image, result, 'gt', None, 0.0) == []
    ((heading, _),) = detector.task.views(image, result, 'pred', None, 1.0)
    assert heading == f'prediction (none, best score {result.pred_instances.scores.max():.2f})'


def test_a_video_is_predicted_frame_by_frame(tiny_run, cfg, run_tool, tmp_path):
    writer = cv2.VideoWriter(str(tmp_path / 'in.avi'), cv2.VideoWriter_fourcc(*'MJPG'), 10, (64, 48))
    for shade in (40, 120, 200):
        writer.write(np.full((48, 64, 3), shade, np.uint8))
    writer.release()
    (config,) = tiny_run.glob('*.py')
    common = (tmp_path / 'in.avi', config, tiny_run / 'epoch_2.pth', '--out', tmp_path / 'out')
    assert not run_tool('predict', *common)
    records = json.loads((tmp_path / 'out' / 'predictions.json').read_text())['predictions']
    assert [record['frame'] for record in records] == [0, 1, 2] and records[0]['width'] == 64
    video = cv2.VideoCapture(str(tmp_path / 'out' / 'predictions.mp4'))
    assert video.get(cv2.CAP_PROP_FRAME_COUNT) == 3 and video.get(cv2.CAP_PROP_FPS) == 10
    (tmp_path / 'bad.mp4').write_bytes(b'no video')
    assert run_tool('predict', tmp_path / 'bad.mp4', *common[1:]) == 1


def test_views_are_joined_in_a_test(tiny_run, run_tool, tmp_path, capsys):
    (config,) = tiny_run.glob('*.py')
    common = (config, tiny_run / 'epoch_2.pth', '--work-dir', tmp_path / 'work')
    assert not run_tool('test', *common, '--tta', '1', '0.75', '--out', tmp_path / 'views.json')
    records = json.loads((tmp_path / 'views.json').read_text())['predictions']
    assert len(records) == 24 and '"coco/bbox_mAP":' in capsys.readouterr().out
    assert not run_tool('test', *common, '--out', tmp_path / 'plain.json')
    plain = json.loads((tmp_path / 'plain.json').read_text())['predictions']
    assert [one['image'] for one in plain] == [one['image'] for one in records]
    assert plain[0]['scores'] != records[0]['scores']


def test_each_entry_of_a_config_names_its_file(run_tool, capsys):
    name = 'mmparts::dino/dino-4scale_small_2xb4-7e_shapes.py'
    options = ('--cfg-options', 'optim_wrapper.optimizer.weight_decay=0.5')
    assert not run_tool('print_config', name, 'optim_wrapper.optimizer', '--origin', *options)
    lines = capsys.readouterr().out.splitlines()
    said = {line.split(' = ')[0].rpartition('.')[2]: line for line in lines}
    assert said['lr'].endswith('dino-4scale_small_2xb4-7e_shapes.py') and ' 0.002 ' in said['lr']
    assert said['type'].endswith('schedule_small.py') and said['weight_decay'].endswith('# command line')
    assert run_tool('print_config', name, 'model.num_querys') == 1
    assert "did you mean 'num_queries'" in capsys.readouterr().err


def test_parts_of_a_config():
    cfg = Config(dict(model=dict(parts=[dict(width=3)])))
    assert part(cfg, 'model.parts.0.width') == 3
    assert list(lines_of(cfg, 'model')) == ['model.parts.0.width = 3  # unknown']


class Pairs(BaseModel):
    """A model of two modalities, whose loss tells what it was given."""

    def __init__(self):
        super().__init__()
        self.weight = torch.nn.Parameter(torch.ones(()))

    def forward(self, inputs, data_samples, mode):
        if mode == 'loss':
            length = torch.tensor(float(len(inputs['text'][0])))
            image = torch.stack(inputs['image']).mean()
            return dict(loss_image=self.weight * image, loss_text=length, text_accuracy=image / 10, scale=length)
        return data_samples


def test_losses_of_a_validation_of_several_modalities(tmp_path):
    items = [
        dict(inputs=dict(image=torch.full((2,), float(i)), text='ab'), data_samples=BaseDataElement())
        for i in (1, 3, 5)
    ]
    loader = dict(dataset=items, batch_size=2, sampler=dict(type='DefaultSampler', shuffle=False))
    runner = Runner(
        Pairs(),
        str(tmp_path),
        val_dataloader=dict(loader, collate_fn=dict(type='pseudo_collate')),
        val_cfg=dict(type='mmparts.ValidationLoop', loss=True),
        val_evaluator=[],
        experiment_name='pairs',
        log_level='ERROR',
    )
    metrics = runner.val()
    assert metrics['val/loss_image'] == pytest.approx(3) and metrics['val/loss_text'] == pytest.approx(2)
    assert metrics['val/loss'] == pytest.approx(5)  # accuracies are told and no part of it
    assert metrics['val/text_accuracy'] == pytest.approx(0.3) and 'val/scale' not in metrics
