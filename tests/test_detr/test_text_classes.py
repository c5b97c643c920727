"""Classes by their names in a detector: cosines, other classes at test time, what is frozen."""

import pytest
import tiny
import torch
from mmengine.config import Config, ConfigDict
from mmengine.registry import DefaultScope

from mmparts.detr.branches import States
from mmparts.detr.text_classes import TextClassBranch
from mmparts.registry import MODELS
from mmparts.tasks import task_of

TEXT = dict(
    type='mmparts.TextEncoder',
    tokenizer=dict(type='mmparts.ByteTokenizer', context_length=32),
    tower=dict(type='mmparts.CausalTextTower', embed_dims=32, num_layers=1, num_heads=2),
    out_dims=16,
)
NAMES = ('red circle', 'blue star', 'green ring')


def branch(**words) -> TextClassBranch:
    torch.manual_seed(0)
    return TextClassBranch(**(dict(text=TEXT, prompts=NAMES, num_classes=3, embed_dims=8, num_layers=2) | words))


def logits(part, states):
    return part(States([states]), [None], None)['logits'][0]


def test_logits_are_scaled_cosines_with_the_texts():
    part, states = branch(template='a {}'), torch.randn(2, 5, 8)
    layer, texts = part.layers[0], part.vocabulary.text([f'a {name}' for name in NAMES])
    image = torch.nn.functional.normalize(layer.project(states), dim=-1)
    torch.testing.assert_close(logits(part, states), layer.log_scale.exp() * image @ texts.T + layer.bias)


def test_other_classes_at_test_time():
    part, states = branch(), torch.randn(2, 5, 8)
    first = logits(part, states)
    part.set_classes((NAMES[2], NAMES[0], 'pink cross', 'white ring'))
    other = logits(part, states)
    assert other.shape == (2, 5, 4)
    torch.testing.assert_close(other[..., :2], first[..., [2, 0]])
    twice = branch(prompts={'red circle': ('a red circle', 'a round red thing'), 'blue star': 'a star', 'x': 'x'})
    vectors = twice.vocabulary.text(('a red circle', 'a round red thing')).mean(0)
    torch.testing.assert_close(twice.vocabulary(states)[0], torch.nn.functional.normalize(vectors, dim=0))


def test_frozen_texts_get_no_gradient_and_follow_loaded_weights():
    part = branch()
    logits(part, torch.randn(1, 2, 8)).sum().backward()
    assert all(parameter.grad is None for parameter in part.vocabulary.parameters())
    assert all(parameter.grad is not None for parameter in part.layers.parameters())
    assert not part.train().vocabulary.text.training
    before = part.vocabulary(torch.zeros(1))
    part.load_state_dict({name: tensor + 0.01 * torch.randn_like(tensor) for name, tensor in part.state_dict().items()})
    assert not torch.equal(before, part.vocabulary(torch.zeros(1)))


def test_wrong_words_are_refused():
    with pytest.raises(ValueError, match='3 prompts for num_classes=4'):
        branch(num_classes=4)
    with pytest.raises(ValueError, match="has no '{}'"):
        branch(template='a thing')


def test_the_text_tower_of_a_checkpoint_is_taken(tmp_path):
    encoder = MODELS.build(TEXT)
    state = {
        name.replace('projection.', 'projections.text.').replace('tower.', 'towers.text.'): tensor + 1
        for name, tensor in encoder.state_dict().items()
    }
    torch.save(dict(state_dict=state), tmp_path / 'clip.pth')
    other = MODELS.build(dict(TEXT, checkpoint=str(tmp_path / 'clip.pth')))
    other.init_weights()
    assert torch.equal(other.projection.weight, encoder.projection.weight + 1)
    torch.save(dict(state_dict={'a': torch.zeros(1)}), tmp_path / 'none.pth')
    with pytest.raises(ValueError, match='none.pth has no text tower'):
        encoder.load(str(tmp_path / 'none.pth'))


@pytest.mark.parametrize('base', ['dino_small', 'mask_dino_small'])
def test_it_is_the_class_branch_of_a_detector(base):
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / f'{base}.py').model
    if base == 'dino_small':
        cfg.queries.class_agnostic = True  # Mask DINO asks the head, which goes by names
    text = dict(type='mmparts.TextClassBranch', text=TEXT)
    cfg.head.setdefault('branches', ConfigDict()).classes = ConfigDict(text)
    cfg.num_classes = 3
    task = task_of(cfg)
    with DefaultScope.overwrite_default_scope('mmdet'):
        torch.manual_seed(0)
        model = MODELS.build(task.tiny(cfg)).train()
    losses = model(**task.batch(model), mode='loss')
    tiny.total(losses).backward()
    branch = model.head.class_branches
    assert all(parameter.grad is not None for parameter in branch.layers.parameters())
    assert model.open_vocabulary
    model.eval().set_classes([f'name {number}' for number in range(7)])
    with torch.no_grad():
        assert model(**task.batch(model), mode='tensor')['logits'].shape[-1] == 7
        samples = model(**task.batch(model), mode='predict')
    assert all(int(sample.pred_instances.labels.max()) < 7 for sample in samples)
