"""Box arithmetic of the family, on normalised (cx, cy, w, h)."""

import torch
import torch.nn.functional as F
from mmdet.models.layers import coordinate_to_encoding, inverse_sigmoid
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy
from torch import Tensor


def move(delta: Tensor, reference: Tensor | None, eps: float) -> Tensor:
    """The box that a branch's output stands for, in float32.

    Args:
        delta: ... 4, output of a box branch.
        reference: ... 4, or ... 2 (a point moves only the centre), or None (``delta`` is the box itself, as in DETR).
        eps: clamp of the inverse sigmoid: 1e-5 in Deformable DETR, 1e-3 in the DAB, DN and DINO repositories.
    """
    delta = delta.float()
    if reference is None:
        return delta.sigmoid()
    anchor = inverse_sigmoid(reference, eps)
    return (delta + F.pad(anchor, (0, 4 - anchor.shape[-1]))).sigmoid()


def giou(first: Tensor, second: Tensor) -> Tensor:
    """Generalised IoU of boxes ... 4, broadcast against each other (mmdet's takes equal batch axes and copies them)."""
    # One tensor per side: sums over a last axis of 2 or 4 are several times slower on CPUs.
    left, top, right, bottom = bbox_cxcywh_to_xyxy(first).unbind(-1)
    left2, top2, right2, bottom2 = bbox_cxcywh_to_xyxy(second).unbind(-1)

    def area(left, top, right, bottom):
        return (right - left).clamp(min=0) * (bottom - top).clamp(min=0)

    overlap = area(torch.max(left, left2), torch.max(top, top2), torch.min(right, right2), torch.min(bottom, bottom2))
    hull = area(torch.min(left, left2), torch.min(top, top2), torch.max(right, right2), torch.max(bottom, bottom2))
    union = area(left, top, right, bottom) + area(left2, top2, right2, bottom2) - overlap
    tiny = torch.finfo(union.dtype).eps ** 2
    return overlap / union.clamp(min=tiny) - (hull - union) / hull.clamp(min=tiny)


def sine_yxwh(boxes: Tensor, embed_dims: int) -> Tensor:
    """B N 4 -> B N 2C: sines of the coordinates in the order y, x, w, h (DAB, DN, DINO)."""
    return coordinate_to_encoding(boxes, num_feats=embed_dims // 2)


def sine_xywh(boxes: Tensor, embed_dims: int) -> Tensor:
    """B N 4 -> B N 2C: the same in the order x, y, w, h (two-stage Deformable DETR)."""
    return coordinate_to_encoding(boxes[..., [1, 0, 2, 3]], num_feats=embed_dims // 2)
