"""LAMB, against the formula and timm's."""

import pytest
import torch
from parity import reference
from torch import nn

from mmparts.engine import Lamb


def test_the_first_step_by_hand():
    """Moments are those of one gradient: its sign, nearly; then weight decay, then the ratio of the norms."""
    weight = nn.Parameter(torch.tensor([3.0, 4.0]))
    weight.grad = torch.tensor([2.0, -2.0])
    Lamb([weight], lr=0.1, weight_decay=0.1).step()
    update = torch.tensor([1 + 0.3, -1 + 0.4])
    torch.testing.assert_close(weight.data, torch.tensor([3.0, 4.0]) - 0.1 * 5 / update.norm() * update)


def test_a_tensor_of_zeros_moves():
    weight = nn.Parameter(torch.zeros(2))
    weight.grad = torch.tensor([2.0, -3.0])
    Lamb([weight], lr=0.1).step()
    torch.testing.assert_close(weight.data, torch.tensor([-0.1, 0.1]))


@pytest.mark.parametrize('decay', [0.0, 0.1])
def test_as_timms(decay):
    theirs = reference('timm.optim.lamb').Lamb
    torch.manual_seed(0)
    shapes, found = [(4, 3), (5,), (2, 3, 2)], []
    start = [torch.randn(shape) for shape in shapes]
    gradients = [[torch.randn(shape) for shape in shapes] for _ in range(5)]
    for make in (Lamb, lambda *args, **kwargs: theirs(*args, always_adapt=True, max_grad_norm=None, **kwargs)):
        params = [nn.Parameter(each.clone()) for each in start]
        optimizer = make(params, lr=0.01, weight_decay=decay, eps=1e-6)
        for step in gradients:
            for each, gradient in zip(params, step):
                each.grad = gradient.clone()
            optimizer.step()
        found.append(params)
    for ours, other in zip(*found):
        torch.testing.assert_close(ours, other, atol=1e-6, rtol=1e-6)


def test_goes_on_from_its_state():
    def run(steps, optimizer, weight):
        for step in steps:
            weight.grad = torch.full((3,), float(step))
            optimizer.step()

    whole, part = (nn.Parameter(torch.arange(3.0)) for _ in range(2))
    run(range(1, 7), Lamb([whole]), whole)
    first = Lamb([part])
    run(range(1, 4), first, part)
    second = Lamb([part])
    second.load_state_dict(first.state_dict())
    run(range(4, 7), second, part)
    assert whole.equal(part)


def test_impossible_numbers_are_refused():
    with pytest.raises(ValueError, match=r'betas=\(0.9, 1.0\).*both betas must be below 1'):
        Lamb([nn.Parameter(torch.zeros(1))], betas=(0.9, 1.0))
