"""BEiT-3: counts, the same numbers as torchscale's, what each modality touches, objectives by hand."""

import sys
import types

import parity
import pytest
import tiny
import torch
import torch.nn.functional as F
from mmengine.config import Config
from token_numbers import END, VOCABULARY, Numbers, built, filled, pairs

import mmparts  # noqa: F401
from mmparts.multimodal.beit3.checkpoint import Beit3Layout
from mmparts.multimodal.beit3.tasks import CaptionMasking, caption_mask, smoothed_divergence
from mmparts.multimodal.generation import BeamSearch, GreedySearch
from mmparts.multimodal.objectives.masking import BlockMasking, WordMasking
from mmparts.multimodal.states import State, States, Texts
from mmparts.registry import MODELS, WEIGHT_LAYOUTS

ARCH = dict(embed_dims=24, num_layers=3, num_heads=4, mlp_dims=48)
CORE = dict(
    towers=dict(
        image=dict(type='mmparts.PatchTower', arch=ARCH, patch_size=8),
        text=dict(type='mmparts.WordTower', arch=ARCH, vocab_size=VOCABULARY),
    ),
    fusion=dict(type='mmparts.MultiwayFusion', arch=ARCH, image_size=32, patch_size=8, max_length=40),
)
MASKED = dict(
    type='mmparts.MaskedData', vocab_size=VOCABULARY, codes=dict(type='mmparts.ColourCodes', patch_size=8, bits=1)
)

LARGE = {f'model.{part}.arch': 'large' for part in ('towers.image', 'towers.text', 'fusion')}
IMAGES = {f'model.{part}.arch': 'large' for part in ('towers.image', 'fusion')}


@pytest.mark.parametrize(
    ('name', 'options', 'count'),
    [
        ('pretrain', {}, 276_510_730),
        ('retrieval', {}, 222_458_881),
        ('caption', {}, 270_751_754),
        ('vqa', {}, 228_110_649),
        ('nlvr2', {}, 225_719_810),
        ('imagenet', {}, 86_662_120),
        ('pretrain', LARGE, 746_709_514),
        ('retrieval', LARGE | {'model.projections': dict(image=1024, text=1024)}, 675_188_737),
        ('caption', LARGE, 739_033_610),
        ('vqa', LARGE | {'model.objectives.answers.head.hidden_dims': 2048}, 682_985_529),
        ('nlvr2', LARGE | {'model.objectives.reasoning.head.hidden_dims': 2048}, 681_109_506),
        ('imagenet', IMAGES, 304_575_464),
    ],
)
def test_counts(name, options, count):
    cfg = Config.fromfile(tiny.CONFIGS / '_base_' / 'models' / f'beit3_{name}.py')
    cfg.merge_from_dict(options)
    with torch.device('meta'):
        model = MODELS.build(cfg.model)
    assert sum(p.numel() for p in model.parameters()) == count
    if name == 'pretrain':
        heads = sum(p.numel() for p in model.objectives.parameters())
        assert count - heads == (220_987_392 if not options else 672_702_464)


def torchscale(monkeypatch):
    """Its BEiT-3 of our size. Its needs that have nothing to do with the model (fairscale) are stood in for."""
    parity.reference('timm')
    fairscale, nn = types.ModuleType('fairscale'), types.ModuleType('fairscale.nn')
    nn.checkpoint_wrapper = nn.wrap = lambda module: module
    for name, module in (('fairscale', fairscale), ('fairscale.nn', nn)):
        monkeypatch.setitem(sys.modules, name, module)
    pytest.importorskip('torchscale')
    from torchscale.architecture.config import EncoderConfig
    from torchscale.model.BEiT3 import BEiT3

    config = EncoderConfig(
        img_size=32,
        patch_size=8,
        vocab_size=VOCABULARY,
        multiway=True,
        layernorm_embedding=False,
        normalize_output=True,
        no_output_layer=True,
        encoder_embed_dim=24,
        encoder_attention_heads=4,
        encoder_ffn_embed_dim=48,
        encoder_layers=3,
        max_source_positions=40,
        drop_path_rate=0.0,
    )
    torch.manual_seed(2)
    model = BEiT3(config).eval()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.3)
    return model


