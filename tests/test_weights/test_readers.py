"""Files of every format come back tensor by tensor with no code run; a damaged or wrong one is named for what it is."""

import io
import os
import zipfile

import numpy as np
import pytest
import torch
from torch import nn

from mmparts.weights.errors import CorruptCheckpoint, UnsafeCheckpoint
from mmparts.weights.readers import check_finite, read_file


class Towers(nn.Module):
    """What a published archive may hold: half precision, a buffer, a tied and a nested module, a loose tensor."""

    def __init__(self):
        super().__init__()
        self.visual = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 4, bias=False))
        self.text = nn.ModuleList([nn.Linear(3, 4), nn.LayerNorm(4)])
        self.tied = self.visual[0]
        self.scale = nn.Parameter(torch.tensor(2.5))
        self.narrow = nn.Parameter(torch.randn(4, 6).half().t())  # not contiguous
        self.register_buffer('length', torch.tensor(77))
        self.mask = torch.full((2, 2), float('-inf'))  # neither parameter nor buffer
        self.names, self.sizes, self.table = ['a', 'b'], [1, 2], {'a': 1}

    def forward(self, x):
        return self.visual(x) * self.scale + self.mask[0, 0] + self.sizes[0] + torch.tensor([1.0, 2.0]).sum()


@pytest.fixture
def state():
    torch.manual_seed(0)
    return {'stem.weight': torch.randn(4, 3, 2, 2), 'stem.count': torch.tensor(7), 'half': torch.randn(3).half()}


def same(left, right):
    assert set(left) == set(right)
    assert all(torch.equal(left[name], right[name]) and left[name].dtype == right[name].dtype for name in right)


class TestFormats:
    @pytest.mark.parametrize('zipped', [True, False])
    def test_torch(self, tmp_path, state, zipped):
        path = str(tmp_path / 'a.bin')
        torch.save(dict(model=state), path, _use_new_zipfile_serialization=zipped)
        found = read_file(path)
        same(found.content['model'], state)
        assert found.kind.startswith('a torch checkpoint')

    def test_safetensors_by_content_whatever_the_name(self, tmp_path, state):
        save_file = pytest.importorskip('safetensors.torch').save_file
        for name in ('a.safetensors', 'a.pth'):
            save_file(state, str(tmp_path / name))
            found = read_file(str(tmp_path / name))
            same(found.content, state)
            assert found.kind == 'a safetensors file of 3 tensors'

    def test_npz_with_the_names_of_flax(self, tmp_path):
        arrays = {
            'Transformer/encoderblock_0/LayerNorm_0/scale': np.arange(4, dtype='f4'),
            'embedding/kernel': np.arange(24, dtype='f2').reshape(2, 3, 4).transpose(2, 0, 1),
            'step': np.int64(3),
        }
        np.savez(tmp_path / 'a.npz', **arrays)
        found = read_file(str(tmp_path / 'a.npz'))
        assert found.kind == 'an npz of 3 arrays' and set(found.content) == set(arrays)
        for name, array in arrays.items():
            assert np.array_equal(found.content[name].numpy(), array) and found.content[name].shape == array.shape

    def test_npz_with_bfloat16_of_jax(self, tmp_path):
        wanted = torch.tensor([[1.5, -2.0]], dtype=torch.bfloat16)
        np.savez(tmp_path / 'a.npz', w=wanted.view(torch.int16).numpy().view('V2'))
        assert torch.equal(read_file(str(tmp_path / 'a.npz')).content['w'], wanted)

    @pytest.mark.filterwarnings('ignore')  # torch.jit is deprecated; the files stay
    @pytest.mark.parametrize('make', [torch.jit.script, lambda model: torch.jit.trace(model, torch.zeros(1, 3))])
    def test_torchscript_is_its_state_dict(self, tmp_path, monkeypatch, make):
        torch.manual_seed(0)
        path = str(tmp_path / 'a.pt')
        make(Towers()).save(path)
        wanted = torch.jit.load(path).state_dict()
        assert len(wanted) == 12

        monkeypatch.setattr(torch.jit, 'load', None)  # no code of the archive
        found = read_file(path)
        same(found.content, wanted)
        assert found.kind == 'a TorchScript archive of 12 tensors'


def replaced(path, member, data, target):
    """A copy of a zip archive with one member replaced, checksums right."""
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(target, 'w') as new:
        for name in old.namelist():
            new.writestr(name, data(old.read(name)) if name.endswith(member) else old.read(name))


