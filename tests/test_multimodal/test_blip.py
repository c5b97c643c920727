"""BLIP: counts, the same numbers as transformers', strict layouts, objectives by hand."""

import math

import parity
import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.config import Config
from token_numbers import DEC, ENC, END, VOCABULARY, Numbers, filled
from token_numbers import built as tower_built
from token_numbers import pairs as batch

import mmparts  # noqa: F401
from mmparts.multimodal.blip.checkpoint import BlipLayout, BlipTransformersLayout
from mmparts.multimodal.states import State, States, Texts
from mmparts.registry import MODELS, WEIGHT_LAYOUTS

ARCH = dict(embed_dims=32, num_layers=2, num_heads=4)
VIT = dict(
    type='mmparts.ViT',
    arch=dict(embed_dims=24, num_layers=2, num_heads=2),
    image_size=32,
    out='tokens',
    resize='dinov2',
)
WORDS = dict(vocab_size=VOCABULARY, arch=ARCH, dropout=0.0, max_length=40)
IMAGE = dict(type='mmparts.ImageTower', backbone=VIT)
TEXT = dict(type='mmparts.MedTower', memory_dims=24, **WORDS)
JOINT = dict(type='mmparts.LinearProjection', out_dims=16)


def built(prefix='', **parts):
    return tower_built(prefix, **{'towers': dict(image=IMAGE), **parts})


def pretraining(**changes):
    objectives = dict(
        contrastive=dict(
            type='mmparts.Contrastive',
            keys=dict(type='mmparts.QueueKeys', dims=16, size=8),
            targets=dict(type='mmparts.SoftTargets', share=0.4),
            scale=dict(type='mmparts.Temperature'),
        ),
        matching=dict(type='mmparts.Matching'),
        captioning=dict(type='mmparts.Captioning'),
    )
    parts = dict(
        fusion=dict(type='mmparts.MedFusion'),
        decoder=dict(type='mmparts.MedDecoder', tie='text', **WORDS),
        projections=dict(image=JOINT, text=JOINT),
        momentum=dict(type='mmparts.MomentumEncoders', momentum=0.9),
        objectives=objectives,
    )
    model = built(**{**parts, **changes, 'towers': dict(image=IMAGE, text=TEXT)})
    return model


# Counts

LARGE = {'model.towers.image.backbone.arch': 'large'}
LARGE_TEXT = LARGE | {'model.towers.text.memory_dims': 1024}


@pytest.mark.parametrize(
    ('name', 'options', 'count'),
    [
        ('blip_caption', {}, 223_971_644),
        ('blip_retrieval', {}, 223_744_258 + 1),  # and the temperature
        ('blip_vqa', {'model.towers.image.backbone.image_size': 384}, 361_230_140),
        ('blip_vqa', {}, 361_478_972),
        ('blip_nlvr2', {}, 259_372_034),
        ('blip_pretrain', {}, 252_441_919),
        ('blip_caption', LARGE, 446_290_492),
        ('blip_retrieval', LARGE_TEXT, 446_128_642 + 1),
        ('blip_vqa', LARGE_TEXT, 583_880_764),
        ('blip_pretrain', LARGE_TEXT, 474_729_023),
    ],
)
def test_counts(name, options, count):
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / f'{name}.py')
    cfg.merge_from_dict(options)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters() if p.requires_grad) == count


# transformers


def peer(kind: str, width: int = 24):
    transformers = parity.reference('transformers')
    text = dict(
        vocab_size=VOCABULARY,
        hidden_size=32,
        encoder_hidden_size=width,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=40,
        hidden_dropout_prob=0.0,
        attention_probs_dropout_prob=0.0,
        bos_token_id=DEC,
        eos_token_id=END,
        sep_token_id=END,
        pad_token_id=0,
    )
    vision = dict(
        hidden_size=width,
        intermediate_size=4 * width,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=32,
        patch_size=16,
        layer_norm_eps=1e-6,
    )
    config = transformers.BlipConfig(text_config=text, vision_config=vision, image_text_hidden_size=16)
    torch.manual_seed(3)
    model = getattr(transformers, kind)(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.2)
    return model


RETRIEVAL = dict(
    towers=dict(image=IMAGE, text=TEXT),
    fusion=dict(type='mmparts.MedFusion'),
    projections=dict(image=JOINT, text=JOINT),
    objectives=dict(matching=dict(type='mmparts.Matching', negatives=dict(type='mmparts.HardNegatives', keys='own'))),
)