def test_equals_torchscale(monkeypatch):
    peer = torchscale(monkeypatch)
    state = peer.state_dict()
    names = {f'beit3.{name}' for name in state}
    assert [name for name, kind in WEIGHT_LAYOUTS.module_dict.items() if kind.matches(names)] == ['beit3']
    model = filled(built(**CORE), {f'beit3.{name}': tensor for name, tensor in state.items()}, Beit3Layout)
    inputs, samples = pairs()
    images, texts = inputs['image'], inputs['text']
    states, hidden = States(model, inputs, samples), BlockMasking()(4, (4, 4))
    with torch.no_grad():
        for names, given in (
            (('image',), dict(visual_tokens=images)),
            (('text',), dict(textual_tokens=texts.ids, text_padding_position=~texts.keep)),
            (
                ('image', 'text'),
                dict(visual_tokens=images, textual_tokens=texts.ids, text_padding_position=~texts.keep),
            ),
        ):
            expected = peer(**given)['encoder_out']
            found = states.joint(*names)
            keep = torch.ones(expected.shape[:2]).bool() if found.keep is None else found.keep
            assert torch.allclose(found.tokens[keep], expected[keep], atol=1e-4), names
        masked = states.changed({}, dict(image=model.towers['image'](images, hidden))).joint('image').tokens
        assert torch.allclose(
            masked, peer(visual_tokens=images, vision_masked_position=hidden)['encoder_out'], atol=1e-4
        )
        seen = caption_mask(17, 7, None)
        expected = peer(texts.ids, images, attn_mask=(~seen).float())['encoder_out']
        parts = dict(image=model.towers['image'](images), text=State(model.towers['text'](texts).tokens))
        assert torch.allclose(model.fusion.run(parts, seen).tokens, expected, atol=1e-4)


def test_a_file_must_fit(monkeypatch):
    state = torchscale(monkeypatch).state_dict()
    whole = {f'beit3.{name}': tensor for name, tensor in state.items()}
    model = built(**CORE)
    less = {name: tensor for name, tensor in whole.items() if 'layers.1.ffn.B.fc2.bias' not in name}
    assert Beit3Layout.convert(less, model).missing
    assert Beit3Layout.convert(whole | {'beit3.more': torch.zeros(1)}, model).unexpected
    larger = built(**dict(CORE, fusion=dict(CORE['fusion'], image_size=64)))
    made = Beit3Layout.convert(whole, larger)
    table = made.state['fusion.positions.image']
    assert table.shape == (67, 24) and torch.equal(table[:3], state['encoder.embed_positions.A.weight'][:3])


def test_one_modality_touches_only_its_own():
    model = built(**CORE)
    inputs, samples = pairs()
    for name, other in (('image', 'text'), ('text', 'image')):
        model.zero_grad(set_to_none=True)
        States(model, inputs, samples)[name].tokens.sum().backward()
        touched = {
            key.split('.')[-2] if '.' in key else key
            for key, p in model.fusion.named_parameters()
            if p.grad is not None
        }
        assert not [key for key, p in model.fusion.named_parameters() if f'.{other}' in key and p.grad is not None], (
            touched
        )
        assert all(p.grad is not None for key, p in model.fusion.named_parameters() if f'.{name}' in key)


def test_shared_attention_has_fewer_parameters_and_sees_both():
    own, shared = built(**CORE), built(**dict(CORE, fusion=dict(CORE['fusion'], shared_attention=True)))
    assert sum(p.numel() for p in shared.parameters()) < sum(p.numel() for p in own.parameters())
    inputs, samples = pairs()
    joint = States(shared, inputs, samples).joint('image', 'text')
    assert joint.tokens.shape == (4, 17 + 7, 24) and joint.parts['text'] == slice(17, 24)