class TestHostile:
    @pytest.mark.filterwarnings('ignore')
    def test_torchscript_with_another_global(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        torch.jit.script(Towers()).save(str(tmp_path / 'a.pt'))
        pickled = b'\x80\x02cos\nsystem\nX' + len(b'touch owned').to_bytes(4, 'little') + b'touch owned\x85R.'
        replaced(tmp_path / 'a.pt', '/data.pkl', lambda _: pickled, tmp_path / 'b.pt')
        with pytest.raises(UnsafeCheckpoint, match=r'os\.system'):
            read_file(str(tmp_path / 'b.pt'))
        assert not os.path.exists('owned')

    @pytest.mark.parametrize('name', ['exec', 'eval', 'getattr', '__import__'])
    @pytest.mark.filterwarnings('ignore')
    def test_torchscript_with_a_builtin(self, tmp_path, name):
        torch.jit.script(Towers()).save(str(tmp_path / 'a.pt'))
        pickled = f'\x80\x02cbuiltins\n{name}\n.'.encode('latin1')
        replaced(tmp_path / 'a.pt', '/data.pkl', lambda _: pickled, tmp_path / 'b.pt')
        with pytest.raises(UnsafeCheckpoint, match=name):
            read_file(str(tmp_path / 'b.pt'))

    def test_npz_of_objects_says_how_to_convert(self, tmp_path):
        np.savez(tmp_path / 'a.npz', plain=np.ones(2), params=np.array({'kernel': np.ones(3)}, dtype=object))
        with pytest.raises(CorruptCheckpoint, match=r"array 'params'.*is a pickle.*allow_pickle=True.*np\.savez"):
            read_file(str(tmp_path / 'a.npz'))

    def test_npz_of_text(self, tmp_path):
        np.savez(tmp_path / 'a.npz', names=np.array(['a', 'b']))
        with pytest.raises(CorruptCheckpoint, match="array 'names' is no array of numbers: its type is <U1"):
            read_file(str(tmp_path / 'a.npz'))


def saved(tmp_path, kind):
    """A file of one large array, of a kind; and the bytes of the array."""
    array = torch.arange(1000.0)
    path = tmp_path / f'a.{kind}'
    if kind == 'npz':
        np.savez(path, w=array.numpy())
    elif kind == 'safetensors':
        pytest.importorskip('safetensors.torch').save_file({'w': array}, str(path))
    elif kind == 'pt':
        model = nn.Module()
        model.w = nn.Parameter(array)
        torch.jit.script(model).save(str(path))
    else:
        torch.save(dict(w=array), path)
    return path, array.numpy().tobytes()


@pytest.mark.filterwarnings('ignore')
class TestDamage:
    @pytest.mark.parametrize('kind', ['pth', 'npz', 'pt'])
    def test_a_changed_byte_is_noticed(self, tmp_path, kind):
        path, data = saved(tmp_path, kind)
        content = bytearray(path.read_bytes())
        content[content.index(data) + 100] ^= 255
        path.write_bytes(content)
        with pytest.raises(CorruptCheckpoint, match='damaged: .* does not match its checksum'):
            read_file(str(path))

    @pytest.mark.parametrize('kind', ['pth', 'npz', 'pt', 'safetensors'])
    def test_half_a_file_is_damaged_or_truncated(self, tmp_path, kind):
        path, _ = saved(tmp_path, kind)
        path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
        with pytest.raises(CorruptCheckpoint, match='truncated|damaged') as error:
            read_file(str(path))
        assert str(path) in str(error.value)


def archive(**files):
    data = io.BytesIO()
    with zipfile.ZipFile(data, 'w') as written:
        for name, content in files.items():
            written.writestr(name, content)
    return data.getvalue()


@pytest.mark.parametrize(
    ('content', 'what'),
    [
        (b'', 'empty; fetch'),
        (b'<!DOCTYPE html><html>404', 'a web page'),
        (b'\n <Error><Code>AccessDenied</Code>', 'a web page or another text'),
        (b'version https://git-lfs.github.com/spec/v1\noid sha256:0', 'Git LFS pointer.*git lfs pull'),
        (b'\x89HDF\r\n\x1a\n' + bytes(80), 'an HDF5 file'),
        (b'\x1f\x8b' + bytes(80), 'a gzip archive; unpack'),
        (b'{"model_type": "vit"}', 'a JSON text'),
        (bytes(range(1, 100)), 'of no format known here'),
        (archive(readme=b'text'), r'a zip archive of 1 files \(readme\)'),
    ],
)
def test_another_file_is_called_what_it_is(tmp_path, content, what):
    path = tmp_path / 'a.pth'
    path.write_bytes(content)
    with pytest.raises(CorruptCheckpoint, match=f'no readable checkpoint.*{what}') as error:
        read_file(str(path))
    assert 'truncated' not in str(error.value)


def test_a_python_pickle_is_called_one(tmp_path):
    import pickle

    (tmp_path / 'a.pkl').write_bytes(pickle.dumps(dict(model={'w': np.ones(2)})))
    with pytest.raises(CorruptCheckpoint, match='a Python pickle') as error:
        read_file(str(tmp_path / 'a.pkl'))
    assert 'truncated' not in str(error.value)


class TestFinite:
    @pytest.mark.parametrize('bad', [float('nan'), float('inf'), -float('inf')])
    @pytest.mark.parametrize('dtype', [torch.float32, torch.float16, torch.bfloat16])
    def test_the_first_bad_tensor_is_named(self, bad, dtype):
        tensors = {'a': torch.ones(3, dtype=dtype), 'b': {'c': [torch.tensor([1, bad, bad], dtype=dtype)]}}
        with pytest.raises(CorruptCheckpoint, match=r'2 of 3 in b\.c\.0'):
            check_finite(tensors, 'x.pth')

    def test_large_numbers_and_integers_pass(self):
        check_finite({'a': torch.full((100,), 65504.0).half(), 'b': torch.tensor([1, 2]), 'c': None}, 'x.pth')
        check_finite([torch.zeros(0), torch.tensor(3e38), torch.tensor(True)], 'x.pth')
