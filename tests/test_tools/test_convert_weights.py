"""tools/convert_weights.py from a file to a file."""

from argparse import Namespace

import numpy as np
import pytest
import torch
from mmdet.models.backbones import ResNet
from mmengine.runner import load_checkpoint
from torch import nn

from mmparts.backbones import Swin
from mmparts.commands import convert
from mmparts.weights.errors import CorruptCheckpoint, WeightsDoNotFit

SMALL = dict(embed_dims=8, depths=(2, 2, 2, 2), num_heads=(1, 2, 4, 8))
SWIN = f"model = dict(type='mmparts.Swin', arch={SMALL}, window_size=3)"
RESNET = "model = dict(type='ResNet', depth=18, base_channels=8, init_cfg=None)"
DETECTOR = """
_base_ = 'mmparts::detr/detr_r50_8xb2-150e_coco.py'
model = dict(
    embed_dims=32,
    num_queries=10,
    num_classes=2,
    backbone=dict(depth=18, base_channels=8, init_cfg=None),
    encoder=dict(num_layers=1, num_heads=4, ffn_channels=16),
    decoder=dict(num_layers=1, num_heads=4, ffn_channels=16),
)
"""


@pytest.fixture
def tool(tmp_path):
    """Run the tool in this process: ``tool(config text, source, *options)``; returns the path it should write."""

    def run(config, source, *options):
        (tmp_path / 'config.py').write_text(config)
        files = [str(source), str(tmp_path / 'out.pth'), '--config', str(tmp_path / 'config.py')]
        convert.main(convert.parser().parse_args([*files, *options]))
        return tmp_path / 'out.pth'

    return run


def swin():
    torch.manual_seed(0)
    return {name: torch.randn_like(tensor) for name, tensor in Swin(SMALL, 3, num_classes=5).state_dict().items()}


def torchvision():
    """A state dict with torchvision's names of a ResNet-18, an eighth as wide."""
    torch.manual_seed(0)
    state = {
        name: torch.rand(tensor.shape) if tensor.is_floating_point() else torch.tensor(7)
        for name, tensor in ResNet(18, base_channels=8).state_dict().items()
    }
    return state | {'fc.weight': torch.rand(10, 64), 'fc.bias': torch.rand(10)}


def archive(state, path):
    """The same as a TorchScript archive."""
    root = nn.Module()
    for name, tensor in state.items():
        *parents, leaf = name.split('.')
        module = root
        for parent in parents:
            if not hasattr(module, parent):
                module.add_module(parent, nn.Module())
            module = getattr(module, parent)
        module.register_buffer(leaf, tensor)
    torch.jit.script(root).save(str(path))


def written(kind, state, path):
    """The file of a kind; the weights that are to be taken lie under the first key."""
    others = {name: tensor + 1 for name, tensor in state.items()}
    wrapped = {f'module.{name}': tensor for name, tensor in state.items()}
    nested = {
        'nested': dict(model=state, optimizer=dict(state={0: dict(exp_avg=torch.ones(2))}), epoch=3),
        'ema': dict(model=others, model_ema=state, args=Namespace(lr=0.1)),
        'teacher': dict(student=dict(module=others), teacher=wrapped),
        'nnU-Net': dict(network_weights=state, trainer_name='x', logging=dict(ema=np.float64(0.5))),
    }
    if kind == 'safetensors':
        pytest.importorskip('safetensors.torch').save_file(state, str(path))
    elif kind == 'npz':
        np.savez(path, **{name: tensor.numpy() for name, tensor in state.items()})
        path = path.with_suffix('.npz')
    elif kind == 'TorchScript':
        archive(state, path)
    else:
        torch.save(nested[kind], path)
    return path


class TestResNet:
    @pytest.mark.filterwarnings('ignore')  # torch.jit is deprecated; the files stay
    @pytest.mark.parametrize('kind', ['safetensors', 'npz', 'TorchScript', 'nested', 'ema', 'teacher', 'nnU-Net'])
    def test_any_file_and_container(self, tool, tmp_path, capsys, kind):
        state = torchvision()
        out = tool(RESNET, written(kind, state, tmp_path / 'official'))
        model = ResNet(18, base_channels=8)
        load_checkpoint(model, str(out))
        assert all(tensor.equal(state[name]) for name, tensor in model.state_dict().items())
        said = f"took the weights under '{dict(ema='model_ema', teacher='teacher').get(kind)}'"
        assert (said in capsys.readouterr().out) == (kind in ('ema', 'teacher'))

    def test_the_backbone_of_a_detector(self, tool, tmp_path, capsys):
        """And the command that is printed for training from it works as it stands."""
        state = torchvision()
        out = tool(DETECTOR, written('safetensors', state, tmp_path / 'official'))
        saved = torch.load(out, weights_only=True)
        assert saved['meta']['target'] == 'backbone' and saved['meta']['layout'] == 'torchvision-resnet'
        assert saved['state_dict']['backbone.layer4.1.conv2.weight'].equal(state['layer4.1.conv2.weight'])
        shown = capsys.readouterr().out.split()
        options = dict(option.split('=') for option in shown if option.startswith('model.backbone.init_cfg'))
        cfg = {key.rpartition('.')[2]: value.strip("'") for key, value in options.items()}
        backbone = ResNet(18, base_channels=8, init_cfg=cfg)
        backbone.init_weights()
        assert backbone.layer4[1].conv2.weight.equal(state['layer4.1.conv2.weight'])

    def test_a_key_chooses(self, tool, tmp_path):
        state = torchvision()
        out = tool(RESNET, written('ema', state, tmp_path / 'official'), '--key', 'model')
        assert torch.load(out, weights_only=True)['state_dict']['conv1.weight'].equal(state['conv1.weight'] + 1)


