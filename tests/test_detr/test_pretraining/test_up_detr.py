"""UP-DETR: who sees whom, what queries are told, what is trained, and that fine-tuning takes what pre-training made."""

import copy

import pytest
import tiny
import torch
from mmengine.config import Config, ConfigDict
from torch import nn

from mmparts.analysis.complexity import Parameters, build_on_meta
from mmparts.detr.groups import visibility
from mmparts.detr.pretraining.detector import Embeddings
from mmparts.detr.pretraining.pre_norm import PreNormDecoderLayer, PreNormEncoderLayer
from mmparts.detr.pretraining.up_detr import PatchPrompt, ReconstructionTerm
from mmparts.detr.structures import Matches, Memory, QueryGroup, Run, Targets
from mmparts.engine import WeightsDoNotFit
from mmparts.engine.initialisation.fine_tune import FineTuneHook
from mmparts.registry import WEIGHT_LAYOUTS

UP = tiny.CONFIGS / 'up_detr'


def small(name: str, num_patches: int = 5) -> ConfigDict:
    model = tiny.tiny(Config.fromfile(tiny.CONFIGS / name))
    if 'prompt' in model:
        model.prompt.num_patches = num_patches
    return model


def with_patches(data: dict, counts, side: int = 32) -> dict:
    for sample, count in zip(data['data_samples'], counts):
        sample.gt_instances.patches = torch.randint(256, (count, 3, side, side), dtype=torch.uint8)
    return data


def test_each_patch_has_a_block_of_queries():
    group = QueryGroup('match', torch.zeros(1, 6, 4), pos=torch.zeros(1, 6, 4))
    prompt = PatchPrompt(num_patches=3, descriptor_dims=4, embed_dims=4, num_queries=6).eval()
    o, x = True, False
    assert visibility([prompt(group, [torch.randn(3, 4)])]).tolist() == [
        [o, o, x, x, x, x],
        [o, o, x, x, x, x],
        [x, x, o, o, x, x],
        [x, x, o, o, x, x],
        [x, x, x, x, o, o],
        [x, x, x, x, o, o],
    ]
    two = prompt(group, [torch.randn(2, 4)])
    assert two.size == 4 and visibility([two]).shape == (4, 4)
    assert visibility([prompt(group, [torch.randn(1, 4)])]) is None


def test_queries_are_told_their_patch():
    """Interleaved: the first queries belong to the first patch. A masked one is not told, not even the bias."""
    group = QueryGroup('match', torch.zeros(2, 6, 4), pos=torch.randn(2, 6, 4))
    prompt = PatchPrompt(num_patches=2, mask_ratio=0.5, descriptor_dims=8, embed_dims=4, num_queries=6)
    described = [torch.randn(2, 8) for _ in range(2)]
    told = prompt.eval()(group, described).pos - group.pos
    for image, patch, query in ((0, 0, 2), (0, 1, 3), (1, 0, 0), (1, 1, 5)):
        torch.testing.assert_close(told[image, query], prompt.project(described[image][patch]))

    some = prompt.train()(group, described).pos - group.pos
    silent = (some.abs() < 1e-6).all(-1)
    assert silent.any() and not silent.all()
    torch.testing.assert_close(some[~silent], told[~silent])


def test_content_is_told_where_positions_follow_from_references():
    group = QueryGroup('match', torch.zeros(1, 4, 4), reference=torch.rand(1, 4, 4))
    made = PatchPrompt(num_patches=2, descriptor_dims=3, embed_dims=4, num_queries=4).eval()(group, [torch.randn(2, 3)])
    assert made.pos is None and made.content.abs().sum() > 0
    assert torch.equal(made.reference, group.reference)


def test_shuffled_queries_are_all_there():
    group = QueryGroup('match', torch.zeros(1, 6, 1), pos=torch.arange(6.0)[None, :, None])
    prompt = PatchPrompt(num_patches=2, mask_ratio=1.0, shuffle=True, descriptor_dims=3, embed_dims=1, num_queries=6)
    torch.manual_seed(0)
    pos = prompt.train()(group, [torch.randn(2, 3)]).pos[0, :, 0].tolist()
    assert pos != sorted(pos) and sorted(pos) == list(range(6))


