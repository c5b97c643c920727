"""The official npz names, against timm's reader of such files."""

from functools import partial

import numpy as np
import pytest
import torch
from parity import close, reference

from mmparts.backbones import FlaxViTLayout, ViT
from mmparts.weights.readers import read_file

SMALL = dict(embed_dims=64, num_layers=2, num_heads=4)
TANH = partial(torch.nn.GELU, approximate='tanh')


def arrays(layers: tuple[int, ...] | None = None, recent: bool = False, prefix: str = '') -> dict[str, np.ndarray]:
    """A file's content, random; of a hybrid with so many units in each block."""
    random = np.random.default_rng(0)
    made = {}

    def put(name: str, *shape: int, near: float = 0.0):
        made[prefix + name] = (near + random.normal(size=shape) * 0.1).astype(np.float32)

    channels, patch = (3, 16) if layers is None else (64 if not layers else 256 * 2 ** (len(layers) - 1), 1)
    patch = 8 if layers == () else patch
    side = {None: 4, (): 2}.get(layers, 4)
    put('cls', 1, 1, 64)
    put('embedding/kernel', patch, patch, channels, 64)
    put('embedding/bias', 64)
    put('Transformer/posembed_input/pos_embedding', 1, side * side + 1, 64)
    names = ('LayerNorm_1', 'MultiHeadDotProductAttention_0', 'MlpBlock_0') if recent else (
        'LayerNorm_2', 'MultiHeadDotProductAttention_1', 'MlpBlock_3')  # fmt: skip
    for index in range(2):
        block = f'Transformer/encoderblock_{index}/'
        for norm in ('LayerNorm_0', names[0]):
            put(f'{block}{norm}/scale', 64, near=1)
            put(f'{block}{norm}/bias', 64)
        for each in ('query', 'key', 'value'):
            put(f'{block}{names[1]}/{each}/kernel', 64, 4, 16)
            put(f'{block}{names[1]}/{each}/bias', 4, 16)
        put(f'{block}{names[1]}/out/kernel', 4, 16, 64)
        put(f'{block}{names[1]}/out/bias', 64)
        for dense, (source, target) in enumerate(((64, 256), (256, 64))):
            put(f'{block}{names[2]}/Dense_{dense}/kernel', source, target)
            put(f'{block}{names[2]}/Dense_{dense}/bias', target)
    put('Transformer/encoder_norm/scale', 64, near=1)
    put('Transformer/encoder_norm/bias', 64)
    put('head/kernel', 64, 10)
    put('head/bias', 10)
    if layers is not None:
        put('conv_root/kernel', 7, 7, 3, 64)
        norms = [('gn_root', 64)]
        source = 64
        for stage, count in enumerate(layers):
            width = 64 * 2**stage
            for unit in range(count):
                where = f'block{stage + 1}/unit{unit + 1}/'
                put(f'{where}conv1/kernel', 1, 1, source, width)
                put(f'{where}conv2/kernel', 3, 3, width, width)
                put(f'{where}conv3/kernel', 1, 1, width, 4 * width)
                norms += [(f'{where}gn1', width), (f'{where}gn2', width), (f'{where}gn3', 4 * width)]
                if source != 4 * width:
                    put(f'{where}conv_proj/kernel', 1, 1, source, 4 * width)
                    norms.append((f'{where}gn_proj', 4 * width))
                source = 4 * width
        for name, width in norms:
            put(f'{name}/scale', 1, 1, 1, width, near=1)
            put(f'{name}/bias', 1, 1, 1, width)
    return made


@pytest.mark.parametrize('layers', [None, (1, 2, 1)])
@torch.no_grad()
def test_equals_timms_reading_of_the_same_file(layers, tmp_path):
    module = reference('timm.models.vision_transformer')
    path = tmp_path / 'vit.npz'
    np.savez(path, **arrays(layers))
    kwargs = {}
    if layers is not None:
        hybrid = reference('timm.models.vision_transformer_hybrid')
        embed = reference('timm.layers').HybridEmbed
        kwargs['embed_layer'] = partial(embed, backbone=hybrid._resnetv2(layers), proj=True)
    theirs = module.VisionTransformer(
        img_size=64, patch_size=16 if layers is None else 1, num_classes=10, embed_dim=64, depth=2, num_heads=4,
        act_layer=TANH, **kwargs,
    ).eval()  # fmt: skip
    theirs.load_pretrained(str(path))
    for part in theirs.modules():
        if isinstance(part, torch.nn.GroupNorm):
            part.eps = 1e-6

    stem = None if layers is None else dict(type='mmparts.HybridResNet', num_blocks=layers)
    ours = ViT(SMALL, image_size=64, patch_size=16 if stem is None else 1, stem=stem, gelu='tanh', out='class').eval()
    state = read_file(str(path)).content
    assert FlaxViTLayout.matches(set(state))
    made = FlaxViTLayout.convert(state, ours)
    assert not (made.missing or made.refused or made.unexpected or made.initialised)
    assert set(made.dropped) == {'head/kernel', 'head/bias'}
    ours.load_state_dict(made.state)
    x = torch.randn(2, 3, 64, 64, generator=torch.Generator().manual_seed(0))
    close('class token', ours(x)[0], theirs.forward_head(theirs.forward_features(x), pre_logits=True), 1e-4)


def test_both_ways_of_counting_and_the_prefix_of_training_states_are_read():
    models = [ViT(SMALL, image_size=64, gelu='tanh') for _ in range(2)]
    for model, content in zip(models, (arrays(), arrays(recent=True, prefix='opt/target/'))):
        made = FlaxViTLayout.convert({name: torch.from_numpy(each) for name, each in content.items()}, model)
        assert not (made.missing or made.refused or made.unexpected)
        model.load_state_dict(made.state)
    assert all(a.equal(b) for a, b in zip(*(model.parameters() for model in models)))


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [(dict(), "gelu='tanh'"), (dict(arch=dict(SMALL, num_layers=3), gelu='tanh'), '64 channels in 2 blocks')],
)
def test_another_model_is_refused(kwargs, words):
    state = {name: torch.from_numpy(each) for name, each in arrays().items()}
    made = FlaxViTLayout.convert(state, ViT(**{'arch': SMALL, 'image_size': 64, **kwargs}))
    assert words in made.refused['the model']


def test_a_mixture_of_both_ways_is_refused():
    state = {name: torch.from_numpy(each) for name, each in {**arrays(), **arrays(recent=True)}.items()}
    made = FlaxViTLayout.convert(state, ViT(SMALL, image_size=64, gelu='tanh'))
    assert 'two ways' in made.refused['the model']
