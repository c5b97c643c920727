"""Noise on labels and boxes for denoising queries; boxes are normalised (cx, cy, w, h)."""

import torch
from mmdet.structures.bbox import bbox_cxcywh_to_xyxy, bbox_xyxy_to_cxcywh
from torch import Tensor


def jitter_labels(labels: Tensor, num_classes: int, probability: float) -> Tensor:
    """Each label is drawn anew with the given probability; the new one may be the old."""
    drawn = torch.randint_like(labels, num_classes)
    return torch.where(torch.rand(labels.shape, device=labels.device) < probability, drawn, labels)


def jitter_centre_size(boxes: Tensor, scale: float) -> Tensor:
    """DN-DETR: the centre moves by up to ``scale`` half-sizes, the size changes by up to that share of itself."""
    noise = (torch.rand_like(boxes) * 2 - 1) * scale
    size = boxes[..., 2:]
    return (boxes + noise * torch.cat([size / 2, size], dim=-1)).clamp(0, 1)


def jitter_corners(boxes: Tensor, scale: float, negative: Tensor) -> Tensor:
    """DINO: each corner coordinate moves by up to ``scale`` half-sizes, or by one to two times that where negative."""
    half = boxes[..., 2:] / 2
    shift = torch.rand_like(boxes) + negative
    sign = torch.randint_like(boxes, 2) * 2 - 1
    corners = bbox_cxcywh_to_xyxy(boxes) + sign * shift * scale * torch.cat([half, half], dim=-1)
    return bbox_xyxy_to_cxcywh(corners.clamp(0, 1))