def test_prompt_refuses_what_cannot_be_dealt():
    with pytest.raises(ValueError, match='100 queries cannot be dealt to 7 patches'):
        PatchPrompt(num_patches=7)
    prompt = PatchPrompt(num_patches=2, descriptor_dims=3, embed_dims=4, num_queries=4)
    group = QueryGroup('match', torch.zeros(2, 4, 4), pos=torch.zeros(2, 4, 4))
    with pytest.raises(ValueError, match=r'bring \[2, 1\] patches'):
        prompt(group, [torch.randn(2, 3), torch.randn(1, 3)])


def test_reconstruction_in_closed_form():
    """Two unit vectors at an angle have the squared distance 2 - 2 cos; lengths do not matter."""
    samples = tiny.samples(counts=(1, 1))
    for sample, descriptor in zip(samples, ([3.0, 0.0], [0.0, 5.0])):
        sample.gt_instances.descriptors = torch.tensor([descriptor])
    targets = Targets.from_samples(samples)
    hidden = torch.zeros(2, 2, 3, 2)
    hidden[0, 0, 1], hidden[1, 0, 1] = torch.tensor([2.0, 2.0]), torch.tensor([7.0, 0.0])
    hidden[0, 1, 2], hidden[1, 1, 2] = torch.tensor([0.0, 1.0]), torch.tensor([0.0, -1.0])
    index = torch.tensor([[0, 0, 1, 1], [0, 1, 0, 1], [1, 2, 1, 2], [0, 1, 0, 1]])
    predictions = tiny.prediction_set(
        torch.zeros(2, 2, 3, 1), torch.zeros(2, 2, 3, 4), targets, embeddings=Embeddings(hidden, nn.Identity())
    )
    found = ReconstructionTerm(weight=3.0)(predictions, Matches(*index), torch.tensor(2.0))
    torch.testing.assert_close(found, torch.tensor([3 * (2 - 2**0.5) / 2, 3 * 4.0 / 2]))


def test_pre_norm_is_torchs():
    """Without positions, an encoder layer is ``nn.TransformerEncoderLayer``, a decoder layer ``Decoder``."""
    torch.manual_seed(0)
    tokens, content = torch.randn(2, 7, 32), torch.randn(2, 5, 32)
    memory = Memory(tokens, torch.zeros_like(tokens), None, ((1, 7),), torch.ones(2, 1, 2))
    common = dict(nhead=4, dim_feedforward=64, dropout=0.0, batch_first=True, norm_first=True)

    theirs = nn.TransformerEncoderLayer(32, **common)
    ours = PreNormEncoderLayer(32, 4, 64, 0.0, dict(type=nn.ReLU))
    copy_weights(ours, theirs, dict(self_attn='self_attn', norm_attn='norm1', norm_ffn='norm2'))
    torch.testing.assert_close(ours(tokens, memory.pos, memory), theirs(tokens))

    from mmparts.detr.attention import DenseCrossAttention, DenseSelfAttention

    theirs = nn.TransformerDecoderLayer(32, **common)
    ours = PreNormDecoderLayer(
        32, 64, 0.0, dict(type=nn.ReLU), dict(type=DenseSelfAttention), dict(type=DenseCrossAttention), num_heads=4
    )
    copy_weights(
        ours,
        theirs,
        {
            'self_attn': 'self_attn',
            'cross_attn.attn': 'multihead_attn',
            'norm_self': 'norm1',
            'norm_cross': 'norm2',
            'norm_ffn': 'norm3',
        },
    )
    torch.testing.assert_close(
        ours(content, torch.zeros_like(content), None, memory, [Run(5)]), theirs(content, tokens)
    )


def copy_weights(ours: nn.Module, theirs: nn.Module, names: dict):
    for mine, other in {**names, 'ffn.0': 'linear1', 'ffn.3': 'linear2'}.items():
        ours.get_submodule(mine).load_state_dict(theirs.get_submodule(other).state_dict())


