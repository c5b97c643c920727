"""CLIP: counts, parity with open_clip and transformers, layouts both ways, positions of other sizes."""

import parity
import pytest
import torch
from mmengine.config import Config
from tiny import CONFIGS

from mmparts.multimodal.clip_layout import as_openai
from mmparts.multimodal.states import Texts
from mmparts.registry import MODELS
from mmparts.weights.convert import account, convert
from mmparts.weights.errors import WeightsDoNotFit

COUNTS = {
    'rn50': (102_007_137, 38_316_896),
    'rn101': (119_688_033, 56_259_936),
    'rn50x4': (178_300_601, 87_137_080),
    'rn50x16': (290_979_217, 167_328_912),
    'rn50x64': (623_258_305, 420_380_352),
    'vit-b-p32': (151_277_313, 87_849_216),
    'vit-b-p16': (149_620_737, 86_192_640),
    'vit-l-p14': (427_616_513, 303_966_208),
    'vit-l-p14-336': (427_944_193, 304_293_888),
}


def model_of(name: str) -> dict:
    (path,) = (CONFIGS / 'clip').glob(f'clip_{name}_*.py')
    return Config.fromfile(path).model


@pytest.mark.parametrize('name', COUNTS)
def test_counts(name):
    with torch.device('meta'):
        model = MODELS.build(model_of(name))
    numbers = {key: parameter.numel() for key, parameter in model.named_parameters()}
    assert sum(numbers.values()) == COUNTS[name][0]
    assert sum(n for key, n in numbers.items() if '.image.' in key) == COUNTS[name][1]


SIZES = dict(
    vit=dict(image_size=48, layers=3, width=128, patch_size=16),
    resnet=dict(image_size=64, layers=[1, 2, 1, 1], width=16),
)
TEXT = dict(context_length=12, vocab_size=100, width=128, heads=2, layers=2)


def ours(kind: str, image_size: int | None = None, act: str = 'quick', **text) -> torch.nn.Module:
    """A small CLIP of the parts of the configs."""
    cfg = Config.fromfile(CONFIGS / '_base_' / 'models' / f'clip_{kind}.py').model
    backbone, sizes = cfg.towers.image.backbone, SIZES[kind]
    if kind == 'vit':
        backbone.update(
            arch=dict(embed_dims=128, num_layers=3, num_heads=2), patch_size=16, image_size=image_size or 48, gelu=act
        )
        cfg.projections = dict(image=32, text=32)
    else:
        arch = dict(num_blocks=sizes['layers'], width=16, out_dims=32, image_size=image_size or 64)
        backbone.update(arch=arch)
        cfg.projections = dict(image=None, text=32)
    acts = dict(quick='quick_gelu', erf='gelu')
    cfg.towers.text.update(embed_dims=128, num_layers=2, num_heads=2, act=acts[act], vocab_size=100, context_length=12)
    cfg.towers.text.update(text)
    torch.manual_seed(0)
    return MODELS.build(cfg).eval()


def theirs(kind: str, quick_gelu: bool = True):
    clip = parity.reference('open_clip').model
    torch.manual_seed(1)
    model = clip.CLIP(32, clip.CLIPVisionCfg(**SIZES[kind]), clip.CLIPTextCfg(**TEXT), quick_gelu=quick_gelu)
    for norm in (each for each in model.modules() if isinstance(each, torch.nn.BatchNorm2d)):
        torch.nn.init.uniform_(norm.running_mean, -0.1, 0.1)
        torch.nn.init.uniform_(norm.weight, 0.5, 1.5)
    return model.eval()


def texts() -> tuple[Texts, torch.Tensor]:
    """Two of unequal length, the end token the highest number; and as open_clip wants them."""
    ids = torch.tensor([[98, 5, 7, 99, 0, 0], [98, 3, 4, 6, 8, 99]])
    return Texts(ids, keep=torch.arange(6) < torch.tensor([[4], [6]])), torch.nn.functional.pad(ids, (0, 6))


@pytest.mark.parametrize('kind', SIZES)
def test_parity_open_clip(kind):
    reference = theirs(kind)
    model = ours(kind)
    state = reference.state_dict()
    model.load_state_dict(convert(state, model))
    images, (batch, padded) = torch.randn(2, 3, *[SIZES[kind]['image_size']] * 2), texts()
    with torch.no_grad():
        image, text, scale = reference(images, padded)
        found = model(dict(image=images, text=batch))
        factor = model.objectives['contrastive'].scale()
    torch.testing.assert_close(found['image'], image, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found['text'], text, atol=1e-6, rtol=1e-5)
    assert factor == scale

    back = as_openai(model)
    assert back.keys() == state.keys()
    assert all(torch.equal(back[name], state[name]) for name in state)


