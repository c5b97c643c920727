"""Shifted-window attention as the official codes write it: roll, cut, a mask for every window, roll back."""

import math
from itertools import product

import torch
import torch.nn.functional as F


def rolled_attention(x, attn, window, shifted, memory=None, scale=1.0, corner=False):
    """x B *size C, normed -> B *size C.

    Args:
        attn: has qkv, proj, relative_position_bias_table, num_heads, window_size.
        window: sides asked for; they shrink to the map.
        shifted: whether, for each axis.
        memory: keys and values of another map instead of its own, as :func:`rolled_heads` gives them.
        scale: of the queries, beside the usual one.
        corner: look the bias of a shrunken window up in the corner of the full index.
    """
    size = x.shape[1:-1]
    window, shift = clamped(size, window, shifted)
    query, key, value = rolled_heads(x, attn, window, shift)
    key, value = (key, value) if memory is None else memory
    logits = scale * (query / math.sqrt(query.shape[-1])) @ key.transpose(-1, -2)
    logits = logits + bias(attn, window, corner)
    if any(shift):
        logits = logits.unflatten(0, (len(x), -1)) + mask(padded(size, window), window, shift)[:, None]
        logits = logits.flatten(0, 1)
    out = attn.proj((logits.softmax(-1) @ value).transpose(1, 2).flatten(2))
    out = together(out, len(x), padded(size, window), window)
    out = out.roll(shift, tuple(range(1, x.ndim - 1)))
    return out[(slice(None), *map(slice, size))]


def clamped(size, window, shifted):
    shift = tuple(w // 2 if s and side > w else 0 for side, w, s in zip(size, window, shifted))
    return tuple(min(side, w) for side, w in zip(size, window)), shift


def padded(size, window):
    return tuple(-(-side // w) * w for side, w in zip(size, window))


def rolled_heads(x, attn, window, shift):
    """Queries, keys and values, each B*nW heads N d."""
    size = x.shape[1:-1]
    padding = [each for old, new in zip(size[::-1], padded(size, window)[::-1]) for each in (0, new - old)]
    x = F.pad(x, (0, 0, *padding)).roll([-each for each in shift], tuple(range(1, x.ndim - 1)))
    qkv = attn.qkv(apart(x, window))
    return qkv.unflatten(-1, (3, attn.num_heads, -1)).permute(2, 0, 3, 1, 4)


def cuts(size, window):
    """Where each window begins, in order."""
    return product(*(range(0, side, w) for side, w in zip(size, window)))


def apart(x, window):
    """B *size C -> B*nW N C, one window after the other."""
    parts = [
        x[(slice(None), *(slice(a, a + w) for a, w in zip(start, window)))].flatten(1, -2)
        for start in cuts(x.shape[1:-1], window)
    ]
    return torch.stack(parts, dim=1).flatten(0, 1)


def together(windows, batch, size, window):
    windows = windows.unflatten(0, (batch, -1))
    out = windows.new_zeros(batch, *size, windows.shape[-1])
    for index, start in enumerate(cuts(size, window)):
        place = tuple(slice(a, a + w) for a, w in zip(start, window))
        out[(slice(None), *place)] = windows[:, index].unflatten(1, tuple(window))
    return out


def mask(size, window, shift):
    """nW N N: -100 between the regions [0, -w), [-w, -s), [-s, end) of each axis."""
    region = torch.zeros(1, *size, 1)
    axes = [
        (slice(0, -w), slice(-w, -s), slice(-s, None)) if s else (slice(0, -w), slice(-w, None))
        for w, s in zip(window, shift)
    ]
    for number, place in enumerate(product(*axes)):
        region[(0, *place, 0)] = number
    region = apart(region, window)[..., 0]
    return (region[:, None] != region[:, :, None]) * -100.0


def bias(attn, window, corner=False):
    """heads N N, one entry at a time."""
    sides = attn.window_size if corner else window
    places = list(product(*map(range, sides)))[: math.prod(window)]
    table, full = attn.relative_position_bias_table, attn.window_size
    rows = []
    for query in places:
        for key in places:
            row = 0
            for q, k, side in zip(query, key, full):
                row = row * (2 * side - 1) + q - k + side - 1
            rows.append(row)
    return table[rows].view(len(places), len(places), -1).permute(2, 0, 1)