def test_retrieval_equals_transformers():
    other = peer('BlipForImageTextRetrieval')
    model = filled(built(**RETRIEVAL), other.state_dict(), BlipTransformersLayout)
    inputs, samples = batch()
    states = States(model, inputs, samples)
    with torch.no_grad():
        text = dict(input_ids=inputs['text'].ids, attention_mask=inputs['text'].keep.long())
        cosine = other(pixel_values=inputs['image'], use_itm_head=False, **text)[0]
        assert torch.allclose(states.embedding('image') @ states.embedding('text').T, cosine, atol=1e-5)
        image = other.vision_model(inputs['image']).last_hidden_state
        assert torch.allclose(states['image'].tokens, image, atol=1e-4)
        text['input_ids'] = torch.cat([torch.full((4, 1), ENC), text['input_ids'][:, 1:]], 1)
        match = other(pixel_values=inputs['image'], use_itm_head=True, **text)[0]
        mine = model.objectives['matching'].head(states.joint('image', 'text').pooled)
    assert torch.allclose(mine, match, atol=1e-4)


CAPTION = dict(
    decoder=dict(type='mmparts.MedDecoder', **WORDS),
    objectives=dict(captioning=dict(type='mmparts.Captioning')),
    inference=dict(type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, min_length=6)),
)


def test_captions_equal_transformers():
    other = peer('BlipForConditionalGeneration')
    model = filled(built(prefix='4 5', **CAPTION), other.state_dict(), BlipTransformersLayout)
    inputs, samples = batch()
    ids = torch.cat([torch.full((4, 1), DEC), inputs['text'].ids[:, 1:]], 1)
    with torch.no_grad():
        found = model.decoder(inputs['text'], State(tokens=model.towers['image'](inputs['image']).tokens))
        expected = other(inputs['image'], ids, attention_mask=inputs['text'].keep.long()).logits
        keep = inputs['text'].keep
        assert torch.allclose(found[keep], expected[keep], atol=1e-3)
        theirs = other.generate(
            inputs['image'], torch.tensor([[DEC, 4, 5, END]]).repeat(4, 1), num_beams=3, max_length=20, min_length=6
        )
    said = model(inputs, samples, mode='predict')
    for sample, text in zip(said, theirs.tolist()):
        assert sample.pred_text == Numbers().decode(text[3:])


WIDE = dict(IMAGE, backbone=dict(VIT, arch=dict(VIT['arch'], embed_dims=32)))  # theirs has one width for both memories
VQA = dict(
    towers=dict(image=WIDE, text=dict(TEXT, memory_dims=32)),
    fusion=dict(type='mmparts.MedFusion'),
    decoder=dict(type='mmparts.MedDecoder', reads=('image', 'text'), **WORDS),
    objectives=dict(captioning=dict(type='mmparts.Captioning', texts='answer', reduction='text')),
    inference=dict(type='mmparts.WrittenAnswers', search=dict(type='mmparts.GreedySearch', max_length=8)),
)


def test_answers_equal_transformers():
    other = peer('BlipForQuestionAnswering', 32)
    model = filled(built(**VQA), other.state_dict(), BlipTransformersLayout)
    inputs, samples = batch()
    question = torch.cat([torch.full((4, 1), ENC), inputs['text'].ids[:, 1:]], 1)
    with torch.no_grad():
        theirs = other.generate(
            question, inputs['image'], attention_mask=inputs['text'].keep.long(), max_length=8, do_sample=False
        )
    said = model(inputs, samples, mode='predict')
    assert [one.pred_text for one in said] == [Numbers().decode(text[1:]) for text in theirs.tolist()]


def official(state):
    """transformers' names as the official ones."""
    pairs = (
        ('vision_model.embeddings.class_embedding', 'visual_encoder.cls_token'),
        ('vision_model.embeddings.position_embedding', 'visual_encoder.pos_embed'),
        ('vision_model.embeddings.patch_embedding', 'visual_encoder.patch_embed.proj'),
        ('vision_model.post_layernorm', 'visual_encoder.norm'),
        ('vision_model.encoder.layers', 'visual_encoder.blocks'),
        ('self_attn.qkv', 'attn.qkv'),
        ('self_attn.projection', 'attn.proj'),
        ('layer_norm', 'norm'),
    )
    found = {}
    for name, tensor in state.items():
        for theirs, ours in pairs:
            name = name.replace(theirs, ours)
        found[name] = tensor
    return found


