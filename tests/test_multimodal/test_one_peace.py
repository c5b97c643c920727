"""ONE-PEACE: counts, the layer in the sheet's own words, what is hidden, the loss by hand, padding, two stages."""

import math

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from tiny import CONFIGS, build, total, without_gradient

from mmparts.multimodal.one_peace.adapters import Waves, WaveTower, sequence_index
from mmparts.multimodal.one_peace.checkpoint import OnePeaceLayout, OnePeaceVision
from mmparts.multimodal.one_peace.denoising import denoise
from mmparts.multimodal.one_peace.encoder import joint_bias, seen
from mmparts.multimodal.one_peace.masking import PatchMasking, SpanMasking, TextMasking
from mmparts.multimodal.states import State, States, Texts
from mmparts.registry import MODELS
from mmparts.structures import MultimodalSample
from mmparts.tasks import Referring, task_of

ARCH = dict(embed_dims=32, num_layers=2, num_heads=2, mlp_dims=48)
SMALL = dict(embed_dims=16, num_layers=1, num_heads=2, mlp_dims=24)
KINDS = {'image': 1.0, 'text': 0.5, 'text+image:text': 0.5, 'text+image:image': 0.5}
SOUND = {'audio': 1.0, 'text+audio:text': 0.5, 'text+audio:audio': 0.5}


def whole(name: str):
    """A base at its own size."""
    return Config.fromfile(CONFIGS / f'_base_/models/{name}.py').model


def config(stage: int = 1):
    """A small one, of bytes."""
    cfg = whole('one_peace_pretrain' if stage == 1 else 'one_peace_sound')
    text = dict(tokenizer=dict(type='mmparts.ByteTokenizer', context_length=24))
    cfg.data_preprocessor.inputs.text.update(text)
    cfg.fusion.update(arch=ARCH, drop_path=0.0)
    for name in cfg.towers:
        cfg.towers[name].arch = ARCH
        cfg.projections[name].out_dims = 8
    cfg.towers.text.vocab_size = 262
    if 'audio' in cfg.towers:
        cfg.towers.audio.conv_dims = 12
    cfg.objectives.denoising.decoder = SMALL
    return cfg


def inputs(model, seconds=(0.3, 0.2), size=64):
    torch.manual_seed(0)
    parts, given = model.data_preprocessor.inputs, {}
    if 'image' in parts:
        given['image'] = parts['image'](list(torch.randint(256, (2, 3, size, size))), 'cpu')
    given['text'] = parts['text'](['two red circles', 'a ring'], 'cpu')
    if 'audio' in parts:
        given['audio'] = parts['audio']([torch.randn(int(16000 * each)) for each in seconds], 'cpu')
    return given


# ------------------------------------------------------------------------------------------------ counts


def test_counts():
    """The sheet's numbers, the whole, its parts, and the pre-training with its decoder."""

    def count(module):
        return sum(parameter.numel() for parameter in module.parameters())

    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(whole('one_peace'))
        every = dict(type='mmparts.DenoisingContrast', kinds={**KINDS, **SOUND}, joint_dims=1536)
        decoder = MODELS.build(every)
        vision = MODELS.build(whole('one_peace_vision'))
    assert count(model) == 3_884_740_545
    assert {name: count(tower) for name, tower in model.towers.items()} == dict(
        image=3_390_816, text=78_008_880, audio=19_040_816
    )
    ffns = {name: sum(count(block.mlp[name]) for block in model.fusion.blocks) for name in ('image', 'text', 'audio')}
    assert set(ffns.values()) == {1_133_015_040}
    assert count(model.fusion) - sum(ffns.values()) == 378_172_416
    assert count(decoder) == 41_548_032 - 4 * 768, 'less the class tokens and the mask of the sound, all dead'
    assert count(vision.towers) + count(vision.fusion) == 1_514_569_056


def test_counts_of_tasks():
    """The parts of the sheet's table, with 39 tables more of 24 heads, and the head of the answers."""

    def count(name):
        with torch.device('meta'), DefaultScope.overwrite_default_scope('mmdet'):
            return sum(parameter.numel() for parameter in MODELS.build(whole(name)).parameters())

    ffn, projection, norm = 1_133_015_040, 1536 * 1537, 2 * 1536
    image, text, audio = (39 * 24 * rows for rows in (31**2 + 3, 2 * 256 + 2, 2 * 512 + 2))
    without_sound = 3_884_740_545 - ffn - 19_040_816 - projection - norm
    assert count('one_peace_retrieval') == without_sound + image + text
    assert count('one_peace_sound_retrieval') == 3_884_740_545 - ffn - 3_390_816 - projection - norm + audio + text
    pooling = 1536 + 1536**2 + 2 * projection
    head = norm + projection + 1537 * 3072 + 2 * 3072 + 3073 * 3129
    without_space = without_sound + image + text - 1 - 2 * projection
    assert count('one_peace_vqa') == without_space + pooling + head
    head = norm + 3073 * 3072 + 2 * 3072 + 3073 * 2
    assert count('one_peace_nlvr2') == without_space + pooling + head + 3 * 1536, 'three types'
    head = norm + 1537 * 3072 + 2 * 3072 + 3073 * 4
    larger = 40 * 24 * (47**2 - 31**2)
    sound_head = norm + 1537 * 3072 + 2 * 3072 + 3073 * 309
    sound_alone = 3_884_740_545 - 2 * ffn - 3_390_816 - 78_008_880 - 3 * projection - 2 * norm - 1
    assert count('one_peace_sound_classes') == sound_alone + audio + pooling + sound_head
    assert count('one_peace_grounding') == without_space + pooling + head + larger


# ------------------------------------------------------------------------------------------------ the layer