def test_padding_changes_nothing():
    model = built(**CORE).eval()
    inputs, samples = pairs()
    short = Texts(inputs['text'].ids[:1, :5], inputs['text'].keep[:1, :5])
    alone = States(model, dict(image=inputs['image'][:1], text=short), samples).joint('image', 'text').tokens
    whole = States(model, inputs, samples).joint('image', 'text').tokens
    assert torch.allclose(whole[:1, :22], alone, atol=1e-5)


# Objectives

CAPTION = dict(
    CORE,
    decoder=dict(type='mmparts.MultiwayDecoder', vocab_size=VOCABULARY),
    objectives=dict(captioning=dict(type='mmparts.MaskedCaptioning')),
    inference=dict(type='mmparts.Captions', search=dict(type='mmparts.BeamSearch', num_beams=3, max_length=10)),
)


class Recomputing:
    """Writes without caches: every text from its start, with a mask behind it."""

    def __init__(self, model, images):
        self.model, self.images = model, images

    def start(self, prompt):
        self.texts, self.items = prompt, torch.arange(len(prompt))
        return self.next()

    def go_on(self, words, rows):
        self.texts, self.items = torch.cat([self.texts[rows], words[:, None]], 1), self.items[rows]
        return self.next()

    def next(self):
        texts = Texts(F.pad(self.texts, (0, 1), value=Numbers.mask_id), None)
        texts.keep = torch.ones_like(texts.ids).bool()
        states = States(self.model, dict(image=self.images[self.items], text=texts))
        return self.model.decoder.masked(states, texts)[:, -1]


@pytest.mark.parametrize(
    'search', [GreedySearch(max_length=9), BeamSearch(num_beams=3, max_length=9, length_penalty=0.6)]
)
def test_captions_with_caches_as_without(search):
    model = built(**CAPTION).eval()
    with torch.no_grad():
        model.decoder.head.weight.mul_(0.3)
        model.decoder.head.bias[END] = 2.0
    inputs, samples = pairs()
    prompt = torch.tensor([[1, 5]] * 4)
    memory = model.decoder.memory(States(model, inputs, samples))
    kept = search(model.decoder.writer(memory), prompt, END)
    plain = search(Recomputing(model, inputs['image']), prompt, END)
    assert [one.ids for one in kept] == [one.ids for one in plain]
    assert torch.allclose(*(torch.tensor([one.score for one in each]) for each in (kept, plain)), atol=1e-4)
    model.inference.search = search
    written = search(model.decoder.writer(memory), prompt[:, :1], END)
    said = [sample.pred_text for sample in model(inputs, samples, mode='predict')]
    assert said == [Numbers().decode(one.ids[1:]) for one in written]


def test_captions_are_told_from_what_is_before():
    model = built(**CAPTION).eval()
    inputs, samples = pairs()
    texts = inputs['text']
    other = Texts(texts.ids.clone(), texts.keep)
    other.ids[:, 4:] = 9
    states = States(model, inputs, samples)
    first, second = (model.decoder.masked(states, each) for each in (texts, other))
    assert torch.allclose(first[:, :4], second[:, :4], atol=1e-5) and not torch.allclose(first[:, 4:], second[:, 4:])


def test_caption_masks():
    masking = CaptionMasking(share=0.7)
    masking.tokenizer = Numbers()
    ids = torch.tensor([[1, 5, 6, 7, 8, 9, 10, 11, 12, END], [1, 5, END, 0, 0, 0, 0, 0, 0, 0], [1, END] + [0] * 8])
    for _ in range(20):
        masked, targets = masking(Texts(ids, ids > 0))
        chosen = targets >= 0
        assert chosen.sum(1).tolist() == [7, 2, 1] and not chosen[:, 0].any() and not chosen[ids == 0].any()
        assert torch.equal(targets[chosen], ids[chosen]) and torch.equal(masked.ids[~chosen], ids[~chosen])


