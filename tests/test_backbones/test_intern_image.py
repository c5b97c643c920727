"""InternImage against a plain-torch form of the official modules, whose operator is a loop over points."""

import pytest
import torch
import torch.nn.functional as F
from mmengine.registry import DefaultScope
from parity import close, randomise
from torch import nn

from mmparts.backbones import InternImage
from mmparts.engine import LayerDecayConstructor
from mmparts.registry import MODELS
from mmparts.weights.convert import account

SIZES = dict(embed_dims=16, depths=(2, 1, 2, 1), num_groups=(2, 4, 8, 16))
KINDS = {
    'T': dict(order='pre', layer_scale=None),
    'S': dict(order='res-post', layer_scale=1e-5),
    'L': dict(order='res-post', layer_scale=1e-5, offset_scale=2.0),
    'H': dict(order='pre-post', layer_scale=None, kernel_size=5, center_scale=True, norm_after=(1,)),
    'G': dict(order='res-post', layer_scale=None, kernel_size=5, center_scale=True, norm_after=(1,)),
}


class Last(nn.Module):
    """A module with its name in the sequence of the official code."""

    def __init__(self, index: int, module: nn.Module):
        super().__init__()
        self.add_module(str(index), module)

    def forward(self, x):
        (module,) = self.children()
        return module(x)


def norm(dims, index=0):
    return Last(index, nn.LayerNorm(dims, eps=1e-6))


