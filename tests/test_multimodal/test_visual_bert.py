"""VisualBERT: counts, the same numbers as transformers', layouts, objectives by hand."""

import parity
import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.config import Config
from token_numbers import END, VOCABULARY, Numbers, built, filled

import mmparts  # noqa: F401
from mmparts.multimodal.states import States, Texts
from mmparts.multimodal.visual_bert.checkpoint import VisualBertLayout, VisualBertTransformersLayout
from mmparts.multimodal.visual_bert.towers import RegionInputs, Regions
from mmparts.registry import MODELS, WEIGHT_LAYOUTS
from mmparts.structures import MultimodalSample

ARCH = dict(embed_dims=24, num_layers=2, num_heads=4)
DIMS = 10
CORE = dict(
    towers=dict(
        text=dict(type='mmparts.BertWords', vocab_size=VOCABULARY, arch=ARCH, max_length=40),
        regions=dict(type='mmparts.RegionTower', dims=DIMS, arch=ARCH, max_length=40),
    ),
    fusion=dict(type='mmparts.OneStream', arch=ARCH, dropout=0.0),
)
BOTH = ('text', 'regions')
MASKED = dict(type='mmparts.MaskedWords', vocab_size=VOCABULARY)


def batch(items=3, aligned=False):
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 50, (items, 7), generator=random)
    ids[:, 0], ids[:, 3], ids[:, -1] = 1, END, END
    keep = torch.ones_like(ids, dtype=torch.bool)
    ids[0, -2:], keep[0, -2:] = 0, False
    regions = Regions(torch.randn(items, 5, DIMS, generator=random), torch.ones(items, 5).bool())
    regions.keep[1, 3:] = False
    if aligned:
        regions.words = torch.tensor([[[1, 2], [4, -1], [-1, -1], [5, 2], [3, -1]]] * items)
    samples = [MultimodalSample(metainfo=dict(img_id=index)) for index in range(items)]
    return dict(text=Texts(ids, keep), regions=regions), samples


@pytest.mark.parametrize(
    ('dims', 'count'), [(512, 110_270_976), (1024, 110_664_192), (2048, 111_450_624), (2054, 111_455_232)]
)
def test_counts_before_the_heads(dims, count):
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / 'visual_bert_pretrain.py')
    cfg.merge_from_dict({'model.towers.regions.dims': dims})
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    parts = [*model.towers.values(), model.fusion]
    assert sum(p.numel() for part in parts for p in part.parameters()) == count
    if dims == 2048:
        assert sum(p.numel() for p in model.parameters()) == 112_074_812


def peer(kind, **changes):
    transformers = parity.reference('transformers')
    config = transformers.VisualBertConfig(
        vocab_size=VOCABULARY,
        hidden_size=24,
        visual_embedding_dim=DIMS,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=96,
        max_position_embeddings=40,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        pad_token_id=0,
        **changes,
    )
    torch.manual_seed(3)
    model = getattr(transformers, kind)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


def their_inputs(inputs, aligned=False):
    texts, regions = inputs['text'], inputs['regions']
    ends = (texts.ids == END).long()
    return dict(
        input_ids=texts.ids,
        attention_mask=texts.keep.long(),
        token_type_ids=(ends.cumsum(1) - ends).clamp(max=1),
        visual_embeds=regions.features,
        visual_attention_mask=regions.keep.long(),
        visual_token_type_ids=torch.zeros_like(regions.keep).long(),
        **(dict(image_text_alignment=regions.words) if aligned else {}),
    )


PRETRAIN = dict(CORE, objectives=dict(masked=MASKED), inference=dict(type='mmparts.FilledWords'))


@pytest.mark.parametrize('aligned', [False, True])
def test_equals_transformers(aligned):
    other = peer('VisualBertForPreTraining')
    model = filled(built(**PRETRAIN), other.state_dict(), VisualBertTransformersLayout)
    inputs, samples = batch(aligned=aligned)
    with torch.no_grad():
        expected = other(**their_inputs(inputs, aligned))
        joint = States(model, inputs, samples).joint(*BOTH)
        words, match = model.objectives['masked'].head(joint.tokens), model.objectives['masked'].match(joint.pooled)
    assert torch.allclose(words[joint.keep], expected.prediction_logits[joint.keep], atol=1e-4)
    assert torch.allclose(match, expected.seq_relationship_logits, atol=1e-5)


def answers(count=8):
    head = dict(type='mmparts.JointHead')
    known = [str(number) for number in range(count)]
    objective = dict(type='mmparts.AnswerClasses', between=BOTH, answers=known, loss='kl', read='mask', head=head)
    fusion = dict(CORE['fusion'], pooler=False)
    return built(
        **dict(CORE, fusion=fusion), objectives=dict(answers=objective), inference=dict(type='mmparts.ChosenAnswers')
    )