def test_official_names_fill_the_same():
    other = peer('BlipForImageTextRetrieval')
    state = official(other.state_dict())
    extra = {
        'temp': torch.tensor(0.05),
        'image_queue': torch.zeros(16, 8),
        'queue_ptr': torch.zeros(1),
        'visual_encoder_m.cls_token': torch.zeros(1, 1, 24),
        'text_proj_m.weight': torch.zeros(16, 32),
    }
    assert [name for name, kind in WEIGHT_LAYOUTS.module_dict.items() if kind.matches({*state, *extra})] == ['blip']
    mine = filled(built(**RETRIEVAL), state | extra, BlipLayout)
    theirs = filled(built(**RETRIEVAL), other.state_dict(), BlipTransformersLayout)
    for name, tensor in theirs.state_dict().items():
        assert torch.equal(tensor, mine.state_dict()[name]), name

    less = {name: tensor for name, tensor in state.items() if 'layer.1.output.dense.bias' not in name}
    assert BlipLayout.convert(less, built(**RETRIEVAL)).missing
    assert BlipLayout.convert(state | {'what.is.this': torch.zeros(1)}, built(**RETRIEVAL)).unexpected


def test_official_pretraining_and_reasoning_files():
    caption, retrieval = peer('BlipForConditionalGeneration'), peer('BlipForImageTextRetrieval')
    state = official(retrieval.state_dict()) | {'temp': torch.tensor(0.05)}
    for name, tensor in official(caption.state_dict()).items():
        if name.startswith('text_decoder'):
            shared = name.replace('text_decoder.bert.', 'text_encoder.').replace('.cls.predictions.decoder.', '.')
            tied = shared in state and '.attention.' not in name
            state[name] = state[shared] if tied else tensor
    words = state['text_encoder.embeddings.word_embeddings.weight']
    state['text_decoder.cls.predictions.decoder.weight'] = words
    model = filled(pretraining(), state, BlipLayout)
    assert torch.equal(model.decoder.head.decoder.weight, words)
    assert model.objectives['contrastive'].scale.temperature.item() == pytest.approx(0.05)

    twins = official(retrieval.state_dict())
    for name in [name for name in twins if 'crossattention.' in name and 'LayerNorm' not in name]:
        tensor = twins.pop(name)
        for index in (0, 1):
            twin = name.replace('.self.', f'.self{index}.').replace('.dense.', f'.dense{index}.')
            twins[twin] = tensor + index
    for kind, shape in (('weight', (32, 64)), ('bias', (32,))):
        twins[f'text_encoder.encoder.layer.1.crossattention.output.merge_layer.{kind}'] = torch.randn(shape)
    for index, rows in ((0, 32), (2, 2)):
        twins[f'cls_head.{index}.weight'], twins[f'cls_head.{index}.bias'] = torch.randn(rows, 32), torch.randn(rows)
    twins = {name: tensor for name, tensor in twins.items() if not name.startswith(('vision_proj', 'text_proj', 'itm'))}
    filled(reasoning(), twins, BlipLayout)


def reasoning():
    return built(
        towers=dict(image=IMAGE, text=dict(TEXT, twins='merge')),
        fusion=dict(type='mmparts.TwinFusion'),
        objectives=dict(
            reasoning=dict(type='mmparts.JointClasses', head=dict(type='mmparts.JointHead', hidden_dims=32, act='relu'))
        ),
        inference=dict(type='mmparts.TruthOfPairs'),
    )


# Objectives


def test_pretraining_reaches_every_parameter_and_shares_the_right_ones():
    model = pretraining().train()
    losses = model(*batch(), mode='loss')
    total = sum(value for name, value in losses.items() if 'loss' in name)
    total.backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    tower, decoder = model.towers['text'].bert, model.decoder.bert
    assert decoder.embeddings is tower.embeddings and model.decoder.head.decoder.weight is tower.embeddings.words.weight
    for own, other in zip(decoder.layers, tower.layers):
        assert own.mlp is other.mlp and own.cross_attn is other.cross_attn and own.attn is not other.attn


@pytest.mark.parametrize('kind', ['caption', 'vqa', 'nlvr2'])
def test_tasks_reach_every_parameter(kind):
    model = dict(caption=lambda: built(**CAPTION), vqa=lambda: built(**VQA), nlvr2=reasoning)[kind]().train()
    inputs, samples = batch()
    inputs['answer'] = Texts(torch.tensor([[1, 5, END], [1, 6, END], [1, 7, END]]), torch.ones(3, 3).bool())
    inputs['answer'].owner = torch.tensor([0, 0, 3])
    for index, sample in enumerate(samples):
        sample.gt_label = torch.tensor(index % 2)
        sample.gt_answer_weights = {0: [0.3, 0.7], 3: [1.0]}.get(index, [])
    if kind == 'nlvr2':
        inputs['image'] = torch.cat([inputs['image'], inputs['image'].flip(0)])
    losses = model(inputs, samples, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad and p.grad is None]
    assert len(model.eval()(inputs, samples, mode='predict')) == 4


