import pytest
import torch
from mmdet.models.backbones import ResNet
from torch import nn

from mmparts.backbones import Swin, SwinLayout
from mmparts.engine import WeightsDoNotFit
from mmparts.registry import WEIGHT_LAYOUTS
from mmparts.weights.containers import unwrap
from mmparts.weights.convert import account, convert
from mmparts.weights.keys import Rule, block, draw

SMALL = dict(embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
TABLE = 'layers.0.blocks.1.attn.relative_position_bias_table'


def official_swin(window_size=3, num_classes=5, seed=0):
    """A state dict with the names of microsoft/Swin-Transformer."""
    torch.manual_seed(seed)
    state = {
        name: torch.randn_like(tensor)
        for name, tensor in Swin(SMALL, window_size, num_classes=num_classes).state_dict().items()
    }
    for stage in range(4):
        for block in range(2):
            state[f'layers.{stage}.blocks.{block}.attn.relative_position_index'] = torch.zeros(9, 9, dtype=torch.long)
        state[f'layers.{stage}.blocks.1.attn_mask'] = torch.zeros(4, 9, 9)
    return state


class TestSwin:
    def test_a_classifier_takes_everything(self):
        official = official_swin()
        model = Swin(SMALL, 3, num_classes=5)
        state = convert(dict(model=official, optimizer={}), model)
        model.load_state_dict(state)
        assert all(torch.equal(tensor, official[name]) for name, tensor in model.state_dict().items())

    def test_a_backbone_takes_all_but_the_head_and_keeps_its_own_norms(self):
        official = official_swin()
        made = account(official, Swin(SMALL, 3)).check()
        assert set(made.initialised) == {f'norm{i}.{kind}' for i in range(3) for kind in ('weight', 'bias')}
        assert torch.equal(made.state['norm3.weight'], official['norm.weight'])
        assert {name for name in made.dropped if 'index' not in name and 'attn_mask' not in name} == {
            'head.weight',
            'head.bias',
        }
        assert len(made.state) + len(made.initialised) == len(Swin(SMALL, 3).state_dict())

    def test_stages_that_are_not_built_are_dropped(self):
        model = Swin(SMALL, 3, out_indices=(0, 1))
        made = account(official_swin(), model).check()
        assert set(made.state) | set(made.initialised) == set(model.state_dict())
        assert made.dropped['layers.3.blocks.0.norm1.weight'] == 'its stage is not built (out_indices)'
        assert 'layers.1.downsample.reduction.weight' in made.dropped

    def test_tables_are_resized_to_the_models_window(self):
        official = official_swin(window_size=3)
        side = torch.linspace(-1, 1, 5)
        official[TABLE] = (side[:, None] + 2 * side).reshape(25, 1)
        table = convert(official, Swin(SMALL, 5))[TABLE].reshape(9, 9)
        assert table[4, 4].abs() < 1e-6  # the middle stays the middle
        torch.testing.assert_close(table, -table.flip(0, 1))
        assert (table.diff(dim=0) > 0).all() and (table.diff(dim=1) > 0).all()

    def test_a_detectors_backbone_is_filled(self):
        detector = nn.Module()
        detector.backbone, detector.neck = Swin(SMALL, 3), nn.Linear(1, 1)
        made = account(official_swin(), detector).check()
        assert made.target == 'backbone' and all(name.startswith('backbone.') for name in made.state)
        missing, unexpected = detector.load_state_dict(made.state, strict=False)
        assert unexpected == [] and set(missing) == set(made.initialised) | {'neck.weight', 'neck.bias'}

    def test_another_swin_is_refused(self):
        with pytest.raises(WeightsDoNotFit, match='fills a Swin of mmparts, the config builds a torch.nn'):
            convert(official_swin(), nn.Linear(1, 1))


class TestStrictness:
    @pytest.mark.parametrize('name', ['patch_embed.proj.weight', TABLE, 'layers.2.downsample.norm.bias', 'norm.weight'])
    def test_a_missing_tensor_is_named(self, name):
        official = official_swin()
        del official[name]
        with pytest.raises(WeightsDoNotFit, match=rf'1 missing\.\nmissing:\n  \S+ <- {name}\n'):
            convert(official, Swin(SMALL, 3))

    @pytest.mark.parametrize('name', ['layers.0.blocks.2.norm1.weight', 'layers.3.downsample.norm.bias', 'queries'])
    def test_an_unexpected_tensor_is_named(self, name):
        with pytest.raises(WeightsDoNotFit, match=rf'1 unexpected\.\nunexpected:\n  {name}\n'):
            convert(official_swin() | {name: torch.zeros(1)}, Swin(SMALL, 3))

    @pytest.mark.parametrize(
        ('name', 'shape', 'wanted'),
        [
            ('patch_embed.proj.weight', (8, 4, 4, 4), '8x3x4x4'),
            ('norm.bias', (65,), '64'),
            (TABLE, (24, 1), '25x1'),
            (TABLE, (25, 2), '25x1'),
        ],
    )
    def test_a_mis_shaped_tensor_is_named_with_both_shapes(self, name, shape, wanted):
        got = 'x'.join(map(str, shape))
        with pytest.raises(WeightsDoNotFit, match=f'1 mis-shaped[^<]*<- {name}: got {got}, wanted {wanted}\n'):
            convert(official_swin() | {name: torch.zeros(shape)}, Swin(SMALL, 3))

    def test_every_problem_is_listed_at_once(self):
        official = official_swin() | {'extra': torch.zeros(1), 'norm.bias': torch.zeros(2)}
        gone = [name for name in official if name.startswith('layers.1.blocks.0.mlp')]
        for name in gone:
            del official[name]
        with pytest.raises(WeightsDoNotFit) as error:
            convert(official, Swin(SMALL, 3))
        assert all(name in str(error.value) for name in [*gone, 'extra', 'norm.bias'])
        assert '4 missing, 1 unexpected, 1 mis-shaped' in str(error.value)

    def test_a_head_for_other_classes_is_refused_unless_skipped(self):
        model = Swin(SMALL, 3, num_classes=7)
        with pytest.raises(WeightsDoNotFit, match='got 5x64, wanted 7x64'):
            convert(official_swin(), model)
        made = account(official_swin(), model, skip=[r'head\..*']).check()
        assert set(made.initialised) == {'head.weight', 'head.bias'} and not set(made.initialised) & set(made.state)
        assert made.dropped['head.weight'] == 'skipped'

    def test_a_skip_that_names_nothing_is_refused(self):
        with pytest.raises(WeightsDoNotFit, match='skip patterns without effect:\n  haed'):
            convert(official_swin(), Swin(SMALL, 3), skip=['haed'])


class TestLayouts:
    def test_containers_and_wrappers_are_opened(self):
        state = {'module.a': torch.zeros(1), 'module.b': torch.ones(2)}
        for checkpoint in (state, dict(model=state, epoch=3), dict(state_dict=dict(model=state))):
            assert set(unwrap(checkpoint).state) == {'a', 'b'}

    @pytest.mark.parametrize('checkpoint', [{}, dict(weights={'a': torch.zeros(1)}), dict(model={'a': 'text'})])
    def test_a_file_without_weights_is_refused(self, checkpoint):
        with pytest.raises(WeightsDoNotFit, match='no weights found'):
            unwrap(checkpoint)

    def test_a_layout_may_be_named_by_class_or_name(self):
        model = Swin(SMALL, 3)
        for layout in (SwinLayout, 'swin', None):
            assert account(official_swin(), model, layout).layout == 'swin'

    def test_errors_list_the_layouts(self):
        with pytest.raises(WeightsDoNotFit, match="no layout is called 'swim'; there are .*, swin, .*timm-swin, "):
            convert(official_swin(), Swin(SMALL, 3), 'swim')
        with pytest.raises(WeightsDoNotFit, match=r'names that no layout knows, as a\. .*--layout\): .*swin'):
            convert({'a': torch.zeros(1)}, Swin(SMALL, 3))

    def test_an_ambiguous_checkpoint_is_refused(self, monkeypatch):
        monkeypatch.setitem(WEIGHT_LAYOUTS.module_dict, 'swine', SwinLayout)
        with pytest.raises(WeightsDoNotFit, match='several layouts, swin or swine; name one'):
            convert(official_swin(), Swin(SMALL, 3))


class TestResNet:
    @staticmethod
    def official():
        torch.manual_seed(0)
        state = {name: torch.rand(tensor.shape) for name, tensor in ResNet(18, base_channels=8).state_dict().items()}
        return state | {'fc.weight': torch.zeros(10, 64), 'fc.bias': torch.zeros(10)}

    @pytest.mark.parametrize('counters', [True, False])
    def test_mmdets_resnet_takes_torchvisions_names(self, counters):
        official = {
            name: tensor
            for name, tensor in self.official().items()
            if counters or not name.endswith('num_batches_tracked')
        }
        made = account(official, ResNet(18, base_channels=8)).check()
        assert set(made.dropped) == {'fc.weight', 'fc.bias'}
        assert set(made.state) == set(official) - {'fc.weight', 'fc.bias'}

    def test_fewer_stages(self):
        model = ResNet(18, base_channels=8, num_stages=3, strides=(1, 2, 2), dilations=(1, 1, 1), out_indices=(2,))
        assert set(convert(self.official(), model)) == set(model.state_dict())

    def test_a_missing_tensor_is_named(self):
        official = self.official()
        del official['layer2.0.downsample.0.weight']
        with pytest.raises(WeightsDoNotFit, match='layer2.0.downsample.0.weight'):
            convert(official, ResNet(18, base_channels=8))


class TestRules:
    """The vocabulary of layouts, on a model of two tensors: q 2x3 and head 4."""

    @pytest.fixture
    def model(self):
        model = nn.Module()
        model.q, model.head = nn.Parameter(torch.zeros(2, 3)), nn.Parameter(torch.zeros(4))
        return model

    def test_fused_rows_are_split_and_split_ones_joined(self, model):
        fused = torch.arange(18.0).reshape(6, 3)
        made = draw(
            {'in_proj': fused, 'a': torch.ones(1), 'b': torch.zeros(3)},
            model,
            [Rule('q', ['in_proj'], block(1, 3)), Rule('head', ['a', 'b'], joined=True)],
        )
        assert torch.equal(made.state['q'], fused[2:4]) and made.state['head'].tolist() == [1, 0, 0, 0]
        assert made.unexpected == []

    def test_copies_are_dropped_when_they_agree(self, model):
        rules = [Rule('head', lambda _: [f'head.{i}' for i in range(3)])]
        official = {'q': torch.zeros(2, 3)} | {f'head.{i}': torch.ones(4) for i in range(3)}
        assert draw(official, model, rules).dropped == {'head.1': 'copy of head.0', 'head.2': 'copy of head.0'}

    def test_copies_that_differ_or_lack_are_told(self, model):
        rules = [Rule('head', lambda _: [f'head.{i}' for i in range(3)])]
        official = {'q': torch.zeros(2, 3), 'head.0': torch.ones(4), 'head.1': torch.ones(4), 'head.2': torch.zeros(4)}
        assert draw(official, model, rules).refused['head'] == 'head.0: should equal head.2, but differs'
        del official['head.2']
        assert draw(official, model, rules).missing == {'head': ['head.2']}


class TestFiles:
    def test_official_weights_as_init_cfg(self, tmp_path):
        official = official_swin()
        torch.save(dict(model=official), tmp_path / 'swin.pth')
        model = Swin(SMALL, 3, init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=str(tmp_path / 'swin.pth')))
        model.init_weights()
        assert torch.equal(model.norm3.weight, official['norm.weight'])

        torch.save(TestResNet.official(), tmp_path / 'resnet.pth')
        model = ResNet(
            18, base_channels=8, init_cfg=dict(type='mmparts.OfficialWeights', checkpoint=str(tmp_path / 'resnet.pth'))
        )
        model.init_weights()
        assert torch.equal(model.layer3[1].conv2.weight, TestResNet.official()['layer3.1.conv2.weight'])