def test_answers_equal_transformers():
    other = peer('VisualBertForQuestionAnswering', num_labels=8)
    model = filled(answers(), other.state_dict(), VisualBertTransformersLayout)
    inputs, samples = batch()
    for sample in samples:
        sample.gt_answers, sample.gt_answer_weights = ['3', '5', 'unknown'], [1.0, 0.3, 1.0]
    labels = torch.zeros(3, 8)
    labels[:, 3], labels[:, 5] = 1.0, 0.3
    with torch.no_grad():
        expected = other(**their_inputs(inputs), labels=labels)
        logits = model.objectives['answers'].logits(States(model, inputs, samples))
        loss = model(inputs, samples, mode='loss')['answers.loss']
    assert torch.allclose(logits.log_softmax(-1), expected.logits.log_softmax(-1), atol=1e-4)
    assert loss.item() == pytest.approx(expected.loss.item(), rel=1e-4)
    said = model(inputs, samples, mode='predict')
    assert [one.pred_text for one in said] == [str(each) for each in logits.argmax(1).tolist()]


def reasoning():
    objective = dict(type='mmparts.JointClasses', between=BOTH, head=dict(type='mmparts.JointHead'))
    return built(**CORE, objectives=dict(reasoning=objective), inference=dict(type='mmparts.TruthOfPairs'))


def test_reasoning_equals_transformers():
    other = peer('VisualBertForVisualReasoning', num_labels=2)
    model = filled(reasoning(), other.state_dict(), VisualBertTransformersLayout)
    inputs, samples = batch()
    inputs['regions'].types = torch.tensor([[0, 0, 1, 1, 1]] * 3)
    theirs = their_inputs(inputs) | dict(visual_token_type_ids=inputs['regions'].types)
    with torch.no_grad():
        logits = model.objectives['reasoning'].logits(States(model, inputs, samples))
        assert torch.allclose(logits, other(**theirs).logits, atol=1e-5)


def choice():
    objective = dict(type='mmparts.MultipleChoice', dropout=0.0)
    return built(**CORE, objectives=dict(choice=objective), inference=dict(type='mmparts.ChosenText'))


def test_choices_equal_transformers():
    other = peer('VisualBertForMultipleChoice')
    model = filled(choice(), other.state_dict(), VisualBertTransformersLayout)
    inputs, samples = batch(items=6)
    texts, regions = inputs['text'], inputs['regions']
    texts.owner = torch.tensor([0, 0, 0, 1, 1, 1])
    theirs = {name: each.view(2, 3, *each.shape[1:]) for name, each in their_inputs(inputs).items()}
    for name in ('visual_embeds', 'visual_attention_mask', 'visual_token_type_ids'):
        theirs[name] = theirs[name][:, :1].repeat(1, 3, *[1] * (theirs[name].ndim - 2))
    few = Regions(regions.features[[0, 3]], regions.keep[[0, 3]])
    with torch.no_grad():
        logits = model.objectives['choice'].logits(States(model, dict(text=texts, regions=few), samples[:2]))
        assert torch.allclose(logits, other(**theirs).logits, atol=1e-5)


def phrases():
    fusion = dict(CORE['fusion'], pooler=False)
    objective = dict(type='mmparts.PhraseRegions', dims=6)  # theirs: width over heads, which are 12 in BERT
    return built(
        **dict(CORE, fusion=fusion), objectives=dict(phrases=objective), inference=dict(type='mmparts.FoundRegions')
    )


def test_phrases_equal_transformers():
    other = peer('VisualBertForRegionToPhraseAlignment')
    state = other.state_dict()
    state = {name: each for name, each in state.items() if not name.startswith('attention.')} | {
        name.replace('attention.', 'flickr_attention.', 1): each
        for name, each in state.items()
        if name.startswith('attention.')
    }
    model = filled(phrases(), state, VisualBertTransformersLayout)
    inputs, samples = batch()
    for sample in samples:
        sample.gt_phrases, sample.gt_phrase_regions = torch.tensor([2, 4]), torch.eye(2, 5)
    with torch.no_grad():
        expected = other(**their_inputs(inputs), region_to_phrase_position=torch.tensor([[2, 4]] * 3))
        logits = model.objectives['phrases'].logits(States(model, inputs, samples), torch.tensor([[2, 4]] * 3))
        said = model(inputs, samples, mode='loss')['phrases.loss']
    real = inputs['regions'].keep[:, None].expand(-1, 2, -1)
    assert torch.allclose(logits[real], expected.logits[..., -5:][real], atol=1e-4)
    chances = logits.log_softmax(-1)
    assert said.item() == pytest.approx(-(chances[:, 0, 0] + chances[:, 1, 1]).mean().item() / 2, rel=1e-4)
    found = model(inputs, samples, mode='predict')[1].pred_phrase_regions
    assert torch.allclose(found.sum(-1), torch.ones(2), atol=1e-5) and not found[:, 3:].any()


def official(state):
    """transformers' names as those of the official files."""
    found = {}
    for name, tensor in state.items():
        name = name.replace('visual_bert.', 'bert.bert.').replace('visual_projection', 'projection')
        name = name.replace('visual_token_type_embeddings', 'token_type_embeddings_visual')
        name = name.replace('visual_position_embeddings', 'position_embeddings_visual')
        found[name if name.startswith('bert.bert') else f'bert.{name}'] = tensor
    return {name: tensor for name, tensor in found.items() if not name.endswith('decoder.bias')}


