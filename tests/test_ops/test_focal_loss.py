"""The sigmoid focal loss is the formula, and its gradient the formula's, through mmcv's own autograd function."""

import loops
import pytest
import torch
from mmcv.ops import sigmoid_focal_loss

TARGET = torch.tensor([0, 2, 4, 1, 4])  # 4 of 4 classes: background


@pytest.mark.parametrize(('gamma', 'alpha'), [(2.0, 0.25), (1.5, 0.7)])
@pytest.mark.parametrize('weight', [None, torch.tensor([1.0, 2.0, 0.5, 3.0], dtype=torch.float64)])
def test_is_the_loop(gamma, alpha, weight):
    logits = torch.randn(5, 4, dtype=torch.float64, requires_grad=True)
    loss = sigmoid_focal_loss(logits, TARGET, gamma, alpha, weight, 'none')
    expected = loops.sigmoid_focal_loss(logits, TARGET, torch.ones(4) if weight is None else weight, gamma, alpha)
    assert torch.allclose(loss, expected, atol=1e-12)

    direction = torch.randn_like(loss)
    (grad,) = torch.autograd.grad((loss * direction).sum(), logits)
    (expected,) = torch.autograd.grad((expected * direction).sum(), logits)
    assert torch.allclose(grad, expected, atol=1e-12)


def test_large_logits_stay_exact():
    logits = torch.tensor([[-200.0, 200.0]], requires_grad=True)
    loss = sigmoid_focal_loss(logits, torch.tensor([0]), 2.0, 0.25, None, 'none')
    assert torch.allclose(loss, torch.tensor([[50.0, 150.0]]))
    loss.sum().backward()
    assert torch.allclose(logits.grad, torch.tensor([[-0.25, 0.75]]))
