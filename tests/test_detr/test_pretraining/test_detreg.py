"""DETReg: the loss of embeddings, a step of pre-training, counts, fine-tuning."""

import pytest
import tiny
import torch
from mmengine.config import Config
from torch import nn

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.detr.pretraining.detector import Embeddings, pooled
from mmparts.detr.pretraining.detreg import EmbeddingTerm
from mmparts.detr.structures import Matches, PredictionSet, Targets
from mmparts.engine.initialisation.fine_tune import FineTuneHook

FOLDER = tiny.CONFIGS / 'detreg'


def predictions(hidden: torch.Tensor, descriptors) -> PredictionSet:
    samples = tiny.samples(counts=[len(each) for each in descriptors])
    for sample, each in zip(samples, descriptors):
        sample.gt_instances.descriptors = torch.tensor(each).reshape(-1, hidden.shape[-1])
    return tiny.prediction_set(
        torch.zeros(*hidden.shape[:3], 1),
        torch.zeros(*hidden.shape[:3], 4),
        Targets.from_samples(samples),
        embeddings=Embeddings(hidden, nn.Identity()),
    )


def test_embedding_loss_in_closed_form():
    """The mean over two matched queries and two channels of the last layer, lengths counting."""
    hidden = torch.full((2, 2, 3, 2), 9.0)
    hidden[1, 0, 2], hidden[1, 1, 0] = torch.tensor([1.0, 2.0]), torch.tensor([0.0, -3.0])
    index = torch.tensor([[0, 1, 1], [0, 0, 1], [1, 2, 0], [0, 0, 1]])
    found = EmbeddingTerm(weight=2.0)(
        predictions(hidden, [[[1.0, 5.0]], [[4.0, 0.0]]]), Matches(*index), torch.tensor(7.0)
    )
    torch.testing.assert_close(found, torch.tensor([2 * (0 + 3 + 4 + 3) / 4]))


def test_embedding_loss_without_objects_is_zero_and_in_the_graph():
    hidden = torch.ones(2, 1, 3, 2, requires_grad=True)
    none = torch.zeros(4, 0, dtype=torch.long)
    found = EmbeddingTerm()(predictions(hidden, [[]]), Matches(*none), torch.tensor(1.0))
    assert found.tolist() == [0.0] and found.requires_grad


@pytest.mark.parametrize('counts', [(3, 2), (4, 0), (0, 0)])
@pytest.mark.parametrize(
    'name',
    [
        'detreg-pretrain-deformable_r50_8xb24-5e_imagenet.py',
        'detreg-pretrain-detr_r50_8xb24-60e_imagenet.py',
        'detreg-pretrain-deformable_small_1xb8-9e_shapes.py',
    ],
)
def test_pre_training_step(name, counts):
    model = tiny.build(tiny.tiny(Config.fromfile(FOLDER / name))).train()
    data = tiny.batch(model, counts=counts)
    for sample, count in zip(data['data_samples'], counts):
        sample.gt_instances.patches = torch.randint(256, (count, 3, 32, 32), dtype=torch.uint8)
    losses = model(**data, mode='loss')
    tiny.total(losses).backward()
    assert [key for key in losses if 'embed' in key] == ['loss_embed'] and losses['loss_embed'].isfinite()
    assert not tiny.without_gradient(model)
    assert all(each.grad is None and not each.requires_grad for each in model.backbone.parameters())

    model.eval()
    with torch.no_grad():
        model(**tiny.batch(model), mode='predict')  # which needs no patches


def test_target_is_the_mean_of_the_second_stage():
    model = tiny.build(tiny.tiny(Config.fromfile(FOLDER / 'detreg-pretrain-detr_r50_8xb24-60e_imagenet.py'))).eval()
    patches = torch.randint(256, (2, 3, 64, 64), dtype=torch.uint8)
    images = (patches[:, [2, 1, 0]].float() - model.data_preprocessor.mean) / model.data_preprocessor.std
    net = model.backbone
    with torch.no_grad():
        feature = net.layer2(net.layer1(net.maxpool(net.relu(net.norm1(net.conv1(images))))))
        torch.testing.assert_close(model.describe(patches), feature.mean((2, 3)))


def test_descriptors_of_halves_are_means_in_float32():
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3)).bfloat16()
    images = torch.randn(2, 3, 32, 32).bfloat16()
    found = pooled(backbone, '0', images)
    assert found.dtype == torch.float32 and found.equal(backbone(images).float().mean((2, 3)))


@pytest.mark.parametrize(
    ('name', 'total', 'trainable'),
    [
        ('detreg-pretrain-deformable_r50_8xb24-5e_imagenet.py', 40_267_041, 16_812_129),
        ('detreg-pretrain-deformable_r50_8xb24-50e_coco.py', 40_267_041, 16_812_129),
        ('detreg-pretrain-detr_r50_8xb24-60e_imagenet.py', 41_722_656, 41_722_656 - 23_454_912),
        ('detreg-deformable_r50_16xb2-50e_coco.py', 40_069_665, 40_069_665 - 222_400),
        ('detreg-detr_r50_8xb4-300e_coco.py', 41_525_280, 41_525_280 - 222_400),
    ],
)
def test_counts(name, total, trainable):
    cfg = Config.fromfile(FOLDER / name)
    cfg.model.num_classes = 91
    found = Parameters.of(build_on_meta(cfg))
    assert (found.as_papers_count, found.trainable) == (total, trainable)


def test_fine_tuning_takes_all_but_classes_and_embedding():
    trained = tiny.build(tiny.tiny(Config.fromfile(FOLDER / 'detreg-pretrain-deformable_small_1xb8-9e_shapes.py')), 1)
    cfg = Config.fromfile(FOLDER / 'detreg-deformable_small_1xb8-9e_shapes.py')
    model = tiny.build(tiny.tiny(cfg), 2)
    checkpoint = dict(state_dict=trained.state_dict())
    runner = type('Runner', (), dict(model=model, _resume=False))
    FineTuneHook(cfg.default_hooks.fine_tune.leave_out).after_load_checkpoint(runner, checkpoint)
    assert set(model.state_dict()) - set(checkpoint['state_dict']) == {
        'head.class_branches.0.weight',
        'head.class_branches.0.bias',
    }
    assert set(checkpoint['state_dict']) <= set(model.state_dict())