@pytest.mark.parametrize(
    'name', ['up_detr/up-detr-pretrain_r50_8xb32-60e_imagenet.py', 'up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py']
)
def test_pre_training_step(name):
    model = tiny.build(small(name)).train()
    assert not model.backbone.training
    frozen = copy.deepcopy(model.backbone.state_dict())
    data = with_patches(tiny.batch(model, counts=(5, 5)), (5, 5))
    losses = model(**data, mode='loss')
    tiny.total(losses).backward()
    assert {'loss_recon', 'd0.loss_recon'} <= set(losses) and all(value.isfinite() for value in losses.values())
    assert not tiny.without_gradient(model)
    assert all(each.grad is None and not each.requires_grad for each in model.backbone.parameters())
    for name, value in model.backbone.state_dict().items():  # nor do norms keep statistics of it
        assert torch.equal(value, frozen[name]), name


def test_norms_take_statistics_of_the_pictures_where_asked():
    """No weight is trained; at test nothing changes."""
    cfg = small('up_detr/up-detr-pretrain_small_1xb8-30e_bccd.py')
    assert cfg.adapt_norms
    model = tiny.build(cfg).train()
    before = copy.deepcopy(model.backbone.state_dict())
    data = with_patches(tiny.batch(model, counts=(5, 5)), (5, 5))
    tiny.total(model(**data, mode='loss')).backward()
    assert all(each.grad is None for each in model.backbone.parameters())
    after = copy.deepcopy(model.backbone.state_dict())
    for name in before:
        assert torch.equal(before[name], after[name]) != name.endswith(('running_mean', 'running_var', 'tracked')), name

    with torch.no_grad():
        model.eval()(**data, mode='tensor')
    assert all(torch.equal(value, after[name]) for name, value in model.backbone.state_dict().items())