def test_official_names_fill_the_same():
    other = peer('VisualBertForPreTraining')
    state = official(other.state_dict()) | {'detector.backbone.weight': torch.zeros(1)}
    assert [name for name, kind in WEIGHT_LAYOUTS.module_dict.items() if kind.matches(set(state))] == ['visual_bert']
    mine, theirs = (
        filled(built(**PRETRAIN), state, VisualBertLayout),
        filled(built(**PRETRAIN), other.state_dict(), VisualBertTransformersLayout),
    )
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, mine.state_dict()[name]), name
    filled(reasoning(), {name: each for name, each in state.items() if '.cls.' not in name}, VisualBertLayout)
    less = {name: tensor for name, tensor in state.items() if 'embeddings.projection' not in name}
    assert VisualBertLayout.convert(less, built(**PRETRAIN)).missing
    assert VisualBertLayout.convert(state | {'more': torch.zeros(1)}, built(**PRETRAIN)).unexpected


@pytest.mark.parametrize('kind', ['pretrain', 'vqa', 'nlvr2', 'vcr', 'flickr'])
def test_every_parameter_gets_a_gradient(kind):
    make = dict(pretrain=lambda: built(**PRETRAIN), vqa=answers, nlvr2=reasoning, vcr=choice, flickr=phrases)[kind]
    model, (inputs, samples) = make().train(), batch(aligned=True)
    for index, sample in enumerate(samples):
        sample.gt_label = torch.tensor(index % 2)
        sample.gt_answers, sample.gt_answer_weights = ['3'], [1.0]
        sample.gt_phrases, sample.gt_phrase_regions = torch.tensor([2]), torch.eye(1, 5)
    if kind == 'vcr':
        inputs['text'] = Texts(*(each.repeat(2, 1) for each in (inputs['text'].ids, inputs['text'].keep)))
        inputs['text'].owner = torch.tensor([0, 0, 1, 1, 2, 2])
    torch.manual_seed(4)
    losses = model(inputs, samples, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_one_is_a_match():
    model, (inputs, samples) = built(**PRETRAIN).eval(), batch()
    for index, sample in enumerate(samples):
        sample.gt_label = torch.tensor(int(index == 0))
    model.objectives['masked'].masking.forward = lambda texts: (texts, texts.ids.masked_fill(~texts.keep, -100))
    with torch.no_grad():
        losses = model(inputs, samples, mode='loss')
        joint = States(model, inputs, samples).joint(*BOTH)
        match = F.cross_entropy(model.objectives['masked'].match(joint.pooled), torch.tensor([1, 0, 0]))
        words = F.cross_entropy(
            model.objectives['masked'].head(joint.tokens[:, :7])[inputs['text'].keep],
            inputs['text'].ids[inputs['text'].keep],
        )
    assert losses['masked.loss_match'].item() == pytest.approx(match.item(), rel=1e-5)
    assert losses['masked.loss_words'].item() == pytest.approx(words.item(), rel=1e-5)


def test_tables_of_regions_start_as_those_of_the_text():
    torch.manual_seed(0)
    words = dict(type='mmparts.MultimodalModel', inference=dict(type='mmparts.FilledWords'))
    with torch.device('cpu'):
        model = MODELS.build({**words, **PRETRAIN, 'data_preprocessor': built(**PRETRAIN).data_preprocessor})
    assert torch.equal(model.towers['regions'].positions.weight, model.towers['text'].positions.weight)
    assert torch.equal(model.towers['regions'].types.weight, model.towers['text'].types.weight)


def test_regions_become_a_batch():
    inputs = RegionInputs(dims=4)
    words = torch.tensor([[1, 2], [3, -1], [-1, -1]])
    first = dict(features=torch.ones(3, 4), types=torch.tensor([0, 1, 1]), words=words)
    second = dict(features=torch.ones(1, 4), types=torch.tensor([1]), words=torch.tensor([[5]]))
    made = inputs([first, second], torch.device('cpu'))
    assert made.keep.tolist() == [[True] * 3, [True, False, False]] and made.features.shape == (2, 3, 4)
    assert made.words.tolist() == [[[1, 2], [3, -1], [-1, -1]], [[5, -1], [-1, -1], [-1, -1]]]
    for wrong in (torch.ones(3, 5), torch.ones(0, 4), torch.ones(4)):
        with pytest.raises(ValueError, match='item 1 of the batch.*R x 4'):
            inputs([torch.ones(2, 4), wrong], torch.device('cpu'))


def test_a_mask_is_filled():
    model, (inputs, samples) = built(**PRETRAIN).eval(), batch()
    inputs['text'].ids[:, 2] = Numbers.mask_id
    with torch.no_grad():
        word = model.objectives['masked'].words_of(States(model, inputs, samples))[1, 2].argmax().item()
    ids = inputs['text'].ids[1].tolist()
    said = model(inputs, samples, mode='predict')[1].pred_text
    assert said == Numbers().decode([*ids[:2], word, *ids[3:]])