@pytest.mark.parametrize('suffix', ['pth', 'safetensors'])
def test_it_writes_what_mmengine_loads(tool, tmp_path, capsys, suffix):
    official, source = swin(), tmp_path / f'official.{suffix}'
    if suffix == 'pth':
        torch.save(dict(model=official), source)
    else:
        pytest.importorskip('safetensors.torch').save_file(official, source)
    saved = torch.load(tool(SWIN, source), weights_only=True)
    assert saved['meta']['layout'] == 'swin' and len(saved['meta']['sha256']) == 64
    model = Swin(SMALL, 3, init_cfg=dict(type='Pretrained', checkpoint=str(tmp_path / 'out.pth')))
    model.init_weights()
    assert torch.equal(model.norm3.weight, official['norm.weight'])
    shown = capsys.readouterr().out
    assert 'as initialised' in shown and 'a backbone has no classifier' in shown and 'Next: mmparts ' in shown


class TestRefusals:
    def test_nothing_is_written(self, tool, tmp_path):
        torch.save(swin(), tmp_path / 'official.pth')
        assert not tool(SWIN, tmp_path / 'official.pth', '--dry-run').exists()
        torch.save(swin() | {'extra': torch.zeros(1)}, tmp_path / 'official.pth')
        with pytest.raises(WeightsDoNotFit, match='extra'):
            tool(SWIN, tmp_path / 'official.pth')
        assert not (tmp_path / 'out.pth').exists()

    def test_the_first_line_names_file_and_config(self, tool, tmp_path):
        torch.save({name: tensor for name, tensor in swin().items() if 'layers.1.blocks' not in name}, tmp_path / 'a')
        with pytest.raises(WeightsDoNotFit) as error:
            tool(SWIN, tmp_path / 'a')
        first, counts, *_ = str(error.value).splitlines()
        assert first.startswith(f'{tmp_path}/a (a torch checkpoint) does not fit {tmp_path}/config.py: ')
        assert "the layout 'swin'; the config builds a Swin." in first and counts == '26 missing.'
        assert '... and 21 more (--verbose lists all)' in str(error.value)
        with pytest.raises(WeightsDoNotFit) as error:
            tool(SWIN, tmp_path / 'a', '--verbose')
        assert str(error.value).count('<-') == 26

    def test_numbers_that_are_not_finite(self, tool, tmp_path):
        state = swin()
        state['norm.bias'][3] = float('nan')
        torch.save(state, tmp_path / 'a.pth')
        with pytest.raises(WeightsDoNotFit, match=r'1 not finite\.\nnot finite:\n  norm3.bias <- norm.bias: NaN'):
            tool(SWIN, tmp_path / 'a.pth')

    def test_a_damaged_file(self, tool, tmp_path):
        state, path = swin(), tmp_path / 'a.pth'
        torch.save(state, path)
        content = bytearray(path.read_bytes())
        content[content.index(state['norm.bias'].numpy().tobytes()) + 2] ^= 1
        path.write_bytes(content)
        with pytest.raises(CorruptCheckpoint, match='damaged'):
            tool(SWIN, path)

    def test_a_file_that_would_run_code(self, tool, tmp_path):
        torch.save(dict(model=print), tmp_path / 'official.pth')
        with pytest.raises(RuntimeError, match='print'):
            tool(SWIN, tmp_path / 'official.pth')


def test_what_the_official_code_needs_is_said_and_stands_in_the_next_command(tool, tmp_path, capsys, monkeypatch):
    import mmparts.weights.layout as layout

    monkeypatch.setattr(layout.WeightLayout, 'advise', classmethod(lambda cls, model: {'model.a=1': 'b is c there'}))
    torch.save(swin(), tmp_path / 'a.pth')
    tool(SWIN, tmp_path / 'a.pth', '--cfg-options', 'model.drop_path=0.3')
    shown = ' '.join(capsys.readouterr().out.split())
    assert 'use the file with model.a=1: b is c there.' in shown
    assert shown.endswith('--cfg-options model.drop_path=0.3 model.a=1')
