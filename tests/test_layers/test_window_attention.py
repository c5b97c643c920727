"""Windows and the attention inside: pair by pair, and against timm (2-D, cosine) and MONAI (3-D)."""

import math
from itertools import product

import pytest
import torch
from parity import reference

from mmparts.layers.window_attention import CosineWindowAttention, WindowAttention
from mmparts.layers.window_grid import MASKED, WindowGrid
from mmparts.ops import biased_attention as op

DIMS, HEADS = 8, 2
FORMS = [WindowAttention, CosineWindowAttention]
# size and window: odd sizes, one axis shorter than the window, three axes
GRIDS = [((6, 5), (3, 3)), ((2, 7), (3, 4)), ((9, 4), (2, 4)), ((3, 5, 4), (2, 2, 3)), ((2, 2, 2), (2, 2, 2))]


def randomise(module: torch.nn.Module, seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    for parameter in module.parameters():
        parameter.data += 0.5 * torch.randn(parameter.shape)
    return module


def bias_of(attention, delta: list[int], window: tuple[int, ...]) -> torch.Tensor:
    """The bias of one pair, for all heads, from the papers' formulas."""
    if isinstance(attention, WindowAttention):
        row = 0
        for step, side in zip(delta, attention.window_size):
            row = row * (2 * side - 1) + step + side - 1
        return attention.relative_position_bias_table[row]
    scaled = [8 * step / max(side - 1, 1) for step, side in zip(delta, window)]
    coordinates = torch.tensor([math.copysign(math.log2(1 + abs(x)) / 3, x) for x in scaled], dtype=torch.float64)
    return 16 * torch.sigmoid(attention.cpb_mlp(coordinates))


@torch.no_grad()
def pair_by_pair(attention, image: torch.Tensor, shifted: bool) -> torch.Tensor:
    """One *size C map. Tokens meet when the shifted grid puts them into one window; those that come from both ends of
    the map lose 100."""
    size = image.shape[:-1]
    window = [min(w, length) for w, length in zip(attention.window_size, size)]
    shift = [w // 2 if shifted and length > w else 0 for w, length in zip(attention.window_size, size)]
    padded = [math.ceil(length / w) * w for length, w in zip(size, window)]
    x = torch.zeros(*padded, DIMS, dtype=image.dtype)
    x[tuple(map(slice, size))] = image
    q, k, v = (each[:, :, 0] for each in attention.heads(x.reshape(-1, 1, DIMS)))  # tokens h d
    scale = attention.scale or (DIMS // HEADS) ** -0.5

    places = list(product(*map(range, padded)))
    inside = [[(p - s) % length for p, s, length in zip(place, shift, padded)] for place in places]
    out = torch.empty(len(places), HEADS, DIMS // HEADS, dtype=image.dtype)
    for i, mine in enumerate(inside):
        met, logits = [], []
        for j, other in enumerate(inside):
            if all(a // w == b // w for a, b, w in zip(mine, other, window)):
                delta = [a - b for a, b in zip(mine, other)]
                far = any((p < s) != (r < s) for p, r, s in zip(places[i], places[j], shift))
                logits.append(scale * (q[i] * k[j]).sum(-1) + bias_of(attention, delta, window) - 100 * far)
                met.append(j)
        out[i] = (torch.stack(logits).softmax(0)[..., None] * v[met]).sum(0)
    return attention.proj(out.flatten(1)).reshape(*padded, DIMS)[tuple(map(slice, size))]


@pytest.mark.parametrize(('size', 'window'), GRIDS, ids=str)
@pytest.mark.parametrize('shifted', [False, True])
@pytest.mark.parametrize('form', FORMS)
def test_it_equals_the_sum_over_pairs(form, size, window, shifted):
    attention = randomise(form(DIMS, HEADS, window).double()).eval()
    x = torch.randn(2, *size, DIMS, dtype=torch.float64)
    grid = WindowGrid.of(size, window, shifted)
    with torch.no_grad():
        out = grid.reverse(attention(grid.partition(x), grid))
    for image, ours in zip(x, out):
        torch.testing.assert_close(ours, pair_by_pair(attention, image, shifted))


@pytest.mark.parametrize(('size', 'window'), GRIDS, ids=str)
@pytest.mark.parametrize('shifted', [False, True])
def test_reverse_undoes_partition(size, window, shifted):
    grid = WindowGrid.of(size, window, shifted)
    x = torch.randn(3, *size, 5)
    windows = grid.partition(x)
    assert windows.shape == (3 * sum(grid.counts), math.prod(grid.window), 5)
    assert grid.reverse(windows).equal(x)
    assert windows.equal(grid._cut_up(x))
    assert grid._put_together(windows).equal(x)


@pytest.mark.parametrize(('size', 'window'), GRIDS, ids=str)
def test_gradients_of_partition_and_reverse_are_those_of_slices(size, window):
    grid = WindowGrid.of(size, window, shifted=True)
    x = torch.randn(2, *size, 3, requires_grad=True)
    ways = ((grid.partition, grid.reverse), (grid._cut_up, grid._put_together))
    weight = torch.randn_like(grid.partition(x))
    slopes = [torch.autograd.grad((back(weight * cut(x)).square()).sum(), x)[0] for cut, back in ways]
    torch.testing.assert_close(*slopes)


@pytest.mark.parametrize('form', FORMS)
def test_gradients_equal_those_of_plain_attention(form, monkeypatch):
    """Chunks of any size: parts of an entry's heads, whole entries, a rest."""

    def plain(heads, biases, counts, scale):
        q, k, v = heads
        scale = scale or q.size(-1) ** -0.5
        bias = torch.cat([bias.expand(count, -1, -1, -1) for bias, count in zip(biases, counts)])
        return ((q @ k.transpose(-2, -1)) * scale + bias).softmax(-1) @ v

    attention = randomise(form(12, 3, (3, 2))).double()
    grid = WindowGrid.of((7, 5), (3, 2), shifted=True)
    x = torch.randn(2, 7, 5, 12, dtype=torch.float64, requires_grad=True)
    direction = torch.randn_like(x)

    def gradients() -> list[torch.Tensor]:
        out = grid.reverse(attention(grid.partition(x), grid))
        return torch.autograd.grad(out, [x, *attention.parameters()], direction)

    with monkeypatch.context() as patch:
        patch.setattr('mmparts.layers.window_attention.grouped_attention', plain)
        expected = gradients()
    for matrices, kept in product((1, 2, 7, 100), (0, 1)):
        monkeypatch.setattr(op, 'CHUNK', matrices * 6**2)
        monkeypatch.setattr(op, 'KEPT', kept)
        for ours, theirs in zip(gradients(), expected):
            torch.testing.assert_close(ours, theirs)
            assert theirs.abs().sum() > 0


def test_a_token_that_nobody_may_look_at_gets_no_gradient():
    """Not even a subnormal one, with which processors calculate slowly."""
    torch.manual_seed(0)
    q, k, v = (torch.randn(2, 3, 9, 4, requires_grad=True) for _ in range(3))
    bias = torch.randn(3, 9, 9)
    bias[..., 5] = MASKED
    grad_k, grad_v = torch.autograd.grad(op.biased_attention(q, k, v, bias.requires_grad_()).sum(), (k, v))
    for grad in (grad_k, grad_v):
        assert not grad[:, :, 5].any()
        assert grad[:, :, :5].all()


@pytest.mark.parametrize(('batch', 'heads'), [(1, 3), (2, 4), (4, 2)])
@pytest.mark.parametrize('kept', [0, 9])
def test_gradients_by_entries_and_by_heads(batch, heads, kept, monkeypatch):
    """Also of queries and keys of unequal numbers."""
    monkeypatch.setattr(op, 'KEPT', kept)
    monkeypatch.setattr(op, 'CHUNK', 40)
    sizes = [(batch, heads, 4, 3), (batch, heads, 5, 3), (batch, heads, 5, 2), (heads, 4, 5)]
    torch.manual_seed(0)
    inputs = [torch.randn(size, dtype=torch.float64, requires_grad=True) for size in sizes]
    assert torch.autograd.gradcheck(lambda *each: op.biased_attention(*each, 0.7), inputs)


def test_bfloat16_gradients_are_near_those_of_float32():
    torch.manual_seed(0)
    sizes = [(3, 2, 9, 4)] * 3 + [(2, 9, 9)]
    inputs = [torch.randn(size, requires_grad=True) for size in sizes]
    exact = torch.autograd.grad(op.biased_attention(*inputs).sum(), inputs)
    rounded = [each.bfloat16().detach().requires_grad_() for each in inputs]
    for ours, theirs in zip(torch.autograd.grad(op.biased_attention(*rounded).sum(), rounded), exact):
        assert ours.dtype == torch.bfloat16
        torch.testing.assert_close(ours.float(), theirs, atol=0.1, rtol=0)


def test_cosine_attention_equals_timms():
    theirs = randomise(reference('timm.models.swin_transformer_v2').WindowAttention(32, (8, 6), num_heads=4)).eval()
    theirs.double().logit_scale.data[0] = 7.0  # above the clamp, where float32 would leave 3e-5
    ours = CosineWindowAttention(32, 4, (8, 6)).double().eval()
    ours.load_state_dict(theirs.state_dict())
    x, grid = torch.randn(6, 48, 32).double(), WindowGrid.of((16, 18), (8, 6), shifted=False)
    with torch.no_grad():
        torch.testing.assert_close(ours(x, grid), theirs(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize('pretrained', [None, (6, 6)])
def test_a_shifted_block_equals_timms(pretrained):
    block = reference('timm.models.swin_transformer_v2').SwinTransformerV2Block(
        16, (12, 8), num_heads=2, window_size=4, shift_size=2, pretrained_window_size=pretrained or 0
    )
    randomise(block).eval()
    ours = CosineWindowAttention(16, 2, (4, 4), pretrained).eval()
    ours.load_state_dict(block.attn.state_dict())
    x, grid = torch.randn(2, 12, 8, 16), WindowGrid.of((12, 8), 4, shifted=True)
    with torch.no_grad():
        torch.testing.assert_close(grid.reverse(ours(grid.partition(x), grid)), block._attn(x), atol=1e-5, rtol=0)


@pytest.mark.parametrize('shifted', [False, True])
def test_three_axes_equal_monais(shifted):
    theirs = reference('monai.networks.nets.swin_unetr')
    window, shift = (2, 3, 2), (1, 1, 1) if shifted else (0, 0, 0)
    block = randomise(theirs.SwinTransformerBlock(16, 2, window, shift, qkv_bias=True)).eval()
    ours = WindowAttention(16, 2, window).eval()
    state = block.attn.state_dict()
    del state['relative_position_index']
    ours.load_state_dict(state)
    x, grid = torch.randn(2, 4, 5, 4, 16), WindowGrid.of((4, 5, 4), window, shifted)
    with torch.no_grad():
        expected = block.forward_part1(x, theirs.compute_mask([4, 6, 4], window, shift, x.device))
        got = grid.reverse(ours(grid.partition(block.norm1(x)), grid))
    torch.testing.assert_close(got, expected, atol=1e-5, rtol=0)


def test_a_window_of_one_token_is_finite():
    attention = randomise(CosineWindowAttention(DIMS, HEADS, (4, 4))).eval()
    grid = WindowGrid.of((1, 1), 4, shifted=True)
    assert attention(torch.randn(2, 1, DIMS), grid).isfinite().all()


@pytest.mark.parametrize('form', FORMS)
def test_the_bias_is_remembered_until_shape_or_weights_change(form):
    attention = randomise(form(DIMS, HEADS, (3, 3))).eval()
    one, two = (WindowGrid.of(size, 3, shifted=True) for size in ((7, 7), (9, 2)))
    with torch.no_grad():
        first = attention.bias(one, torch.float32)
        assert attention.bias(one, torch.float32) is first
        assert attention.bias(two, torch.float32).shape == (2, HEADS, 6, 6)
        torch.testing.assert_close(attention.bias(one, torch.float32), first)
        attention.table_weights()[0].mul_(2)
        changed = attention.bias(one, torch.float32)
    assert (changed - first).abs().max() > 0.1
    assert attention.bias(one, torch.float32).requires_grad


@pytest.mark.parametrize('form', FORMS)
def test_every_parameter_gets_a_gradient(form):
    attention = form(DIMS, HEADS, (3, 2, 2))
    grid = WindowGrid.of((4, 4, 4), (3, 2, 2), shifted=True)
    attention(grid.partition(torch.randn(2, 4, 4, 4, DIMS)), grid).square().sum().backward()
    assert all(parameter.grad.abs().sum() > 0 for parameter in attention.parameters())


@pytest.mark.parametrize('form', FORMS)
@pytest.mark.parametrize('device', ['cpu', 'meta'])
def test_it_runs_in_bfloat16_and_without_numbers(form, device):
    attention = form(DIMS, HEADS, (3, 3)).to(device)
    grid = WindowGrid.of((5, 5), 3, shifted=True)
    with torch.autocast('cpu', torch.bfloat16, enabled=device == 'cpu'):
        out = attention(grid.partition(torch.randn(1, 5, 5, DIMS, device=device)), grid)
    assert out.shape == (4, 9, DIMS) and out.dtype == (torch.bfloat16 if device == 'cpu' else torch.float32)
