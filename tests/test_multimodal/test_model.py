"""The container: parts by name, states made once, nonsense refused with the reason."""

import importlib.util

import pytest
import torch

import mmparts  # noqa: F401
from mmparts.multimodal.roles import Objective
from mmparts.registry import MODELS
from mmparts.structures import MultimodalSample


def config(**changes) -> dict:
    vit = dict(
        type='mmparts.ViT',
        arch=dict(embed_dims=32, num_layers=2, num_heads=2),
        image_size=32,
        patch_size=16,
        out='class',
    )
    return (
        dict(
            type='mmparts.MultimodalModel',
            data_preprocessor=dict(
                type='mmparts.MultimodalPreprocessor',
                inputs=dict(
                    image=dict(type='mmparts.ImageInputs'),
                    text=dict(
                        type='mmparts.TextInputs', tokenizer=dict(type='mmparts.ByteTokenizer', context_length=24)
                    ),
                ),
            ),
            towers=dict(
                image=dict(type='mmparts.ImageTower', backbone=vit),
                text=dict(type='mmparts.CausalTextTower', embed_dims=32, num_layers=2, num_heads=2),
            ),
            projections=dict(image=16, text=16),
            objectives=dict(contrastive=dict(type='mmparts.Contrastive')),
        )
        | changes
    )


def data(model, texts=('a red circle', 'two blue squares')) -> dict:
    random = torch.Generator().manual_seed(0)
    images = [torch.randint(256, (3, 32, 32), generator=random, dtype=torch.uint8) for _ in texts]
    inputs = [dict(image=image, text=text) for image, text in zip(images, texts)]
    samples = [MultimodalSample(metainfo=dict(img_id=index)) for index in range(len(texts))]
    return model.data_preprocessor(dict(inputs=inputs, data_samples=samples))


def built(**changes):
    torch.manual_seed(0)
    return MODELS.build(config(**changes))


def test_losses_are_named_weighted_and_reach_every_parameter():
    model = built()
    losses = model(**data(model), mode='loss')
    assert sorted(losses) == ['contrastive.accuracy', 'contrastive.loss', 'contrastive.scale']
    losses['contrastive.loss'].backward()
    assert all(parameter.grad is not None for parameter in model.parameters())

    twice = built(objectives=dict(contrastive=dict(type='mmparts.Contrastive', weight=2.0)))
    assert torch.equal(twice(**data(twice), mode='loss')['contrastive.loss'], 2 * losses['contrastive.loss'])


def test_numbers_of_the_tokenizer_reach_the_tower():
    tower = built().towers['text']
    assert tower.token_embedding.num_embeddings == 262 and len(tower.position) == 24


def test_embeddings_have_length_one_and_texts_keep_their_owner():
    model = built().eval()
    batch = data(model, texts=(['a', 'b', 'c'], ['d', 'e']))
    first, second = model(**batch, mode='predict')
    assert first.pred_embeddings['text'].shape == (3, 16) and second.pred_embeddings['text'].shape == (2, 16)
    assert first.pred_embeddings['image'].shape == (16,)
    torch.testing.assert_close(second.pred_embeddings['text'].norm(dim=-1), torch.ones(2))


def test_a_text_does_not_depend_on_the_padding_of_the_others():
    model = built().eval()
    alone = model(**data(model, texts=('a red circle',)), mode='tensor')['text']
    padded = model(**data(model, texts=('a red circle', 'a sentence of some more')), mode='tensor')['text']
    torch.testing.assert_close(alone[0], padded[0], atol=1e-6, rtol=1e-5)


def test_states_are_made_once():
    calls = []

    @MODELS.register_module(name='TwiceReader', force=True)
    class TwiceReader(Objective):
        def forward(self, states):
            return dict(loss=states['image'].pooled.sum() + states.tower('image').pooled.sum())

    model = built(objectives=dict(one=dict(type=TwiceReader), two=dict(type=TwiceReader)))
    model.towers['image'].register_forward_hook(lambda *_: calls.append(1))
    model(**data(model), mode='loss')
    assert calls == [1]