def test_label_smoothing_over_the_others():
    logits = torch.randn(5, 7, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1, 2, 3, 6])
    wanted = torch.full((5, 7), 0.1 / 6).scatter(1, targets[:, None], 0.9)
    expected = F.kl_div(logits.log_softmax(-1), wanted, reduction='none').sum(1)
    assert torch.allclose(smoothed_divergence(logits, targets, 0.1), expected, atol=1e-6)
    assert torch.allclose(smoothed_divergence(logits, targets, 0.0), F.cross_entropy(logits, targets, reduction='none'))


def test_the_worst_words_are_left_out_late():
    objective = dict(type='mmparts.MaskedCaptioning', drop_after=1, drop_worst=0.5)
    model = built(**dict(CAPTION, objectives=dict(captioning=objective))).train()
    inputs, samples = pairs()
    losses = []
    for _ in range(2):
        torch.manual_seed(5)
        losses.append(model(inputs, samples, mode='loss')['captioning.loss'].item())
    assert losses[1] < losses[0]


def test_words_are_hidden_as_said():
    masking = WordMasking(share=0.4)
    masking.tokenizer = Numbers()
    ids = torch.randint(3, 50, (400, 12), generator=torch.Generator().manual_seed(0))
    ids[:, 0], ids[:, -1] = 1, END
    torch.manual_seed(0)
    masked, targets = masking(Texts(ids, torch.ones_like(ids).bool()))
    chosen = targets >= 0
    assert chosen[:, 1:-1].float().mean().item() == pytest.approx(0.4, abs=0.03) and not chosen[:, [0, -1]].any()
    hidden = (masked.ids == Numbers.mask_id)[chosen].float().mean().item()
    same = (masked.ids == ids)[chosen].float().mean().item()
    assert hidden == pytest.approx(0.8, abs=0.03) and same == pytest.approx(0.1, abs=0.03)

    words = torch.tensor([[-1, 0, 0, 1, 2, 2, 2, 3, -1]])
    whole = WordMasking(share=0.5, count='exact', whole_words=True)
    whole.tokenizer = Numbers()
    ids = torch.tensor([[1, 5, 6, 7, 8, 9, 10, 11, END]])
    for _ in range(20):
        chosen = whole(Texts(ids, torch.ones_like(ids).bool(), words))[1][0] >= 0
        picked = [bool(chosen[(words[0] == word).nonzero()[0, 0]]) for word in range(4)]
        assert sum(picked) == 2
        assert chosen.tolist() == [False, *(picked[word] for word in (0, 0, 1, 2, 2, 2, 3)), False]


def test_blocks_hide_exactly_their_share():
    for size, share in (((14, 14), 0.4), ((4, 4), 0.4), ((10, 6), 0.75)):
        hidden = BlockMasking(share=share)(8, size)
        assert (hidden.sum(1) == int(share * size[0] * size[1])).all() and len(hidden.unique(dim=0)) > 1


def test_masked_data_reaches_every_parameter():
    model = built(**CORE, objectives=dict(masked=MASKED), inference=dict(type='mmparts.FilledWords')).train()
    inputs, samples = pairs()
    torch.manual_seed(1)
    losses = model(inputs, samples, mode='loss')
    kinds = ('text', 'image', 'pair_text', 'pair_image')
    assert {f'masked.loss_{kind}' for kind in kinds} <= set(losses)
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert not [name for name, p in model.named_parameters() if p.grad is None]

    inputs['text'].ids[:, 3] = Numbers.mask_id
    model.eval()
    said = model(inputs, samples, mode='predict')
    with torch.no_grad():
        word = model.objectives['masked'].words_of(States(model, inputs, samples))[1, 3].argmax().item()
    ids = inputs['text'].ids[1].tolist()
    ids[3] = word
    assert said[1].pred_text == Numbers().decode(ids)