def test_parity_transformers():
    transformers = parity.reference('transformers')
    sizes = dict(hidden_size=128, intermediate_size=512, num_attention_heads=2, hidden_act='quick_gelu')
    config = transformers.CLIPConfig(
        vision_config=dict(**sizes, num_hidden_layers=3, image_size=48, patch_size=16),
        text_config=dict(
            **sizes,
            num_hidden_layers=2,
            vocab_size=100,
            max_position_embeddings=12,
            eos_token_id=99,
            bos_token_id=98,
            pad_token_id=0,
        ),
        projection_dim=32,
    )
    torch.manual_seed(1)
    reference = transformers.CLIPModel(config).eval()
    model = ours('vit')
    model.load_state_dict(convert(reference.state_dict(), model))
    images, (batch, padded) = torch.randn(2, 3, 48, 48), texts()
    with torch.no_grad():
        out = reference(input_ids=padded, pixel_values=images)
        found = model(dict(image=images, text=batch))
    torch.testing.assert_close(found['image'], out.image_embeds, atol=1e-6, rtol=1e-5)
    torch.testing.assert_close(found['text'], out.text_embeds, atol=1e-6, rtol=1e-5)


def test_openai_archives_are_read(tmp_path):
    """A TorchScript archive in half precision, with the sizes as buffers."""
    from mmparts.weights.readers import read_file

    class Archive(torch.nn.Module):
        def __init__(self, inner):
            super().__init__()
            for name, child in inner.named_children():
                self.add_module(name, child)
            for name, parameter in inner.named_parameters(recurse=False):
                self.register_parameter(name, torch.nn.Parameter(parameter.detach()))
            for name, size in (('input_resolution', 48), ('context_length', 12), ('vocab_size', 100)):
                self.register_buffer(name, torch.tensor(size))

        def forward(self, image):
            return self.visual.conv1(image)

    reference = theirs('vit')
    path = tmp_path / 'ViT.pt'
    torch.jit.trace(Archive(reference).half().float(), torch.zeros(1, 3, 48, 48)).save(str(path))
    model = ours('vit')
    drawn = account(read_file(str(path)), model)
    assert not drawn.problems and set(drawn.dropped) == {'input_resolution', 'context_length', 'vocab_size'}

    with pytest.raises(WeightsDoNotFit, match="write act='quick_gelu'"):
        account(read_file(str(path)), ours('vit', act='erf')).check()


def test_positions_of_another_size_and_a_shorter_context():
    state = theirs('vit').state_dict()
    model = ours('vit', image_size=80, context_length=6)
    made = convert(state, model)
    grid = state['visual.positional_embedding'][1:].unflatten(0, (3, 3))
    wanted = torch.nn.functional.interpolate(
        grid.permute(2, 0, 1)[None], (5, 5), mode='bicubic', antialias=True, align_corners=False
    )[0].permute(1, 2, 0)
    torch.testing.assert_close(made['towers.image.backbone.position.grid'], wanted)
    assert torch.equal(made['towers.text.position'], state['positional_embedding'][:6])
    with pytest.raises(WeightsDoNotFit, match='context_length=20 asks for more'):
        convert(state, ours('vit', context_length=20))


@pytest.mark.parametrize(
    ('file', 'config', 'said'), [('vit', 'resnet', 'the file holds a ViT'), ('resnet', 'vit', 'a ResNet')]
)
def test_another_tower_is_refused(file, config, said):
    with pytest.raises(WeightsDoNotFit, match=said):
        convert(theirs(file).state_dict(), ours(config))


@pytest.mark.parametrize('kind', SIZES)
def test_the_image_tower_alone_fills_a_backbone(kind):
    whole = ours(kind)
    cfg = Config.fromfile(CONFIGS / '_base_' / 'models' / f'clip_{kind}.py').model.towers.image.backbone
    if kind == 'vit':
        cfg.update(arch=dict(embed_dims=128, num_layers=3, num_heads=2), patch_size=16, image_size=48, out='map')
    else:
        cfg.update(arch=dict(num_blocks=[1, 2, 1, 1], width=16, out_dims=32, image_size=64), out='maps')
    backbone = MODELS.build(cfg).eval()
    backbone.load_state_dict(convert(as_openai(whole), backbone))
    images = torch.randn(1, 3, 64, 64)
    tower = whole.towers['image'].backbone
    if kind == 'vit':
        tower.out = 'map'
    else:
        tower.attn_pool, tower.out_indices = None, (0, 1, 2, 3)
    assert all(torch.equal(one, other) for one, other in zip(tower(images), backbone(images)))