def test_captioning_by_hand():
    model = built(prefix='4 5', **CAPTION).eval()
    inputs, samples = batch()
    with torch.no_grad():
        found = model(inputs, samples, mode='loss')['captioning.loss']
        logits = model.decoder(inputs['text'], model.towers['image'](inputs['image'])).log_softmax(-1)
    ids, keep, losses = inputs['text'].ids, inputs['text'].keep, []
    for item in range(4):
        for place in range(3, 7):  # the words after [DEC], 4, 5 are the first two of the prompt
            if keep[item, place]:
                said = logits[item, place - 1]
                losses.append(0.9 * -said[ids[item, place]] + 0.1 * -said.mean())
    assert found.item() == pytest.approx(sum(losses).item() / len(losses), rel=1e-5)


def test_answers_by_hand():
    model = built(**VQA).eval()
    inputs, samples = batch(items=2)
    answers = Texts(torch.tensor([[1, 5, END, 0], [1, 6, 7, END], [1, 9, END, 0]]), None, owner=torch.tensor([0, 0, 1]))
    answers.keep = answers.ids > 0
    inputs['answer'] = answers
    samples[0].gt_answer_weights, samples[1].gt_answer_weights = [0.3, 0.6], [1.0]
    with torch.no_grad():
        found = model(inputs, samples, mode='loss')['captioning.loss']
        states = States(model, inputs, samples).joint('image', 'text')
        total = 0
        for row, weight in enumerate((0.3, 0.6, 1.0)):
            item = int(answers.owner[row])
            state = State(states.tokens[item : item + 1], states.keep[item : item + 1])
            length = int(answers.keep[row].sum())
            one = Texts(answers.ids[row : row + 1, :length], answers.keep[row : row + 1, :length])
            logits = model.decoder(one, state)[0, :-1]
            total += weight * F.cross_entropy(logits, one.ids[0, 1:], label_smoothing=0.1, reduction='sum')
    assert found.item() == pytest.approx(total.item() / 2, rel=1e-4)


def test_momentum_and_queue_by_hand():
    model = pretraining().train()
    with torch.no_grad():
        for parameter in model.towers['image'].parameters():
            parameter.add_(1.0)
    before = {name: p.clone() for name, p in model.momentum.towers['image'].named_parameters()}
    queue = model.objectives['contrastive'].keys
    old = queue.image_queue.clone()
    inputs, samples = batch()
    states = States(model, inputs, samples)
    model.loss(states)
    for name, parameter in model.momentum.towers['image'].named_parameters():
        assert torch.allclose(
            parameter, 0.9 * before[name] + 0.1 * model.towers['image'].get_parameter(name), atol=1e-6
        )
    new = states.momentum.embedding('image')
    assert torch.equal(queue.image_queue, torch.cat([new, old[4:]])) and int(queue.place) == 4
    model.loss(States(model, inputs, samples))
    assert torch.equal(queue.image_queue[:4], new) and int(queue.place) == 0  # it begins at the front again
    model.eval()
    model.loss(States(model, inputs, samples))
    assert int(queue.place) == 0 and not model.momentum.training


def test_contrastive_with_queue_and_soft_targets_by_hand():
    model = pretraining().eval()
    inputs, samples = batch()
    objective = model.objectives['contrastive']
    with torch.no_grad():
        found = model(inputs, samples, mode='loss')['contrastive.loss']
        own = {name: F.normalize(model.project(name, model.towers[name](inputs[name])), dim=-1) for name in inputs}
        slow = {
            name: F.normalize(model.momentum.project(name, model.momentum.towers[name](inputs[name])), dim=-1)
            for name in inputs
        }
        losses = []
        for query, key in (('image', 'text'), ('text', 'image')):
            keys = torch.cat([slow[key], getattr(objective.keys, f'{key}_queue')])
            targets = 0.4 * (slow[query] @ keys.T / 0.07).softmax(1) + 0.6 * torch.eye(4, 12)
            losses.append(-(targets * (own[query] @ keys.T / 0.07).log_softmax(1)).sum(1).mean())
    assert found.item() == pytest.approx(sum(losses).item() / 2, rel=1e-5)


