"""`mmparts doctor`: what it says of packages that do not fit, and of a config."""

import tiny
from mmengine.config import Config

from mmparts.analysis import doctor
from mmparts.commands import doctor as command


def states(lines) -> dict[str, str]:
    return {f'{line.what}: {line.found}': line.state for line in lines}


def test_this_machine_fits():
    found = list(doctor.machine())
    assert not [line for line in found if line.state == doctor.BAD]
    assert {'python', 'torch', 'OpenMMLab', 'GPU', 'operators', 'Slurm', 'disk'} <= {line.what for line in found}


def test_packages_that_do_not_fit_are_named(monkeypatch):
    installed = {'mmcv': '2.2.0', 'mmcv-lite': '2.1.0', 'mmdet': '3.3.0', 'mmengine': '0.10.7', 'setuptools': '82.0.1'}
    monkeypatch.setattr(doctor, 'version', installed.get)
    bad = [line.found for line in doctor.packages() if line.state == doctor.BAD]
    assert len(bad) == 3
    assert 'mmcv and mmcv-lite are both installed and overwrite each other' in bad[0]
    assert '2.2.0, but mmdet 3.3.0 takes versions below 2.2' in bad[1] and '82.0.1, but mmengine' in bad[2]
    installed.update({'onedl-mmcv': '2.3.6'})
    assert 'mmcv and onedl-mmcv' in ' '.join(line.found for line in doctor.packages())


def test_a_config_is_tried_and_what_it_lacks_is_said(shapes, tmp_path, capsys):
    config = tmp_path / 'config.py'
    path = tiny.CONFIGS / 'dino/dino-4scale_small_2xb4-7e_shapes.py'
    weights = "dict(_delete_=True, type='Pretrained', checkpoint='none.pth')"
    config.write_text(f"_base_ = '{path}'\nmodel = dict(backbone=dict(init_cfg={weights}))\n")
    options = [f'data_root={shapes}', 'model.embed_dims=16', 'model.backbone.base_channels=8']
    options += ['model.neck.norm_cfg.num_groups=4']
    code = command.main(command.parser().parse_args([str(config), '--cfg-options', *options]))
    said = capsys.readouterr().out
    assert code == 1 and 'something is bad' in said
    assert 'BAD   weights        model.backbone.init_cfg.checkpoint: there is no file none.pth' in said
    for what in (
        'ok    config',
        'ok    model',
        'ok    train data     24 images',
        'ok    training step',
        'ok    evaluation',
    ):
        assert what in said, said


def test_large_models_are_timed_on_small_images(monkeypatch):
    seen = {}
    monkeypatch.setattr('mmparts.analysis.doctor.get_device', lambda: 'cpu')

    def measure(cfg, batch, size, device, **limits):
        seen['size'] = size
        return dict(seconds_median=2.0, peak_memory_bytes=2**30)

    monkeypatch.setattr('mmparts.analysis.races.benchmark.measure_training', measure)
    monkeypatch.setattr('mmparts.analysis.races.benchmark.measure_inference', measure)
    cfg = Config(dict(train_dataloader=dict(batch_size=2)))
    train, _ = doctor.step(cfg, (800, 1344), int(267e9 * 10))
    assert seen['size'] == (160, 288)
    assert f'about {2 * 2 * (800 * 1344) / (160 * 288):.2g} s for 2 images, from one image of 160 x 288' in train.found
