"""The stand-in for mmcv's compiled half: found where there is none, silent where there is one, clear about its gaps."""

import subprocess
import sys
import sysconfig

import pytest
import torch
from mmcv.ops import CARAFEPack, get_compiler_version, roi_pool


def fresh(code: str, path='') -> str:
    """What a new interpreter prints, with a folder of (fake) packages before all others."""
    done = subprocess.run(
        [sys.executable, '-W', 'ignore', '-c', code],
        capture_output=True,
        text=True,
        env={'PYTHONPATH': str(path), 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def package(folder, name: str, source: str = ''):
    (folder / name).mkdir()
    (folder / name / '__init__.py').write_text(source)


def test_mmdet_and_mmseg_import_after_mmparts():
    fresh(
        'import mmparts, importlib.util, pkgutil\n'
        'assert importlib.util.find_spec("mmcv._ext") and pkgutil.find_loader("mmcv._ext")\n'
        'import mmcv.ops, mmdet.models, mmseg.models'
    )


def test_importing_mmparts_imports_nothing_heavy():
    heavy = fresh('import mmparts, sys; print({"torch", "mmcv", "mmdet", "mmseg", "torchvision"} & set(sys.modules))')
    assert heavy.strip() == 'set()'


def test_a_full_mmcv_is_left_alone(tmp_path):
    package(tmp_path, 'mmcv')
    compiled = tmp_path / 'mmcv' / ('_ext' + sysconfig.get_config_var('EXT_SUFFIX'))
    compiled.touch()
    origin = fresh('import mmparts, importlib.util; print(importlib.util.find_spec("mmcv._ext").origin)', tmp_path)
    assert origin.strip() == str(compiled)


def test_installing_twice_changes_nothing():
    fresh(
        'import mmparts, sys\nfrom mmparts.ops.mmcv.finder import install\n'
        'before = list(sys.meta_path); install(); assert sys.meta_path == before'
    )


def test_a_torchvision_that_does_not_fit_looks_absent(tmp_path):
    package(tmp_path, 'torchvision', 'raise RuntimeError("operator torchvision::nms does not exist")')
    told = fresh('import mmparts\ntry: import torchvision\nexcept ModuleNotFoundError as error: print(error)', tmp_path)
    assert 'operator torchvision::nms does not exist' in told and 'install the build made for it' in told


def test_a_torchvision_that_fits_is_imported(tmp_path):
    package(tmp_path, 'torchvision', '__version__ = "1.2.3"')
    assert fresh('import mmparts, torchvision; print(torchvision.__version__)', tmp_path).strip() == '1.2.3'


def test_a_lacking_op_says_what_who_and_what_now():
    class Neck(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.upsample = CARAFEPack(8, 2)

        def forward(self, features):
            return self.upsample(features)

    with pytest.raises(NotImplementedError) as error:
        Neck()(torch.zeros(1, 8, 4, 4))
    assert 'mmcv op `carafe_forward`' in str(error.value)
    assert 'mmcv.ops.carafe.CARAFEPack in ' in str(error.value) and 'Neck' in str(error.value)
    for way_out in ('use a part that does not need', 'full mmcv', 'request the op'):
        assert way_out in str(error.value)


def test_a_lacking_op_called_outside_a_module_names_the_function():
    with pytest.raises(NotImplementedError, match=r'Asked for by mmcv\.ops\.roi_pool\.'):
        roi_pool(torch.zeros(1, 1, 4, 4), torch.zeros(1, 5), 2)


def test_mmcv_can_tell_its_compiler():
    assert 'mmparts' in get_compiler_version()


def test_no_other_attribute_is_made_up():
    import mmcv._ext

    assert not hasattr(mmcv._ext, '__path__')