def official(model) -> dict[str, torch.Tensor]:
    """The state of the published file that would fill the model, by the names of the sheet."""
    state, whole = {}, model.state_dict()
    wrapper, dims = 'encoder_wrapper.', whole['fusion.blocks.0.attn_scale'].shape[0]

    def stack(ours, theirs):
        layers = len({name.split('blocks.')[1].split('.')[0] for name in whole if name.startswith(f'{ours}.blocks.')})
        for number in range(layers):
            a, b = f'{ours}.blocks.{number}.', f'{theirs}layers.{number}.'
            if a + 'attn_scale' in whole:
                state[b + 'gamma_1'], state[b + 'gamma_2'] = whole[a + 'attn_scale'], whole[a + 'mlp_scale']
            for letter, part in zip('qkv', whole[a + 'attn.part.in_proj_weight'].chunk(3)):
                state[f'{b}self_attn.{letter}_proj.weight'] = part
            for kind in ('weight', 'bias'):
                state[f'{b}self_attn.ln.{kind}'] = whole[f'{a}attn.part.inner_norm.{kind}']
                state[f'{b}self_attn.out_proj.{kind}'] = whole[f'{a}attn.part.out_proj.{kind}']
                state[f'{b}self_attn_layer_norm.{kind}'] = whole[f'{a}attn_norm.part.{kind}']
                state[f'{b}final_layer_norm.{kind}'] = whole[f'{a}mlp_norm.part.{kind}']
            for letter in 'qv':
                state[f'{b}self_attn.{letter}_proj.bias'] = whole[f'{a}attn.part.{letter}_bias']
            for name in ('image', 'text', 'audio'):
                if f'{a}mlp.{name}.fc1.weight' not in whole:
                    continue
                gate, value = whole[f'{a}mlp.{name}.fc1.weight'].chunk(2)
                state[f'{b}{name}_ffn.0.wi_0.weight'], state[f'{b}{name}_ffn.0.wi_1.weight'] = gate, value
                for kind in ('weight', 'bias'):
                    state[f'{b}{name}_ffn.2.{kind}'] = whole[f'{a}mlp.{name}.norm.{kind}']
                    state[f'{b}{name}_ffn.3.{kind}'] = whole[f'{a}mlp.{name}.fc2.{kind}']
        for name in ('image', 'text', 'audio'):
            for kind in ('weight', 'bias'):
                if f'{ours}.norm.{name}.{kind}' in whole:
                    state[f'{theirs}{name}_layer_norm.{kind}'] = whole[f'{ours}.norm.{name}.{kind}']

    stack('fusion', wrapper + 'fusion_model.')
    ours = 'objectives.denoising.decoder'
    stack(ours, 'decoder_wrapper.fusion_model.')
    for name in model.towers:
        a, b = f'towers.{name}.', f'{wrapper}{name}_adapter.'
        state[b + 'cls_embedding'] = whole[a + 'class_token'].view(1, 1, -1)
        state[b + 'rel_pos_table_list.0.weight'] = whole[a + 'bias.table']
        state[b + 'rp_bucket'] = torch.zeros(2, 2)
        state[f'{name}_mask_token'] = whole[f'{ours}.mask_tokens.{name}'].view(1, -1)
        state[f'decoder_wrapper.{name}_adapter.cls_embedding'] = torch.zeros(1, 1, 16)
        place = 'pos_embed' if name == 'image' else 'embed_positions.weight'
        state[f'decoder_wrapper.{name}_adapter.{place}'] = whole[f'{ours}.places.{name}']
        for kind in ('weight', 'bias'):
            state[f'{name}_proj.{kind}'] = whole[f'projections.{name}.{kind}']
            state[f'decoder_{name}_embed.{kind}'] = whole[f'{ours}.embed.{name}.{kind}']
            state[f'{name}_mask_head.{kind}'] = whole[f'{ours}.head.{name}.{kind}']
    b = wrapper + 'text_adapter.'
    state[b + 'embed_tokens.weight'] = whole['towers.text.words.weight']
    state[b + 'embed_positions.weight'] = whole['towers.text.positions']
    if 'image' in model.towers:
        b = wrapper + 'image_adapter.'
        state[b + 'pos_embed'] = whole['towers.image.positions'][None]
        state[b + 'position_idx'] = torch.zeros(2)
        for place in (0, 1, 3, 4, 6):
            norm = 'layer_norm.' if place in (1, 4) else ''
            for kind in ('weight', 'bias'):
                state[f'{b}embed_images.{place}.{norm}{kind}'] = whole[f'towers.image.stem.{place}.{kind}']
    if 'audio' in model.towers:
        b = wrapper + 'audio_adapter.'
        for place in range(7):
            state[f'{b}embed_audios.0.conv_layers.{place}.0.weight'] = whole[f'towers.audio.convs.{place}.0.weight']
        for kind in ('weight', 'bias'):
            for place in range(7):
                key = f'{b}embed_audios.0.conv_layers.{place}.2.1.{kind}'
                state[key] = whole[f'towers.audio.convs.{place}.1.{kind}']
            for place in range(5):
                state[f'{b}embed_positions.{place + 1}.0.{kind}'] = whole[f'towers.audio.places.{place}.{kind}']
            state[f'{b}embed_audios.2.{kind}'] = whole[f'towers.audio.norm.{kind}']
            state[f'{b}embed_audios.3.{kind}'] = whole[f'towers.audio.linear.{kind}']
        state[b + 'cls_pos_embed'] = whole['towers.audio.class_place'].view(1, 1, dims)
        state[b + 'mask_embedding'] = whole['towers.audio.mask_token']
        state['decoder_wrapper.audio_adapter.mask_embedding'] = torch.zeros(16)
    state[wrapper + 'fusion_model.version'] = torch.zeros(1)
    state['logit_scale'] = whole['objectives.contrastive.scale.log_scale']
    return state