@pytest.mark.parametrize(
    ('changes', 'said'),
    [
        (dict(objectives=dict(c=dict(type='mmparts.Contrastive', between=('image', 'audio')))), "reads 'audio'"),
        (dict(projections=None), "objectives.c (Contrastive) uses 'embedding'"),
    ],
)
def test_nonsense_is_refused_with_the_reason(changes, said):
    changes = dict(objectives=dict(c=dict(type='mmparts.Contrastive'))) | changes
    with pytest.raises(ValueError) as refused:
        built(**changes)
    assert said in str(refused.value)


def test_what_would_serve_is_read_from_the_registry():
    class Writes(Objective):
        uses = ('decoder',)

    with pytest.raises(ValueError, match=r"objectives.w \(Writes\) uses 'decoder', which this model has not"):
        built(objectives=dict(w=dict(type=Writes)))


@pytest.mark.parametrize(
    ('inputs', 'said'),
    [
        ([dict(image=torch.zeros(3, 32, 32)), dict(image=torch.zeros(3, 32, 40))], 'images of shapes'),
        ([dict(sound=torch.zeros(3))], 'the data has sound'),
        ([dict(image=torch.zeros(3, 32, 32), text='a'), dict(image=torch.zeros(3, 32, 32))], 'item 1 of the batch has'),
        ([dict(image=torch.zeros(1, 32, 32))], 'images have 1 channels'),
    ],
)
def test_wrong_batches_are_refused(inputs, said):
    with pytest.raises(ValueError, match=said):
        built().data_preprocessor(dict(inputs=inputs))


def test_the_inference_names_the_task():
    from mmparts.tasks.base import task_of_part

    assert built().task == 'retrieval'
    assert task_of_part(type(built()), config()) == 'retrieval'


CLASSES, TEMPLATES = ('circle', 'star', 'ring'), ('a {}', 'a photo of a {}.')


def zero_shot(**words):
    return built(inference=dict(type='mmparts.ZeroShot', **(dict(templates=TEMPLATES) | words))).eval()


def test_zero_shot_is_the_mean_of_the_prompts():
    model = zero_shot(classes=CLASSES)
    batch = data(model)
    samples = model(**batch, mode='predict')
    with torch.no_grad():
        image = model(**batch)['image']
        weights = []
        for name in CLASSES:
            texts = model.data_preprocessor.inputs['text']([each.format(name) for each in TEMPLATES], 'cpu')
            vectors = model(dict(text=texts))['text']
            weights.append(torch.nn.functional.normalize(vectors.mean(0), dim=0))
        wanted = (100 * image @ torch.stack(weights).T).softmax(-1)
    torch.testing.assert_close(torch.stack([each.pred_scores for each in samples]), wanted, atol=1e-6, rtol=1e-5)
    assert [int(each.pred_label) for each in samples] == wanted.argmax(-1).tolist()


def test_classes_come_at_test_time_and_follow_the_weights():
    model = zero_shot()
    batch = data(model)
    with pytest.raises(ValueError, match='no classes to tell apart'):
        model(**batch, mode='predict')
    model.set_classes(CLASSES)
    first = model(**batch, mode='predict')[0].pred_scores
    model.set_classes(CLASSES[::-1])
    torch.testing.assert_close(model(**batch, mode='predict')[0].pred_scores, first.flip(0))
    state = {name: 1.1 * tensor + 0.01 for name, tensor in model.state_dict().items()}
    model.load_state_dict(state)
    again = model(**batch, mode='predict')[0].pred_scores
    fresh = zero_shot(classes=CLASSES[::-1])
    fresh.load_state_dict(state)
    assert torch.equal(again, fresh(**batch, mode='predict')[0].pred_scores)


def test_names_for_prompts_and_names_that_meet():
    model = zero_shot(classes=('n01', 'n02'), names=dict(n01='crane', n02='crane bird'))
    assert model.inference.classes == ('n01', 'n02')
    with pytest.raises(ValueError, match="two classes are called 'crane'"):
        zero_shot(classes=('n01', 'n02'), names=dict(n01='crane', n02='crane'))
    with pytest.raises(ValueError, match='prompts with'):
        zero_shot(templates=('a photo',))


def test_the_80_templates_and_1000_classes():
    if importlib.util.find_spec('open_clip') is None:
        pytest.skip('open_clip_torch is not installed')
    model = zero_shot(classes='imagenet', templates='openai')
    assert len(model.inference.templates) == 80 and model.inference.num_classes == 1000
