"""`python -m mmparts.ops` tells which variants run, why, how exact and how fast, held against the reference."""

import json
import subprocess
import sys

import pytest
import torch

from mmparts.ops import __main__ as command
from mmparts.ops import table
from mmparts.ops.kernels.variants import Variant, Variants, from_triton

CPU = torch.device('cpu')


def missing():
    raise ImportError('no wings; pip install wings')


def squares(**variants) -> Variants:
    def square(numbers):
        return op.choose(numbers.device, numbers.dtype)(numbers)

    op = Variants(
        'square',
        example=lambda: (square, (torch.randn(5, requires_grad=True),)),
        **{
            name: variant if isinstance(variant, Variant) else Variant(lambda variant=variant: variant)
            for name, variant in variants.items()
        },
        reference=Variant(lambda: lambda numbers: numbers**2),
    )
    return op


def test_rows_say_what_runs_and_why_not(monkeypatch):
    op = squares(
        flying=Variant(missing),
        cuda=Variant(missing, ('cuda',)),
        half=Variant(lambda: torch.square, dtypes=(torch.float16,)),
        plain=torch.square,
    )
    with pytest.warns(UserWarning, match="square: without its fast variant 'flying': no wings"):
        rows = {row.variant: row for row in table.measure(op, CPU, rounds=2)}
    assert rows['flying'].obstacle == 'no wings; pip install wings'
    assert 'runs on cuda and the tensors are on cpu' in rows['cuda'].obstacle
    assert 'takes torch.float16 and the tensors are torch.float32' in rows['half'].obstacle
    assert [name for name, row in rows.items() if row.chosen] == ['plain']
    assert rows['plain'].error < 1e-6 and rows['reference'].speedup == 1

    monkeypatch.setenv('MMPARTS_SQUARE', 'reference')
    (forced,) = [row for row in table.measure(op, CPU, rounds=1) if row.chosen]
    assert forced.variant == 'reference' and 'MMPARTS_SQUARE' in forced.chosen


@pytest.mark.parametrize(
    'wrong',
    [
        lambda numbers: numbers**2 + 1e-2,
        lambda numbers: numbers[:3] ** 2,
        lambda numbers: numbers.detach() ** 2 + 0 * numbers,
    ],
)
def test_a_wrong_result_or_gradient_or_size_is_an_error(wrong):
    rows = {row.variant: row for row in table.measure(squares(wrong=wrong), CPU, rounds=1)}
    assert rows['wrong'].error > 1e-3 > rows['reference'].error


def test_all_families_are_there():
    assert set(table.operators()) >= {
        'nms',
        'nms_match',
        'soft_nms',
        'roi_align',
        'sigmoid_focal_loss',
        'deform_conv2d',
        'ms_deform_attn',
        'ms_deform_attn_fused',
        'dcnv3',
    }


def test_prints_a_table_and_json(capsys):
    command.main(['nms', 'sigmoid_focal_loss', '--rounds', '1', '--clock', 'cpu', '--threads', '1'])
    printed = capsys.readouterr().out
    assert 'sigmoid_focal_loss' in printed and 'runs: the best on cpu' in printed
    command.main(['nms', '--rounds', '1', '--threads', '1', '--json'])
    told = json.loads(capsys.readouterr().out)
    assert told['device'] == 'cpu' and {row['op'] for row in told['rows']} == {'nms'}
    assert all(row['error'] == 0 for row in told['rows'] if not row['obstacle'])


def test_an_unknown_op_is_refused():
    with pytest.raises(SystemExit, match='no op sort; there are .*nms'):
        command.main(['sort'])


def test_help_needs_no_torch():
    code = (
        'import sys, mmparts.ops.__main__ as command\ntry: command.main(["--help"])\n'
        'except SystemExit: print("torch" in sys.modules)'
    )
    done = subprocess.run([sys.executable, '-W', 'ignore', '-c', code], capture_output=True, text=True)
    assert '--fresh' in done.stdout and done.stdout.strip().endswith('False')


def test_without_a_c_compiler_triton_is_missing_and_not_broken(monkeypatch):
    """It would fail at the first launch."""
    load = from_triton('focal_loss.sigmoid_focal_loss')  # any module would do
    monkeypatch.setenv('CC', 'cc')
    monkeypatch.setattr('sysconfig.get_path', lambda name: '/nowhere')
    assert 'no /nowhere/Python.h' in reason(load)
    monkeypatch.delenv('CC')
    monkeypatch.setattr('shutil.which', lambda name: None)
    assert 'needs a C compiler: install gcc or clang' in reason(load)


def reason(load) -> str:
    variant = Variant(load)
    assert variant.function is None
    return variant.missing