class Operator(nn.Module):
    """Equation 3, point by point: x outside, y inside; offsets are (dx, dy)."""

    def __init__(self, dims, groups, kernel, scale, center):
        super().__init__()
        self.groups, self.scale = groups, scale
        self.dw_conv = nn.Sequential(
            nn.Conv2d(dims, dims, kernel, padding=kernel // 2, groups=dims),
            Last(1, nn.LayerNorm(dims, eps=1e-6)),
            nn.GELU(),
        )
        self.offset, self.mask = nn.Linear(dims, groups * 18), nn.Linear(dims, groups * 9)
        self.input_proj, self.output_proj = nn.Linear(dims, dims), nn.Linear(dims, dims)
        if center:
            self.center_feature_scale_proj_weight = nn.Parameter(torch.zeros(groups, dims))
            self.center_feature_scale_proj_bias = nn.Parameter(torch.zeros(groups))

    def forward(self, x):
        value = self.input_proj(x)
        u = self.dw_conv[0](x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1)
        u = self.dw_conv[2](self.dw_conv[1](u))
        batch, height, width, channels = x.shape
        offset = self.offset(u).view(batch, height, width, self.groups, 9, 2)
        mask = self.mask(u).view(batch, height, width, self.groups, 9).softmax(-1)
        grouped = value.view(batch, height, width, self.groups, -1)
        out = torch.zeros_like(grouped)
        y, x0 = torch.meshgrid(torch.arange(height), torch.arange(width), indexing='ij')
        for k in range(9):
            dx, dy = k // 3 - 1, k % 3 - 1
            px = x0[None, :, :, None] + self.scale * (dx + offset[..., k, 0])
            py = y[None, :, :, None] + self.scale * (dy + offset[..., k, 1])
            out = out + mask[..., k, None] * bilinear(grouped, px, py)
        out = out.flatten(3)
        if hasattr(self, 'center_feature_scale_proj_weight'):
            z = F.linear(u, self.center_feature_scale_proj_weight, self.center_feature_scale_proj_bias).sigmoid()
            z = z.repeat_interleave(channels // self.groups, -1)
            out = out * (1 - z) + value * z
        return self.output_proj(out)


def bilinear(grouped, px, py):
    """B H W G D at places B H W G, zero outside."""
    batch, height, width, groups, _ = grouped.shape
    b = torch.arange(batch).view(-1, 1, 1, 1)
    g = torch.arange(groups)
    out = 0
    left, top = px.floor(), py.floor()
    for ix, iy in ((0, 0), (0, 1), (1, 0), (1, 1)):
        cx, cy = left + ix, top + iy
        weight = (1 - (px - cx).abs()) * (1 - (py - cy).abs())
        inside = (cx >= 0) & (cx < width) & (cy >= 0) & (cy < height)
        cell = grouped[b, cy.clamp(0, height - 1).long(), cx.clamp(0, width - 1).long(), g]
        out = out + (weight * inside)[..., None] * cell
    return out


class Block(nn.Module):
    def __init__(self, dims, groups, kind):
        super().__init__()
        order, scale = kind['order'], kind['layer_scale']
        self.order = order
        self.norm1, self.norm2 = norm(dims), norm(dims)
        self.dcn = Operator(
            dims, groups, kind.get('kernel_size', 3), kind.get('offset_scale', 1), kind.get('center_scale')
        )
        self.mlp = nn.Module()
        self.mlp.fc1, self.mlp.fc2 = nn.Linear(dims, 4 * dims), nn.Linear(4 * dims, dims)
        if order == 'pre-post':
            self.res_post_norm1, self.res_post_norm2 = norm(dims), norm(dims)
        if scale is not None:
            self.gamma1, self.gamma2 = nn.Parameter(torch.ones(dims)), nn.Parameter(torch.ones(dims))

    def forward(self, x):
        mlp = lambda x: self.mlp.fc2(F.gelu(self.mlp.fc1(x)))  # noqa: E731
        g1, g2 = getattr(self, 'gamma1', 1), getattr(self, 'gamma2', 1)
        if self.order == 'pre-post':
            x = x + self.res_post_norm1(self.dcn(self.norm1(x)))
            return x + self.res_post_norm2(mlp(self.norm2(x)))
        if self.order == 'res-post':
            x = x + g1 * self.norm1(self.dcn(x))
            return x + g2 * self.norm2(mlp(x))
        x = x + g1 * self.dcn(self.norm1(x))
        return x + g2 * mlp(self.norm2(x))


class Level(nn.Module):
    def __init__(self, dims, depth, groups, kind, last, with_norms):
        super().__init__()
        self.blocks = nn.ModuleList(Block(dims, groups, kind) for _ in range(depth))
        self.after = kind.get('norm_after', ()) if with_norms else ()
        if self.after:
            self.post_norms = nn.ModuleList(norm(dims) for _ in self.after)
        if kind['order'] != 'res-post' or kind.get('center_scale'):
            self.norm = norm(dims)
        if not last:
            self.downsample = nn.Module()
            self.downsample.conv = nn.Conv2d(dims, 2 * dims, 3, 2, 1, bias=False)
            self.downsample.norm = norm(2 * dims, 1)

    def forward(self, x):
        for index, block in enumerate(self.blocks):
            x = block(x)
            if index in self.after:
                x = self.post_norms[self.after.index(index)](x)
        return self.norm(x) if hasattr(self, 'norm') else x


class Official(nn.Module):
    """With the names of the released files."""

    def __init__(self, kind):
        super().__init__()
        dims = SIZES['embed_dims']
        self.patch_embed = nn.Module()
        self.patch_embed.conv1, self.patch_embed.norm1 = nn.Conv2d(3, dims // 2, 3, 2, 1), norm(dims // 2, 1)
        self.patch_embed.conv2, self.patch_embed.norm2 = nn.Conv2d(dims // 2, dims, 3, 2, 1), norm(dims, 1)
        self.levels = nn.ModuleList(
            Level(dims * 2**i, depth, groups, kind, i == 3, i == 2)
            for i, (depth, groups) in enumerate(zip(SIZES['depths'], SIZES['num_groups']))
        )

    def forward(self, x):
        last = lambda conv, norm, x: norm(conv(x.permute(0, 3, 1, 2)).permute(0, 2, 3, 1))  # noqa: E731
        x = F.gelu(last(self.patch_embed.conv1, self.patch_embed.norm1, x.permute(0, 2, 3, 1)))
        x = last(self.patch_embed.conv2, self.patch_embed.norm2, x)
        outs = []
        for level in self.levels:
            x = level(x)
            outs.append(x.permute(0, 3, 1, 2))
            if hasattr(level, 'downsample'):
                x = last(level.downsample.conv, level.downsample.norm, x)
        return outs


def images(*size, batch=2, seed=0):
    return torch.randn(batch, 3, *size, generator=torch.Generator().manual_seed(seed))


def official(kind):
    torch.manual_seed(0)
    model = Official(KINDS[kind])
    randomise(model)
    return model.eval()


@pytest.mark.parametrize('kind', list(KINDS))
@torch.no_grad()
def test_every_stage_equals_the_official_modules(kind):
    theirs, ours = official(kind), InternImage({**SIZES, **KINDS[kind]}).eval()
    made = account(theirs.state_dict(), ours).check()
    assert made.layout == 'intern-image' and not made.dropped and not made.initialised
    ours.load_state_dict(made.state)
    x = images(64, 96)
    for mine, other in zip(ours(x), theirs(x)):
        close('map', mine, other, 1e-4)


COUNTS = [
    ('tiny', 29_918_424, 28_754_672),
    ('small', 50_079_880, 48_502_560),
    ('base', 97_461_832, 94_909_920),
    ('large', 223_334_810, 218_952_370),
    ('xlarge', 334_819_780, 328_971_228),
    ('huge', 1_089_636_760, 1_073_122_480),
    ('giant', 3_076_373_352, 3_052_781_184),
]


@pytest.mark.parametrize(('arch', 'whole', 'backbone'), COUNTS)
def test_models_have_the_published_number_of_parameters(arch, whole, backbone):
    head = 'AttentionClassHead' if arch in ('huge', 'giant') else 'ConvClassHead'
    with torch.device('meta'):
        model = InternImage(arch)
        above = MODELS.build(dict(type=f'mmparts.{head}', in_channels=model.channels))
    count = sum(each.numel() for each in model.parameters())
    assert (count + sum(each.numel() for each in above.parameters()), count) == (whole, backbone)


def test_at_the_start_the_operator_is_the_mean_of_nine_neighbours():
    dcn = InternImage({**SIZES, **KINDS['T']}).stages[0].blocks[0].dcn
    x = torch.randn(1, 5, 6, 16)
    value = dcn.value_proj(x).permute(0, 3, 1, 2)
    expected = dcn.out_proj(F.avg_pool2d(value, 3, 1, 1).permute(0, 2, 3, 1))
    torch.testing.assert_close(dcn(x), expected, atol=1e-5, rtol=0)


@pytest.mark.parametrize('kind', list(KINDS))
def test_every_parameter_gets_a_gradient_on_odd_sizes(kind):
    model = InternImage({**SIZES, **KINDS[kind]}, drop_path=0.0, with_cp=kind == 'S')
    randomise(model)
    outs = model(images(70, 101))
    assert [out.shape[2:] for out in outs] == [tuple(-(-side // s) for side in (70, 101)) for s in model.strides]
    sum((out * torch.randn_like(out)).sum() for out in outs).backward()
    assert not [name for name, each in model.named_parameters() if each.grad is None or not each.grad.abs().sum() > 0]


@pytest.mark.parametrize('kind', ['S', 'H'])
@torch.no_grad()
def test_a_classifiers_file_fills_the_head(kind):
    head, indices = ('AttentionClassHead', (2, 3)) if kind == 'H' else ('ConvClassHead', (3,))
    kwargs = dict(embed_dims=32) if kind == 'H' else {}
    backbone = dict(type='mmparts.InternImage', arch={**SIZES, **KINDS[kind]}, out_indices=indices)
    cfg = dict(type='mmparts.Classifier', backbone=backbone, head=dict(type=f'mmparts.{head}', **kwargs), num_classes=5)
    with DefaultScope.overwrite_default_scope('mmdet'):
        ours = MODELS.build(cfg)
    state = dict(official(kind).state_dict())
    if kind == 'S':
        state |= {
            f'conv_head.1.0.{name}': torch.rand(192) for name in ('weight', 'bias', 'running_mean', 'running_var')
        }
        state |= {
            'conv_head.1.0.num_batches_tracked': torch.tensor(3),
            'conv_head.0.weight': torch.randn(192, 128, 1, 1),
        }
        state |= {'head.weight': torch.randn(5, 192), 'head.bias': torch.randn(5)}
    else:
        state |= {'dcnv3_head_x4.0.weight': torch.randn(128, 128, 1, 1), 'dcnv3_head_x4.0.bias': torch.randn(128)}
        state |= {'dcnv3_head_x3.weight': torch.randn(32, 64, 1, 1), 'dcnv3_head_x3.bias': torch.randn(32)}
        for each in 'qkv':
            state |= {f'clip_projector.norm1_{each}.0.{name}': torch.randn(32) for name in ('weight', 'bias')}
            state[f'clip_projector.cross_dcn.{each}.weight'] = torch.randn(32, 32)
            state[f'clip_projector.cross_dcn.{each}_bias'] = torch.randn(32)
        state |= {'clip_projector.cross_dcn.proj.weight': torch.randn(768, 32)}
        state |= {
            name: torch.randn(768)
            for name in ('clip_projector.cross_dcn.proj.bias', 'fc_norm.0.weight', 'fc_norm.0.bias')
        }
        state |= {'head.weight': torch.randn(5, 768), 'head.bias': torch.randn(5)}
    made = account(state, ours).check()
    assert made.target == '' and not made.dropped and not made.initialised


def test_gammas_stay_where_the_file_has_none_and_unbuilt_stages_are_dropped():
    ours = InternImage({**SIZES, **KINDS['T']}, layer_scale=1.0, out_indices=(0, 2))
    made = account(official('T').state_dict(), ours).check()
    assert len(made.initialised) == 2 * 5 and all('gamma' in name for name in made.initialised)
    assert made.dropped and all('levels.3' in name or 'levels.2.downsample' in name for name in made.dropped)


def test_another_size_is_refused():
    made = account(official('T').state_dict(), InternImage({**SIZES, **KINDS['T'], 'depths': (2, 1, 3, 1)}))
    assert '16 channels and depths [2, 1, 2, 1], the config builds 16 and [2, 1, 3, 1]' in made.problems['refused'][0]


def test_rates_of_the_published_classifiers():
    """The last block 1, each earlier one less by a factor; stem as the first block; a stage's norm and down-sampling as
    the first block of the next stage; the rest full, offsets a tenth."""
    backbone = dict(type='mmparts.InternImage', arch={**SIZES, **KINDS['H']}, out_indices=(3,))
    with DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(dict(type='mmparts.Classifier', backbone=backbone, num_classes=5))
    paramwise = dict(layer_decay=0.5, join_ends=True, rates={'*.offset.*': 0.1, '*.center_scale.*': 0.1})
    built = LayerDecayConstructor(dict(optimizer=dict(type='SGD', lr=1.0)), paramwise)
    scale = {name: built.scale(model, name) for name, _ in model.named_parameters()}
    stages = 'backbone.stages.'
    assert (
        scale[f'{stages}3.blocks.0.mlp.fc1.weight'] == scale[f'{stages}3.norm.weight'] == scale['head.fc.weight'] == 1
    )
    assert scale[f'{stages}2.blocks.1.mlp.fc1.weight'] == 0.5 and scale[f'{stages}2.downsample.conv.weight'] == 1
    assert scale[f'{stages}2.blocks.0.mlp.fc1.weight'] == scale[f'{stages}1.norm.weight'] == 0.25
    assert scale['backbone.patch_embed.0.conv.weight'] == scale[f'{stages}0.blocks.0.mlp.fc1.weight'] == 0.5**5
    assert scale[f'{stages}2.norms.1.weight'] == 1
    assert scale[f'{stages}3.blocks.0.dcn.offset.weight'] == 0.1 and scale[f'{stages}3.blocks.0.dcn.mask.weight'] == 1


@pytest.mark.parametrize(
    ('kwargs', 'words'),
    [
        (dict(arch='tny'), "arch='tny'.*tiny"),
        (dict(arch=dict(embed_dims=16)), 'must hold'),
        (dict(arch={**SIZES, 'num_groups': (3, 4, 8, 16)}), '3 groups do not divide 16'),
        (dict(arch={**SIZES, 'order': 'post'}), "order='post'.*res-post"),
        (dict(out_indices=(4,)), 'between 0 and 3'),
    ],
)
def test_what_does_not_go_is_refused(kwargs, words):
    with torch.device('meta'), pytest.raises(ValueError, match=words):
        InternImage(**kwargs)


def test_wrong_channels():
    with pytest.raises(ValueError, match='4 channels.*in_channels=3'):
        InternImage(SIZES)(torch.zeros(1, 4, 32, 32))
