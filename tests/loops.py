"""The special operators once more, as loops over single numbers: slow, and plain enough to be checked by eye."""

import math

import torch


def bilinear(image, y: float, x: float):
    """``image`` (C H W) at a point, in cells; zero outside."""
    value = image.new_zeros(image.shape[0])
    for row in (math.floor(y), math.floor(y) + 1):
        for column in (math.floor(x), math.floor(x) + 1):
            if 0 <= row < image.shape[1] and 0 <= column < image.shape[2]:
                value = value + image[:, row, column] * (1 - abs(y - row)) * (1 - abs(x - column))
    return value


def ms_deform_attn(value, shapes, locations, weights):
    batch, queries, heads, levels, points, _ = locations.shape
    output = value.new_zeros(batch, queries, heads, value.shape[3])
    for b, q, h in torch.cartesian_prod(*map(torch.arange, (batch, queries, heads))).tolist():
        first = 0
        for level, (height, width) in enumerate(shapes):
            image = value[b, first : first + height * width, h].T.reshape(-1, height, width)
            first += height * width
            for point in range(points):
                x, y = locations[b, q, h, level, point].tolist()
                output[b, q, h] += weights[b, q, h, level, point] * bilinear(image, y * height - 0.5, x * width - 0.5)
    return output.flatten(2)


def deform_conv2d(features, offset, weight, mask, bias, stride, padding, dilation, groups, deform_groups):
    batch, channels = features.shape[:2]
    out_channels, per_group, kernel_h, kernel_w = weight.shape
    output = features.new_zeros(batch, out_channels, *offset.shape[2:])
    for b, o, row, column in torch.cartesian_prod(*map(torch.arange, output.shape)).tolist():
        total = bias[o]
        for c in range(per_group):
            channel = o // (out_channels // groups) * per_group + c
            group = channel // (channels // deform_groups)
            for i in range(kernel_h):
                for j in range(kernel_w):
                    tap = (group * kernel_h + i) * kernel_w + j
                    y = row * stride[0] - padding[0] + i * dilation[0] + offset[b, 2 * tap, row, column].item()
                    x = column * stride[1] - padding[1] + j * dilation[1] + offset[b, 2 * tap + 1, row, column].item()
                    value = bilinear(features[b, channel, None], y, x)[0]
                    total = total + weight[o, c, i, j] * mask[b, tap, row, column] * value
        output[b, o, row, column] = total
    return output


def roi_align(features, rois, output_size, spatial_scale, sampling_ratio, aligned):
    output = []
    for image, *corners in rois.tolist():
        left, top, right, bottom = (corner * spatial_scale - 0.5 * aligned for corner in corners)
        width, height = right - left, bottom - top
        if not aligned:
            width, height = max(width, 1), max(height, 1)
        step_y, step_x = height / output_size[0], width / output_size[1]
        down, across = sampling_ratio or math.ceil(step_y), sampling_ratio or math.ceil(step_x)
        for row in range(output_size[0]):
            for column in range(output_size[1]):
                total = features.new_zeros(features.shape[1])
                for i in range(down):
                    for j in range(across):
                        total = total + border_bilinear(
                            features[int(image)],
                            top + row * step_y + (i + 0.5) * step_y / down,
                            left + column * step_x + (j + 0.5) * step_x / across,
                        )
                output.append(total / max(down * across, 1))
    return torch.stack(output, 1).view(features.shape[1], len(rois), *output_size).transpose(0, 1)


def border_bilinear(image, y: float, x: float):
    """RoIAlign's rule: up to one cell outside counts as the border, further out as zero."""
    height, width = image.shape[1:]
    if not (-1 <= y <= height and -1 <= x <= width):
        return image.new_zeros(image.shape[0])
    return bilinear(image, min(max(y, 0), height - 1), min(max(x, 0), width - 1))


def sigmoid_focal_loss(logits, target, weight, gamma, alpha):
    rows = []
    for row, label in zip(logits, target.tolist()):
        losses = []
        for index, logit in enumerate(row):
            p = 1 / (1 + torch.exp(-logit))
            losses.append(
                -alpha * (1 - p) ** gamma * torch.log(p)
                if index == label
                else -(1 - alpha) * p**gamma * torch.log(1 - p)
            )
        rows.append(torch.stack(losses) * (weight[label] if 0 <= label < len(weight) else 1))
    return torch.stack(rows)


def iou(a, b, offset: float = 0) -> float:
    width, height = (min(a[2 + axis], b[2 + axis]) - max(a[axis], b[axis]) + offset for axis in (0, 1))
    inside = max(width, 0) * max(height, 0)
    area = sum((box[2] - box[0] + offset) * (box[3] - box[1] + offset) for box in (a, b))
    return inside / (area - inside)


def nms_groups(boxes, scores, suppresses) -> list[list[int]]:
    """Each kept box followed by those it removed; ``suppresses(kept box, box)`` decides."""
    left, groups = sorted(range(len(boxes)), key=lambda index: -scores[index]), []
    while left:
        group = left[:1] + [index for index in left[1:] if suppresses(boxes[left[0]], boxes[index])]
        left = [index for index in left if index not in group]
        groups.append(group)
    return groups


def soft_nms(boxes, scores, decay, min_score: float, offset: float) -> list[tuple[int, float]]:
    """(index, new score) in the order of choice; ``decay(iou)`` multiplies."""
    scores, left, chosen = list(scores), list(range(len(boxes))), []
    while left:
        best = max(left, key=lambda index: scores[index])
        left.remove(best)
        chosen.append((best, scores[best]))
        for index in left:
            scores[index] *= decay(iou(boxes[best], boxes[index], offset))
        left = [index for index in left if scores[index] >= min_score]
    return chosen