def test_items_of_one_image_are_all_right():
    model = pretraining(
        objectives=dict(
            contrastive=dict(
                type='mmparts.Contrastive', keys=dict(type='mmparts.QueueKeys', dims=16, size=8, by_image=True)
            )
        )
    ).train()
    inputs, samples = batch()
    samples[2].set_metainfo(dict(img_id=0))
    keys = model.objectives['contrastive'].keys
    states = States(model, inputs, samples)
    own = keys.own(states, 'text')
    assert own.shape == (4, 12) and torch.equal(own[0], own[2]) and own[0].tolist()[:4] == [0.5, 0, 0.5, 0]
    keys.update(states)
    assert keys.ids[:4].tolist() == [0, 1, 0, 3]
    assert keys.own(states, 'text')[0].tolist() == [0.25, 0, 0.25, 0] + [0.25, 0, 0.25, 0] + [0.0] * 4


def test_the_ramp_of_soft_targets():
    targets = MODELS.build(dict(type='mmparts.SoftTargets', share=0.4, ramp=4)).train()
    shares = []
    for _ in range(6):
        shares.append(targets.now())
        targets.calls += 2
    assert shares == pytest.approx([0, 0.1, 0.2, 0.3, 0.4, 0.4])


def test_negatives_are_never_the_pair_itself():
    model = pretraining()
    inputs, samples = batch()
    negatives = model.objectives['matching'].negatives
    states = States(model, inputs, samples)
    for pair in (('image', 'text'), ('text', 'image')):
        drawn = torch.stack([negatives(states, *pair) for _ in range(200)])
        assert not (drawn == torch.arange(4)).any() and len(drawn.unique()) == 4
        chances = negatives.chances(states, *pair)
        with torch.no_grad():
            alike = states.embedding(pair[0]) @ states.momentum.embedding(pair[1]).T / 0.07
        assert torch.allclose(chances, (alike.softmax(1) + 1e-4) * (1 - torch.eye(4)), atol=1e-6)

    negatives.by_image = True
    samples[2].set_metainfo(dict(img_id=0))
    chances = negatives.chances(states, 'image', 'text')
    assert (chances == 0).nonzero().tolist() == [[0, 0], [0, 2], [1, 1], [2, 0], [2, 2], [3, 3]]
    for sample in samples:
        sample.set_metainfo(dict(img_id=7))
    with pytest.raises(ValueError, match='no negative'):
        negatives(states, 'image', 'text')


def test_matching_sees_each_pair_three_times():
    model = pretraining().eval()
    inputs, samples = batch()
    objective = model.objectives['matching']
    objective.negatives.forward = lambda states, query, key: torch.tensor(
        [1, 2, 3, 0] if key == 'image' else [2, 3, 0, 1]
    )
    states = States(model, inputs, samples)
    with torch.no_grad():
        found = objective(states)['loss']
        logits = []
        for images, texts in (([0, 1, 2, 3], [0, 1, 2, 3]), ([1, 2, 3, 0], [0, 1, 2, 3]), ([0, 1, 2, 3], [2, 3, 0, 1])):
            text = Texts(inputs['text'].ids[texts], inputs['text'].keep[texts])
            pair = States(model, dict(image=inputs['image'][images], text=text), samples)
            logits.append(objective.head(pair.joint('image', 'text').pooled))
    labels = torch.tensor([1] * 4 + [0] * 8)
    assert found.item() == pytest.approx(F.cross_entropy(torch.cat(logits), labels).item(), rel=1e-5)


def test_ranked_answers_are_the_most_probable():
    model = built(**VQA | dict(inference=dict(type='mmparts.RankedAnswers', answers=['5', '6 7', '9', '8 8 8'])))
    model.eval()
    inputs, samples = batch(items=2)
    said = model(inputs, samples, mode='predict')
    for item, sample in enumerate(said):
        states = States(model, inputs, samples).joint('image', 'text')
        state = State(states.tokens[item : item + 1], states.keep[item : item + 1])
        scores = {}
        for answer in model.inference.answers:
            text = Numbers()([answer])
            with torch.no_grad():
                logits = model.decoder(text, state)[0, :-1].log_softmax(-1)
            scores[answer] = logits.gather(1, text.ids[0, 1:, None]).sum().item()
        assert sample.pred_texts == sorted(scores, key=scores.get, reverse=True)
        assert math.isclose(sample.pred_scores[0].item(), max(scores.values()), rel_tol=1e-4)