def by_hand(state, x, spans, bias, heads=2, prefix='encoder_wrapper.fusion_model.', layers=2):
    """Section 10.2 of the sheet, T B C as there, from official names: ``bias`` heads N N, or a list, one a
    layer; no padding."""

    def norm(x, name):
        return F.layer_norm(x, x.shape[-1:], state[name + '.weight'], state[name + '.bias'], 1e-5)

    x = x.transpose(0, 1)
    for number in range(layers):
        layer = f'{prefix}layers.{number}.'
        h = norm(x, layer + 'self_attn_layer_norm')
        q, k, v = (
            F.linear(h, state[f'{layer}self_attn.{one}_proj.weight'], state.get(f'{layer}self_attn.{one}_proj.bias'))
            for one in 'qkv'
        )
        length, batch, dims = q.shape
        q, k, v = (each.reshape(length, batch * heads, dims // heads).transpose(0, 1) for each in (q, k, v))
        own = bias[number] if isinstance(bias, list) else bias
        logits = q @ k.transpose(1, 2) / math.sqrt(dims // heads) + own.repeat(batch, 1, 1)
        h = (logits.softmax(-1) @ v).transpose(0, 1).reshape(length, batch, dims)
        h = norm(h, layer + 'self_attn.ln')
        h = F.linear(h, state[layer + 'self_attn.out_proj.weight'], state[layer + 'self_attn.out_proj.bias'])
        x = x + state[layer + 'gamma_1'] * h
        h, parts, start = norm(x, layer + 'final_layer_norm'), [], 0
        for name, count in spans:
            ffn, part = f'{layer}{name}_ffn.', h[start : start + count]
            gated = F.gelu(F.linear(part, state[ffn + '0.wi_0.weight'])) * F.linear(part, state[ffn + '0.wi_1.weight'])
            parts.append(F.linear(norm(gated, ffn + '2'), state[ffn + '3.weight'], state[ffn + '3.bias']))
            start += count
        x = x + state[layer + 'gamma_2'] * torch.cat(parts)
    parts, start = [], 0
    for name, count in spans:
        parts.append(norm(x[start : start + count], f'{prefix}{name}_layer_norm'))
        start += count
    return torch.cat(parts).transpose(0, 1)


@pytest.mark.parametrize('stage', [1, 2])
def test_the_encoder_is_that_of_the_sheet_and_the_layout_is_strict(stage):
    model = build(config(stage)).eval()
    state = official(model)
    other = build(config(stage), seed=1).eval()
    made = OnePeaceLayout.convert(state, other)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    other.load_state_dict(made.state, strict=False)
    assert OnePeaceLayout.matches(set(state))
    less = {name: tensor for name, tensor in state.items() if 'gamma_1' not in name}
    assert OnePeaceLayout.convert(less, other).missing
    assert OnePeaceLayout.convert(state | {'encoder_wrapper.more': torch.zeros(1)}, other).unexpected

    data = inputs(other, seconds=(0.2, 0.2))
    second = 'image' if stage == 1 else 'audio'
    data['text'] = other.data_preprocessor.inputs['text'](['a ring', 'a star'], 'cpu')
    with torch.no_grad():
        states = States(other, data)
        joint = states.joint('text', second)
        text, image = states.tower('text'), states.tower(second)
        bias = torch.block_diag
        bias = torch.stack([bias(a, b) for a, b in zip(text.bias, image.bias)])
        spans = [('text', text.tokens.shape[1]), (second, image.tokens.shape[1])]
        wanted = by_hand(state, torch.cat([text.tokens, image.tokens], 1), spans, bias)
    torch.testing.assert_close(joint.tokens, wanted, atol=1e-5, rtol=1e-4)
    assert joint.parts['text'] == slice(0, spans[0][1])


def as_vision(state):
    """The image part of a state, as the official script writes it."""
    last = ('image_layer_norm.weight', 'image_layer_norm.bias')
    kept = {
        name.removeprefix('encoder_wrapper.').replace('fusion_model.', 'encoder.'): tensor
        for name, tensor in state.items()
        if name.startswith('encoder_wrapper.') and not name.endswith(last)
    }
    return {
        name: each
        for name, each in kept.items()
        if not any(word in name for word in ('text', 'audio', 'decoder', 'mask', 'version'))
    }


def test_the_vision_branch_has_no_last_norm_and_no_head():
    cfg = whole('one_peace_vision')
    cfg.fusion.arch = cfg.towers.image.arch = ARCH
    vision = build(cfg).eval()
    state = official(build(config()))
    exported = as_vision(state)
    made = OnePeaceVision.convert(exported, vision)
    assert OnePeaceVision.matches(set(exported)) and not (made.missing or made.refused or made.unexpected)
    assert {name.split('.')[2] for name in made.initialised} == {'head'}

    tuned = exported | {'fc_norm.weight': torch.rand(32), 'fc_norm.bias': torch.rand(32)}
    tuned |= {'head.weight': torch.rand(1000, 32), 'head.bias': torch.rand(1000)}
    tuned['image_adapter.rel_pos_table.weight'] = tuned.pop('image_adapter.rel_pos_table_list.0.weight')
    made = OnePeaceVision.convert(tuned, vision)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    assert made.state['objectives.classes.head.1.weight'].equal(tuned['head.weight'])
    del tuned['head.bias']
    assert list(OnePeaceVision.convert(tuned, vision).missing) == ['objectives.classes.head.1.bias']


def test_images_of_another_size_are_told_as_with_tables_resized_before():
    """Tables of 64 pixels, resized while images of 128 pass or when the file is read."""
    before = config()
    before.towers.image.image_size = 64
    state = as_vision(official(build(before)))
    heads = {'fc_norm.weight': torch.rand(32), 'fc_norm.bias': torch.rand(32)}
    heads |= {'head.weight': torch.rand(1000, 32), 'head.bias': torch.rand(1000)}
    models = []
    for size in (64, 128):
        cfg = whole('one_peace_vision')
        cfg.fusion.arch = cfg.towers.image.arch = ARCH
        cfg.towers.image.image_size = size
        models.append(build(cfg, seed=size).eval())
        made = OnePeaceVision.convert(state | heads, models[-1])
        assert not (made.missing or made.refused or made.unexpected or made.initialised)
        models[-1].load_state_dict(made.state, strict=False)
    large = models[1]
    assert len(large.towers['image'].positions) == 65 and len(large.towers['image'].bias.table) == 15**2 + 3
    images = dict(image=torch.randn(2, 3, 128, 128))
    with torch.no_grad():
        one, two = (model(images, mode='predict') for model in models)
    torch.testing.assert_close(one[1].pred_scores, two[1].pred_scores)


# ------------------------------------------------------------------------------------------------ distances


def test_the_buckets_of_distances_are_those_of_the_sheet():
    buckets, length = 8, 1200
    index, near = sequence_index(length, buckets), buckets // 2
    for query, key in ((5, 5), (5, 2), (2, 5), (1, 200), (1100, 3), (1100, 1099), (3, 1190)):
        distance = query - key
        size = abs(distance)
        if size >= near:
            step = math.ceil(math.log(size / near) / math.log(1023 / near) * (near - 1))
            distance = min(near + step, buckets - 1) * (1 if distance > 0 else -1)
        assert index[query, key] == distance + buckets - 1, (query, key)
    assert (index[0, 1:] == 2 * buckets - 1).all() and (index[1:, 0] == 2 * buckets).all()
    assert index[0, 0] == 2 * buckets + 1 and index.min() >= 0


# ------------------------------------------------------------------------------------------------ what is hidden


def texts(words, length=None):
    words = torch.tensor(words)
    return Texts(words.abs() + 5, words > -2, words)


def test_words_are_hidden_whole_and_the_rest_beside_an_image():
    given = texts([[0, 0, 1, 2, 2, 2, 3, 4, -1], [0, 1, 1, -1, -2, -2, -2, -2, -2]])
    state = State(torch.zeros(2, 10, 4), F.pad(given.keep, (1, 0), value=True))
    for seed in range(20):
        torch.manual_seed(seed)
        hidden = TextMasking(0.3)(state, given)
        words = [set(given.words[row][hidden[row, 1:]].tolist()) for row in range(2)]
        assert [len(each) for each in words] == [math.ceil(0.3 * 5), math.ceil(0.3 * 2)]
        for row, chosen in enumerate(words):
            assert -1 not in chosen, 'the end is never hidden'
            assert all((hidden[row, 1:] == (given.words[row] == number)).any() for number in chosen)
            every = torch.isin(given.words[row], torch.tensor(sorted(chosen)))
            assert (hidden[row, 1:] == every).all(), 'all pieces of a word'
        beside = TextMasking(0.4)(state, given, hidden)
        assert not (beside & hidden).any() and not beside[:, 0].any()
        assert beside.sum(1).tolist() == [math.floor(0.4 * 8), math.floor(0.4 * 3)]


def test_beside_a_text_every_patch_that_the_image_alone_shows_is_hidden():
    """Section 13: 192 of 256 alone; 176 beside a text, the 64 that were seen and 112 more."""
    state = State(torch.zeros(3, 257, 4))
    alone = PatchMasking(0.75)(state, None)
    beside = PatchMasking(0.6875)(state, None, alone)
    assert alone.sum(1).tolist() == [192] * 3 and beside.sum(1).tolist() == [176] * 3
    assert (beside | alone)[:, 1:].all() and not (beside | alone)[:, 0].any()
    with pytest.raises(ValueError, match='shows 205 of 256 patches, more than the 176'):
        PatchMasking(0.6875)(state, None, PatchMasking(0.2)(state, None))


def test_sound_is_hidden_in_spans_of_an_exact_number():
    keep = torch.ones(2, 101, dtype=torch.bool)
    keep[1, 41:] = False
    hidden = SpanMasking(0.55)(State(torch.zeros(2, 101, 4), keep), None)
    assert hidden.sum(1).tolist() == [55, 22] and not hidden[1, 41:].any() and not hidden[:, 0].any()
    edges = (hidden[0, 1:] != hidden[0, :-1]).sum()
    assert edges < 50, 'spans, not frames one by one'
    assert SpanMasking(0.55).one(2).sum() == 1 and SpanMasking(0.55).one(7).sum() == 3


# ------------------------------------------------------------------------------------------------ the student


def test_without_masks_the_student_is_the_teacher():
    model = build(config()).eval()
    states = States(model, inputs(model))
    with torch.no_grad():
        whole = states.tower('text')
        kept, index = seen(whole, torch.zeros(whole.tokens.shape[:2], dtype=torch.bool))
        student, teacher = model.fusion.run(dict(text=kept)), states.joint('text')
    torch.testing.assert_close(student.tokens[whole.keep], teacher.tokens[whole.keep])


def test_tokens_that_are_left_keep_their_places_and_their_biases():
    """A model that sees some tokens says of them what one says that sees all and may not look at the others."""
    model = build(config()).eval()
    states = States(model, inputs(model))
    whole = states.tower('image')
    hidden = PatchMasking(0.5)(whole, None)
    kept, index = seen(whole, hidden)
    with torch.no_grad():
        student = model.fusion.run(dict(image=kept)).tokens
        masked = model.fusion.run(dict(image=State(whole.tokens, ~hidden, bias=whole.bias))).tokens
    rows = torch.arange(2)[:, None]
    torch.testing.assert_close(student, masked[rows, index], atol=1e-5, rtol=1e-4)
    assert (index[:, 0] == 0).all() and not hidden[rows, index].any()


def test_padding_changes_nothing():
    model = build(config(2)).eval()
    parts = model.data_preprocessor.inputs
    torch.manual_seed(1)
    waves, said = [torch.randn(4800), torch.randn(3300)], ['two red circles', 'ring']
    one, two = (
        States(model, dict(text=parts['text'](texts, 'cpu'), audio=parts['audio'](sound, 'cpu')))
        for texts, sound in ((said, waves), (said[1:], waves[1:]))
    )
    with torch.no_grad():
        for name in ('text', 'audio'):
            torch.testing.assert_close(one.embedding(name)[1:], two.embedding(name), atol=1e-5, rtol=1e-4)
        a, b = one.joint('text', 'audio'), two.joint('text', 'audio')
        torch.testing.assert_close(a.tokens[1][a.keep[1]], b.tokens[0], atol=1e-5, rtol=1e-4)

        denoising = model.objectives['denoising']
        found = []
        for states in (one, two):
            whole = states.tower('audio')
            hidden = torch.zeros(whole.tokens.shape[:2], dtype=torch.bool)
            hidden[:, 3:6] = True
            kept, index = seen(whole, hidden)
            joint = model.fusion.run(dict(audio=kept))
            found.append(denoising.decoder(dict(audio=(joint.tokens, index, kept.keep, whole)))['audio'])
        frames = found[1].shape[1]
    torch.testing.assert_close(found[0][1, :frames], found[1][0], atol=1e-5, rtol=1e-4)


def test_sound_is_normed_over_its_own_length_and_framed():
    tower = WaveTower(arch=ARCH, conv_dims=8).eval()
    waves = Waves(torch.randn(2, 1600), torch.tensor([1600, 720]))
    state = tower(waves)
    assert state.tokens.shape == (2, 1 + 4, 32)
    assert state.keep.sum(1).tolist() == [1 + 4, 1 + 2], 'the class, and a frame a 320 samples from 400 on'


# ------------------------------------------------------------------------------------------------ the loss


def test_the_loss_is_a_smoothed_cross_entropy_over_all_tokens_of_the_batch():
    torch.manual_seed(0)
    student, teacher = torch.randn(2, 4, 8), torch.randn(2, 4, 8)
    hidden = torch.tensor([[0, 1, 0, 1], [0, 1, 1, 0]]).bool()
    keep = torch.tensor([[0, 1, 1, 1], [0, 1, 0, 1]]).bool()
    loss, _ = denoise(student, teacher, hidden, keep, 2.5, 0.1)
    places = [(row, place) for row in range(2) for place in range(4) if keep[row, place]]
    losses = []
    for row, place in places:
        if not hidden[row, place]:
            continue
        cosines = torch.stack([F.cosine_similarity(student[row, place], teacher[each], dim=0) for each in places])
        said = (2.5 * cosines).log_softmax(0)
        own = places.index((row, place))
        others = said.sum() - said[own]
        losses.append(-(0.9 * said[own] + 0.1 / (len(places) - 1) * others))
    assert len(losses) == 3, 'the fourth is padding'
    torch.testing.assert_close(loss, torch.stack(losses).mean())

    same = torch.ones(1, 6, 8)
    flat, _ = denoise(
        same, same, keep=torch.ones(1, 6).bool(), hidden=torch.ones(1, 6).bool(), scale=2.5, smoothing=0.1
    )
    torch.testing.assert_close(flat, torch.tensor(math.log(6)))


def test_blocks_of_two_modalities_have_no_bias_between_them():
    one, two = torch.randn(2, 3, 3), torch.randn(4, 2, 2, 2)
    made = joint_bias(dict(text=State(torch.zeros(4, 3, 8), bias=one), image=State(torch.zeros(4, 2, 8), bias=two)))
    assert made.shape == (4, 2, 5, 5)
    torch.testing.assert_close(made[1, :, :3, :3], one)
    torch.testing.assert_close(made[:, :, 3:, 3:], two)
    assert not made[:, :, :3, 3:].any() and not made[:, :, 3:, :3].any()


@pytest.mark.parametrize('stage', [1, 2])
def test_a_step_of_each_stage(stage):
    model = build(config(stage)).train()
    losses = model(inputs(model), mode='loss')
    wanted = KINDS if stage == 1 else SOUND
    assert {name for name in losses if name.startswith('denoising.loss')} == {
        'denoising.loss_' + kind.replace('+', '_').replace(':', '_') for kind in wanted
    }
    total(losses).backward()
    assert not without_gradient(model)
    free = {name for name, each in model.named_parameters() if each.requires_grad}
    if stage == 2:
        assert not any('attn' in name and name.startswith('fusion') for name in free), 'attention stays as it is'
        assert not any(
            name.startswith(('towers.text', 'projections.text')) or '.mlp.text' in name
            for name in free - {name for name in free if name.startswith('objectives')}
        )
        assert any(name.startswith('towers.audio') for name in free)
        assert any('mlp.audio' in name for name in free) and any('norm.audio' in name for name in free)
    else:
        assert len(free) == len(list(model.parameters()))


def test_sound_alone_learns_from_the_teacher_beside_its_text():
    model = build(config(2)).eval()
    states = States(model, inputs(model))
    denoising = model.objectives['denoising']
    with torch.no_grad():
        teacher, keep = denoising.teacher(states, denoising.teachers['audio'], 'audio')
        joint = states.joint('text', 'audio')
    torch.testing.assert_close(teacher, joint.tokens[:, joint.parts['audio']])
    assert not keep[:, 0].any() and keep.sum(1).tolist() == (states.tower('audio').keep.sum(1) - 1).tolist()


def test_masked_objectives_fall():
    model = build(config()).train()
    data, optimiser = inputs(model), torch.optim.AdamW(model.parameters(), lr=3e-3)
    values = []
    for step in range(40):
        torch.manual_seed(step % 4)
        optimiser.zero_grad()
        losses = model(data, mode='loss')
        value = sum(each for name, each in losses.items() if 'denoising.loss' in name)
        total(losses).backward()
        optimiser.step()
        values.append(float(value.detach()))
    assert sum(values[-4:]) < 0.9 * sum(values[:4])


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (dict(kinds={'image+sound:image': 1.0}), "'image\\+sound:image'; modalities are text, image, audio"),
        (dict(kinds={'text+image': 1.0}), 'say which of the two is told'),
        (dict(teachers={'image': 'text'}), "'text' tells nothing to 'image'"),
        (dict(kinds={'audio': 1.0}), "reads 'audio', and no tower"),
    ],
)
def test_nonsense_is_refused_at_build(changes, said):
    cfg = config()
    cfg.objectives.denoising.update(changes)
    with pytest.raises(ValueError, match=said):
        build(cfg)


# ------------------------------------------------------------------------------------------------ tasks


def tuned(task: str = 'retrieval'):
    """A small one with a table of distances for each layer."""
    cfg, own = config(), whole(f'one_peace_{task}')
    for name in cfg.towers:
        cfg.towers[name] = own.towers[name] | cfg.towers[name]
    cfg.data_preprocessor.inputs.image = own.data_preprocessor.inputs.image
    cfg.objectives = own.objectives
    if task != 'retrieval':
        cfg.projections, cfg.inference = None, own.inference
        (objective,) = cfg.objectives.values()
        objective.read.num_heads, objective.head.hidden_dims = 4, 24
    if task == 'vqa':
        cfg.objectives.answers.answers = ('yes', 'no')
    return cfg


def test_layers_begin_with_copies_of_the_shared_table():
    """A task starts as the pre-training ended: the same embeddings, with padding, and the same joint tokens."""
    before = build(config()).eval()
    after = build(tuned(), seed=1).eval()
    made = OnePeaceLayout.convert(official(before), after)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    after.load_state_dict(made.state, strict=False)
    data = inputs(before)
    with torch.no_grad():
        one, two = before(data), after(data)
        joint = [States(model, data).joint('text', 'image').tokens for model in (before, after)]
    assert one.keys() == two.keys()
    for name in one:
        torch.testing.assert_close(one[name], two[name])
    torch.testing.assert_close(*joint)


def test_each_layer_reads_its_own_table():
    """By hand, with the file of a fine-tuned model, whose tables differ."""
    model = build(tuned()).eval()
    state = official(build(config()))
    for name in ('image', 'text'):
        key = f'encoder_wrapper.{name}_adapter.rel_pos_table_list.'
        for layer in range(2):
            state[f'{key}{layer}.weight'] = torch.randn_like(state[key + '0.weight'])
    made = OnePeaceLayout.convert(state, model)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    model.load_state_dict(made.state, strict=False)
    data = inputs(model)
    data['text'] = model.data_preprocessor.inputs['text'](['a ring', 'a star'], 'cpu')
    with torch.no_grad():
        states = States(model, data)
        text, image = states.tower('text'), states.tower('image')
        assert not text.bias[0].equal(text.bias[1])
        bias = [torch.stack([torch.block_diag(*pair) for pair in zip(*each)]) for each in zip(text.bias, image.bias)]
        spans = [('text', text.tokens.shape[1]), ('image', image.tokens.shape[1])]
        wanted = by_hand(state, torch.cat([text.tokens, image.tokens], 1), spans, bias)
        found = states.joint('text', 'image').tokens
        kept, index = seen(image, torch.rand(image.tokens.shape[:2]).gt(2))
    torch.testing.assert_close(found, wanted, atol=1e-5, rtol=1e-4)
    assert len(kept.bias) == 2 and kept.bias[1][0].equal(image.bias[1])


def test_rates_grow_with_the_layers_and_tables_go_with_theirs():
    model = build(tuned('vqa'))
    ids = {name: model.layer_id(name) for name, _ in model.named_parameters()}
    assert model.num_layer_ids == 4 and set(ids.values()) == {0, 1, 2, 3}
    assert ids['towers.text.bias.0.table'] == ids['fusion.blocks.0.attn.part.in_proj_weight'] == 1
    assert ids['towers.image.bias.1.table'] == 2 and ids['towers.image.positions'] == 0
    assert ids['objectives.answers.pooling.query'] == 3
    shared = build(config())
    assert shared.layer_id('towers.text.bias.table') == 0


def test_a_query_pools_the_words():
    """By hand: no scale, no key bias, heads joined; the first token, the image and padding are not seen."""
    model = build(tuned('vqa')).eval()
    pooling, data = model.objectives['answers'].pooling, inputs(model)
    with torch.no_grad():
        joint = States(model, data).joint('image', 'text')
        words, keep = joint.tokens[:, joint.parts['text']][:, 1:], joint.keep[:, joint.parts['text']][:, 1:]
        found = pooling(joint)
        for row in range(2):
            tokens, said = words[row][keep[row]], []
            keys, values = tokens @ pooling.key.weight.T, pooling.value(tokens)
            for head in range(4):
                part = slice(8 * head, 8 * head + 8)
                said.append((keys[:, part] @ pooling.query[part]).softmax(0) @ values[:, part])
            torch.testing.assert_close(found[row], pooling.out(torch.cat(said)), atol=1e-5, rtol=1e-4)
    assert not keep.all(), 'one text is shorter than the other'


def test_a_task_takes_the_pretraining_but_its_head():
    model = build(tuned('vqa'))
    made = OnePeaceLayout.convert(official(build(config())), model)
    assert not (made.missing or made.refused or made.unexpected)
    assert all(name.startswith('objectives.answers.') for name in made.initialised) and made.initialised


def test_tables_of_another_number_of_layers_are_refused():
    cfg = tuned()
    cfg.towers.image.arch = dict(ARCH, num_layers=3)
    cfg.towers.text.arch = dict(ARCH, num_layers=3)
    with pytest.raises(ValueError, match='3 tables of distances for 2 layers'):
        model = build(cfg)
        model(inputs(model))


def fine_tuned(model, reader: str) -> dict[str, torch.Tensor]:
    """What a published file of a task has beside the pre-training, by the names of the official code."""
    torch.manual_seed(3)
    head = model.objectives[reader]
    dims, outputs = head.pooling.query.shape[0], head.head[-1].out_features
    width = head.head[0].in_features if hasattr(head.head[0], 'in_features') else dims
    state = {
        'attn_pooling_func.q': torch.randn(1, 1, 4, dims // 4),
        'attn_pooling_func.k_proj.weight': torch.randn(dims, dims) / 6,
        'classifier.0.weight': torch.randn(24, width) / 6,
        'classifier.3.weight': torch.randn(outputs, 24) / 5,
    }
    for name in ('v_proj', 'out_proj'):
        state[f'attn_pooling_func.{name}.weight'] = torch.randn(dims, dims) / 6
        state[f'attn_pooling_func.{name}.bias'] = torch.randn(dims)
    for name, size in (('classifier.0.bias', 24), ('classifier.3.bias', outputs), ('norm.weight', dims)):
        state[name] = torch.randn(size)
    for name, size in (('norm.bias', dims), ('classifier.1.weight', 24), ('classifier.1.bias', 24)):
        state[name] = torch.randn(size)
    return {f'classify_head.{name}': each for name, each in state.items()}


def read_by_hand(state, tokens, keep, heads: int = 4):
    """A pooled vector with its norm, B C, as the official head makes it of all tokens of a modality but the first."""
    start, said = 'classify_head.', []
    part = tokens.shape[-1] // heads
    for each, kept in zip(tokens[:, 1:], keep[:, 1:]):
        each, found = each[kept], []
        keys = F.linear(each, state[start + 'attn_pooling_func.k_proj.weight'])
        values = F.linear(each, *(state[f'{start}attn_pooling_func.v_proj.{kind}'] for kind in ('weight', 'bias')))
        for head in range(heads):
            own = slice(part * head, part * head + part)
            looks = (keys[:, own] @ state[start + 'attn_pooling_func.q'][0, 0, head]).softmax(0)
            found.append(looks @ values[:, own])
        said.append(torch.cat(found))
    out = (state[f'{start}attn_pooling_func.out_proj.{kind}'] for kind in ('weight', 'bias'))
    pooled = F.linear(torch.stack(said), *out)
    return F.layer_norm(pooled, pooled.shape[-1:], *(state[f'{start}norm.{kind}'] for kind in ('weight', 'bias')))


def told_by_hand(state, vector):
    weights = [
        [state[f'classify_head.classifier.{index}.{kind}'] for kind in ('weight', 'bias')] for index in (0, 1, 3)
    ]
    x = F.linear(vector, *weights[0])
    return F.linear(F.gelu(F.layer_norm(x, x.shape[-1:], *weights[1])), *weights[2])


def published(task: str, reader: str):
    """A model with the weights of a published file, and the file."""
    model = build(tuned(task), seed=1).eval()
    state = official(build(config())) | fine_tuned(model, reader)
    if task == 'nlvr2':
        dims = model.fusion.embed_dims
        for name in ('text_adapter.type_embedding', 'image_adapter.type_embedding', 'image_adapter.type_embedding_2'):
            state[f'encoder_wrapper.{name}'] = torch.randn(1, 1, dims)
    made = OnePeaceLayout.convert(state, model)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    model.load_state_dict(made.state, strict=False)
    return model, state


def test_the_box_of_a_phrase_is_that_of_the_published_head():
    """By hand: the image's own tokens are pooled, and a sigmoid of four numbers is the corners."""
    model, state = published('grounding', 'box')
    data = inputs(model)
    with torch.no_grad():
        joint = States(model, data).joint('image', 'text')
        image, keep = joint.tokens[:, joint.parts['image']], joint.keep[:, joint.parts['image']]
        wanted = told_by_hand(state, read_by_hand(state, image, keep)).sigmoid()
        found = model(data, mode='predict')
    for row, sample in enumerate(found):
        torch.testing.assert_close(sample.pred_box, wanted[row], atol=1e-5, rtol=1e-4)
    less = {name: each for name, each in state.items() if name != 'classify_head.norm.bias'}
    assert OnePeaceLayout.convert(less, model).missing
    assert OnePeaceLayout.convert(state | {'classify_head.pooler.1.bias': torch.zeros(32)}, model).unexpected


def test_a_sentence_is_read_with_either_image_and_true_is_their_class_0():
    model, state = published('nlvr2', 'reasoning')
    adapter = 'encoder_wrapper.image_adapter.type_embedding'
    plain = build(tuned(), seed=1).eval()
    data = inputs(plain)
    data['image'] = torch.cat([data['image'], data['image'].flip(0)])
    plain.load_state_dict(OnePeaceLayout.convert(official(build(config())), plain).state, strict=False)
    vectors = []
    with torch.no_grad():
        words = States(plain, data).tower('text')
        text = state['encoder_wrapper.text_adapter.type_embedding'] + words.tokens
        for number, images in enumerate(data['image'].chunk(2)):
            image = States(plain, dict(image=images)).tower('image')
            tokens = image.tokens + state[adapter] + number * state[adapter + '_2']
            parts = dict(text=State(text, words.keep, bias=words.bias), image=State(tokens, bias=image.bias))
            joint = model.fusion.run(parts)
            own = joint.parts['text']
            vectors.append(read_by_hand(state, joint.tokens[:, own], joint.keep[:, own]))
        chances = told_by_hand(state, torch.cat(vectors, -1)).softmax(-1)
        found = model(data, mode='predict')
    for row, sample in enumerate(found):
        torch.testing.assert_close(sample.pred_scores, chances[row].flip(0), atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(('kind', 'unread'), [('nlvr2', 'image'), ('grounding', 'text')])
def test_a_step_of_a_task_reaches_all_that_a_head_can_see(kind, unread):
    """Texts of unequal lengths. In the last layer one modality is read: the other's FFN, norm and table stay."""
    model = build(tuned(kind)).train()
    made = OnePeaceLayout.convert(official(build(config())), model)
    assert not (made.missing or made.refused or made.unexpected)
    assert {name.split('.')[0] for name in made.initialised} <= {'objectives', 'towers'}
    task = task_of(model)
    items = task.items(model, task.sizes(model), (1, 1))
    items['inputs'][0]['text'] = 'a ring'
    data = model.data_preprocessor(items, training=True)
    assert not data['inputs']['text'].keep.all(), 'one text is shorter than the other'
    total(model(**data, mode='loss')).backward()
    assert not without_gradient(model)
    dead = {name for name, each in model.named_parameters() if not each.grad.any()}
    last = (f'fusion.blocks.1.mlp.{unread}.', f'fusion.norm.{unread}.', f'towers.{unread}.bias.1.')
    assert dead == {name for name, _ in model.named_parameters() if name.startswith(last)}


def test_the_loss_of_a_box_by_hand():
    """Sum of differences, one minus the generalised IoU; of corners out of order the differences alone."""
    model = build(tuned('grounding')).eval()
    objective, boxes = model.objectives['box'], torch.tensor([[0.0, 0.0, 0.5, 0.5], [0.6, 0.2, 0.4, 0.8]])
    objective.boxes = lambda states: boxes
    samples = [MultimodalSample(), MultimodalSample()]
    samples[0].gt_box, samples[1].gt_box = torch.tensor([0.25, 0.25, 0.75, 0.75]), torch.tensor([0.4, 0.2, 0.6, 0.8])
    told = objective(States(model, {}, samples))
    assert told['loss_box'].item() == pytest.approx((1.0 + 0.4) / 2, rel=1e-5)
    overlap, union, hull = 0.0625, 0.4375, 0.5625
    assert told['loss_giou'].item() == pytest.approx(1 - (overlap / union - (hull - union) / hull), rel=1e-4)
    assert told['accuracy'] == 0

    boxes = torch.stack([samples[0].gt_box, torch.tensor([0.4, 0.2, 0.4, 0.8])])
    told = objective(States(model, {}, samples))
    assert told['loss_giou'].item() == pytest.approx(0, abs=1e-5) and told['accuracy'] == 0.5
    boxes = boxes[1:].repeat(2, 1)
    assert objective(States(model, {}, samples))['loss_giou'] == 0, 'no box of the batch is one'


def test_a_found_box_is_recorded_and_drawn_in_pixels_of_the_image():
    task = Referring()
    sample = MultimodalSample(metainfo=dict(ori_shape=(50, 200), img_path='a.png', img_id=3))
    sample.gt_texts, sample.pred_box = ['the red circle'], torch.tensor([0.1, 0.2, 0.5, 0.9])
    record = task.record(sample)
    assert record['phrase'] == 'the red circle' and record['box'] == [20.0, 10.0, 100.0, 45.0]
    assert task.summary(record) == "'the red circle' at 20, 10, 100, 45"
    image = np.zeros((50, 200, 3), np.uint8)
    ((heading, drawn),) = task.views(image, sample, 'pred', None, 0.0)
    lit = np.argwhere(np.asarray(drawn)[round(0.5 * drawn.height)].any(1))[:, 0] / drawn.width
    assert heading == 'prediction: the red circle' and lit.min() == pytest.approx(0.1, abs=0.01)
    assert lit.max() == pytest.approx(0.5, abs=0.01)
    sample.gt_box = sample.pred_box
    assert len(task.views(image, sample, 'gt', None, 0.0)) == 1


def test_boxes_are_asked_of_an_objective_that_tells_them():
    cfg = tuned('grounding')
    cfg.inference.objective = 'answers'
    with pytest.raises(ValueError, match="reads objectives='answers'; it must tell boxes, the model has box"):
        build(cfg)
    cfg = tuned('nlvr2')
    cfg.towers.image.types = 3
    with pytest.raises(ValueError, match='types=3'):
        build(cfg)


def test_sounds_are_named_by_texts_that_were_never_trained():
    """The class is the name whose prompt lies nearest; the scores are the softmax of the cosines."""
    cfg = config(2)
    cfg.inference = dict(type='mmparts.ZeroShot', of='audio', templates=('a sound of {}',), scale=5.0)
    cfg.objectives.pop('denoising')
    model = build(cfg).eval()
    model.set_classes(['rain', 'a cat', 'bells'])
    data = inputs(model)
    texts = model.data_preprocessor.inputs['text'](['a sound of rain', 'a sound of a cat', 'a sound of bells'], 'cpu')
    with torch.no_grad():
        names = States(model, dict(text=texts)).embedding('text')
        cosines = States(model, data).embedding('audio') @ names.T
        found = model(dict(audio=data['audio']), mode='predict')
    torch.testing.assert_close(torch.stack([one.pred_scores for one in found]), (5 * cosines).softmax(-1))
    assert [int(one.pred_label) for one in found] == cosines.argmax(1).tolist()
    cfg.inference.of = 'image'
    with pytest.raises(ValueError, match="'image'"):
        build(cfg)


def test_a_published_head_of_sounds_reads_the_frames():
    cfg = whole('one_peace_sound_classes')
    cfg.fusion.update(arch=ARCH, drop_path=0.0)
    cfg.towers.audio.update(arch=ARCH, conv_dims=12)
    cfg.objectives.classes.num_classes = 5
    cfg.objectives.classes.read.num_heads, cfg.objectives.classes.head.hidden_dims = 4, 24
    model = build(cfg, seed=1).eval()
    state = official(build(config(2))) | fine_tuned(model, 'classes')
    made = OnePeaceLayout.convert(state, model)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    model.load_state_dict(made.state, strict=False)
    waves = model.data_preprocessor.inputs['audio']([torch.randn(4800), torch.randn(3300)], 'cpu')
    with torch.no_grad():
        joint = States(model, dict(audio=waves)).joint('audio')
        wanted = told_by_hand(state, read_by_hand(state, joint.tokens, joint.keep)).softmax(-1)
        found = model(dict(audio=waves), mode='predict')
    torch.testing.assert_close(torch.stack([one.pred_scores for one in found]), wanted, atol=1e-5, rtol=1e-4)
    assert not joint.keep.all(), 'one sound is shorter than the other'