def test_descriptors_are_means_of_the_normalised_patch():
    model = tiny.build(small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py')).eval()
    patches = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    images = (patches[:, [2, 1, 0]].float() - model.data_preprocessor.mean) / model.data_preprocessor.std
    with torch.no_grad():
        expected = model.backbone(images)[-1].mean((2, 3))
    torch.testing.assert_close(model.describe(patches), expected)


def test_patches_and_images_are_alone_in_a_batch():
    """Each image's predictions are its own; a patch less leaves those of the others as they were."""
    model = tiny.build(small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py')).eval()
    data = with_patches(tiny.batch(model, sizes=((64, 64), (64, 64)), counts=(5, 5)), (5, 5))
    with torch.no_grad():
        both = model(**data, mode='tensor')
        one = model(data['inputs'][:1], data['data_samples'][:1], mode='tensor')
        first = data['data_samples'][0].gt_instances[:3]
        data['data_samples'][0].gt_instances = first
        fewer = model(data['inputs'][:1], data['data_samples'][:1], mode='tensor')
    torch.testing.assert_close(both['boxes'][:, :1], one['boxes'])
    torch.testing.assert_close(one['boxes'][:, :, :12], fewer['boxes'])


def test_without_patches_says_what_makes_them():
    model = tiny.build(small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py'))
    data = tiny.batch(model)
    for sample in data['data_samples']:
        del sample.gt_instances.patches
    with pytest.raises(ValueError, match=r'images \[0, 1\] of 2 come without patches'):
        model(**data, mode='loss')
    cfg = small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py')
    cfg.stage = 'layer5'
    with pytest.raises(ValueError, match='ResNet has no such module; it has conv1'):
        tiny.build(cfg)


@pytest.mark.parametrize(
    ('name', 'total', 'trainable'),
    [
        ('up-detr-pretrain_r50_8xb32-60e_imagenet.py', 42_619_079, 19_164_167),
        ('up-detr_r50_8xb2-150e_coco.py', 41_525_280, 41_302_880),
        ('up-detr_r50_8xb2-300e_coco.py', 41_525_280, 41_302_880),
    ],
)
def test_counts(name, total, trainable):
    cfg = Config.fromfile(UP / name)
    if 'coco' in name:
        cfg.model.num_classes = 91
    found = Parameters.of(build_on_meta(cfg))
    assert (found.as_papers_count, found.trainable) == (total, trainable)


class Runner:
    """What the hook asks a runner for."""

    def __init__(self, model, resume=False):
        self.model, self._resume = model, resume


def test_fine_tuning_takes_the_detector_and_says_what_it_leaves(monkeypatch):
    lines = []
    monkeypatch.setattr('mmparts.engine.initialisation.fine_tune.print_log', lambda text, *_: lines.append(text))
    trained = tiny.build(small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py'), seed=1)
    cfg = Config.fromfile(UP / 'up-detr_small_1xb8-9e_shapes.py')
    model = tiny.build(tiny.tiny(cfg), seed=2)
    before = copy.deepcopy(model.state_dict())
    checkpoint = dict(state_dict=trained.state_dict())
    hook = FineTuneHook(cfg.default_hooks.fine_tune.leave_out)
    hook.after_load_checkpoint(Runner(model), checkpoint)
    model.load_state_dict(checkpoint['state_dict'], strict=False)

    for name, value in model.state_dict().items():
        source = before if name.startswith('head.class_branches') else trained.state_dict()
        assert torch.equal(value, source[name]), name
    assert lines == [
        'left out of the checkpoint: head.class_branches.0.bias, head.class_branches.0.weight, '
        'head.embedding_branch.layers.0.bias, head.embedding_branch.layers.0.weight, '
        'head.embedding_branch.layers.1.bias, head.embedding_branch.layers.1.weight, prompt.project.bias, '
        'prompt.project.weight; initialised anew: head.class_branches.0.bias, head.class_branches.0.weight'
    ]

    untouched = dict(state_dict=trained.state_dict())
    hook.after_load_checkpoint(Runner(model, resume=True), untouched)
    assert untouched['state_dict'].keys() == trained.state_dict().keys()


def test_fine_tuning_refuses_another_model():
    cfg = small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py')
    state = tiny.build(cfg).state_dict()
    state['queries.pos.weight'] = state['queries.pos.weight'][:4]
    state['extra'] = state.pop('encoder.norm.weight')
    with pytest.raises(
        WeightsDoNotFit,
        match=r'encoder.norm.weight is missing; extra is unknown .* \(4, 32\), the '
        r'model has \(20, 32\)',
    ):
        FineTuneHook([r'head\.(class_branches|embedding_branch)\..*', r'prompt\..*']).after_load_checkpoint(
            Runner(tiny.build(small('up_detr/up-detr_small_1xb8-9e_shapes.py'))), dict(state_dict=state)
        )


def test_a_decoder_of_any_paper_can_be_pre_trained():
    """What UP-DETR adds goes with Deformable DETR too."""
    cfg = small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py')
    other = tiny.base('deformable_detr_r50')
    cfg.update(num_levels=4, neck=other.neck, encoder=other.encoder, queries=other.queries, decoder=other.decoder)
    cfg.backbone.out_indices = (1, 2, 3)
    model = tiny.build(cfg).train()
    tiny.total(model(**with_patches(tiny.batch(model, counts=(5, 5)), (5, 5)), mode='loss')).backward()
    assert not tiny.without_gradient(model)


def test_official_names():
    """Every tensor of the official pre-training code has its place, and fine-tuning takes what it needs of them."""
    layout = WEIGHT_LAYOUTS.get('detr')
    trained = tiny.build(small('up_detr/up-detr-pretrain_small_1xb8-9e_shapes.py'))
    sources = layout.convert({}, trained).sources
    official = {theirs: trained.state_dict()[ours] for ours, (theirs,) in sources.items()}
    assert {
        'transformer.encoder.norm.weight',
        'patch2query.weight',
        'feature_align.layers.1.bias',
        'query_embed.weight',
        'transformer.decoder.layers.1.multihead_attn.in_proj_weight',
        'class_embed.weight',
    } <= set(official)
    assert layout.matches(set(official))
    made = layout.convert(official, trained)
    assert not (made.missing or made.refused or made.unexpected)

    model = tiny.build(small('up_detr/up-detr_small_1xb8-9e_shapes.py'))
    made = layout.convert(official, model)
    assert not (made.missing or made.unexpected)
    assert {name.split('.')[0] for name in made.dropped} == {'patch2query', 'feature_align'}
    assert torch.equal(made.state['encoder.norm.weight'], trained.encoder.norm.weight)