# What does not go together


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (dict(objectives=dict(captioning=dict(type='mmparts.Captioning'))), "uses 'decoder'.*MedDecoder"),
        (
            dict(objectives=dict(matching=dict(type='mmparts.Matching')), towers=dict(image=IMAGE, text=TEXT)),
            "uses 'joint'",
        ),
        (
            dict(
                towers=dict(image=IMAGE, text=TEXT),
                projections=dict(image=JOINT, text=JOINT),
                objectives=dict(
                    contrastive=dict(type='mmparts.Contrastive', keys=dict(type='mmparts.QueueKeys', dims=16, size=8))
                ),
            ),
            "uses 'momentum'.*MomentumEncoders",
        ),
        (
            dict(towers=dict(image=IMAGE, text=dict(TEXT, memory_dims=None)), fusion=dict(type='mmparts.MedFusion')),
            'memory_dims',
        ),
        (
            dict(towers=dict(image=WIDE, text=TEXT), fusion=dict(type='mmparts.MedFusion')),
            "memory_dims=24, tokens of 'image' have 32 channels; write memory_dims=32",
        ),
        (dict(CAPTION, decoder=dict(CAPTION['decoder'], tie='text'), towers=dict(image=IMAGE)), "'text'"),
        (
            dict(CAPTION, towers=dict(image=dict(IMAGE, backbone=dict(VIT, out='class')))),
            "tokens of 'image'.*out='tokens'",
        ),
    ],
)
def test_nonsense_is_refused_when_built(parts, message):
    with pytest.raises(ValueError, match=message):
        built(**parts)


def test_clip_with_captioning_and_blip_without_queue():
    clip = built(
        towers=dict(
            image=IMAGE,
            text=dict(type='mmparts.CausalTextTower', vocab_size=VOCABULARY, embed_dims=32, num_layers=2, num_heads=2),
        ),
        projections=dict(image=16, text=16),
        decoder=dict(type='mmparts.MedDecoder', first=None, **WORDS),
        objectives=dict(contrastive=dict(type='mmparts.Contrastive'), captioning=dict(type='mmparts.Captioning')),
    ).train()
    plain = pretraining(
        momentum=None,
        objectives=dict(
            contrastive=dict(type='mmparts.Contrastive'),
            matching=dict(type='mmparts.Matching', negatives=dict(type='mmparts.HardNegatives', keys='own')),
            captioning=dict(type='mmparts.Captioning'),
        ),
    ).train()
    for model in (clip, plain):
        losses = model(*batch(), mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        assert not [name for name, p in model.named_parameters() if p.grad is None]


def test_pairs_are_matched_after_all_were_seen():
    """From the tokens and ids that samples carry: the logit is that of the pair itself, whatever stands beside it."""
    model = pretraining(inference=dict(type='mmparts.MatchedEmbeddings')).eval()
    inputs, samples = batch()
    model.data_preprocessor.inputs['text'].of_ids = lambda ids: Texts(
        torch.nn.utils.rnn.pad_sequence(ids, batch_first=True),
        torch.nn.utils.rnn.pad_sequence([torch.ones_like(one) for one in ids], batch_first=True).bool(),
    )
    with torch.no_grad():
        said = model(inputs, samples, mode='predict')
        match = model.inference.matcher(model)
        images, texts = [0, 2, 3, 1], [0, 1, 3, 0]
        found = match([said[i].pred_tokens for i in images], [said[t].pred_ids[0] for t in texts])
        numbers = torch.tensor(images)
        kept = Texts(inputs['text'].ids[texts], inputs['text'].keep[texts])
        wanted = model.objectives['matching'].of_pairs(States(model, inputs), numbers, kept)[:, 1]
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-5)
    assert set(said[0].pred_embeddings) == {'image', 'text'}
    with pytest.raises(ValueError, match='must be a Matching'):
        pretraining(inference=dict(type='mmparts.MatchedEmbeddings', objective='captioning'))


def test_tokens_of_any_backbone_are_looked_at():
    maps = dict(type='mmparts.ClipResNet', arch=dict(num_blocks=(1, 1), width=8, out_dims=8, image_size=32), out='maps')
    tower = MODELS.build(dict(type='mmparts.ImageTower', backbone=dict(maps, out_indices=(1,))))
    state = tower(torch.randn(2, 3, 32, 32))
    assert tower.has_tokens and state.tokens.shape == (2, 16, 64) and state.pooled.shape == (2, 64)