def reasons(head):
    objectives = dict(reasoning=dict(type='mmparts.PairReasoning', head=head))
    return built(**CORE, objectives=objectives, inference=dict(type='mmparts.TruthOfPairs'))


def test_reasoning_and_answers_reach_every_parameter():
    inputs, samples = pairs()
    for index, sample in enumerate(samples):
        sample.gt_label = torch.tensor(index % 2)
        sample.gt_answers, sample.gt_answer_weights = ['yes', 'odd'], [0.3, 1.0]
    head = dict(type='mmparts.JointHead', norm_first=True, hidden_dims=48, norm_hidden=True)
    reasoning = built(
        **CORE,
        objectives=dict(reasoning=dict(type='mmparts.PairReasoning', head=head)),
        inference=dict(type='mmparts.TruthOfPairs'),
    )
    answers = built(
        **dict(CORE, fusion=dict(CORE['fusion'], final_norm=False)),
        objectives=dict(
            answers=dict(
                type='mmparts.AnswerClasses',
                answers=['yes', 'no', '2'],
                head=dict(type='mmparts.JointHead', pooler=True),
            )
        ),
        inference=dict(type='mmparts.ChosenAnswers'),
    )
    both = dict(inputs, image=torch.cat([inputs['image'], inputs['image'].flip(0)]))
    # The positions' first two rows are never read; the last block tells nothing of tokens that no head reads.
    for model, given, dead in ((reasoning, both, 'mask_token'), (answers, inputs, r'mask_token')):
        losses = model(given, samples, mode='loss')
        sum(value for name, value in losses.items() if 'loss' in name).backward()
        lacking = [name for name, p in model.named_parameters() if p.grad is None and dead not in name]
        assert all(name.startswith('fusion.blocks.2.') for name in lacking), lacking
        assert len(model.eval()(given, samples, mode='predict')) == 4

    with torch.no_grad():
        states = States(answers, inputs, samples)
        logits = answers.objectives['answers'].logits(states)
        wanted = torch.tensor([[0.3, 0, 0]] * 4)
        expected = 3 * F.binary_cross_entropy_with_logits(logits, wanted)
    assert answers(inputs, samples, mode='loss')['answers.loss'].item() == pytest.approx(expected.item(), rel=1e-5)


def test_reasoning_sees_the_images_in_order():
    head = dict(type='mmparts.JointHead')
    model = built(
        **CORE,
        objectives=dict(reasoning=dict(type='mmparts.PairReasoning', head=head)),
        inference=dict(type='mmparts.TruthOfPairs'),
    ).eval()
    inputs, samples = pairs()
    both = torch.cat([inputs['image'], inputs['image'].flip(0)])
    seen = {}
    model.objectives['reasoning'].head.register_forward_hook(lambda module, given, out: seen.update(x=given[0]))
    with torch.no_grad():
        model(dict(inputs, image=both), samples, mode='predict')
        vectors = []
        for images in both.chunk(2):
            joint = States(model, dict(inputs, image=images), samples).joint('image', 'text')
            vectors += [joint.tokens[:, 0], joint.tokens[:, 17]]
    assert torch.allclose(seen['x'], torch.cat(vectors, -1), atol=1e-5)


@pytest.mark.parametrize(
    ('parts', 'message'),
    [
        (dict(CORE, fusion=None, objectives=dict(masked=MASKED), inference=None), "uses '(joint|alone)'"),
        (dict(CAPTION, objectives=dict(captioning=dict(type='mmparts.Captioning'))), "uses 'decoder'"),
    ],
)
def test_nonsense_is_refused_when_built(parts, message):
    with pytest.raises(ValueError, match=message):
        built(**{key: value for key, value in parts.items() if value is not None})
