"""What the latents of a Perceiver look at, layer by layer, over the single pixels (Perceiver, figure 3): one row for
each cross-attend, one column for each latent shown, the mean over latents before them."""

import numpy as np
import torch
from torch import Tensor, nn

SHOWN = 5  # latents beside their mean


def latents_of(model: nn.Module) -> nn.Module | None:
    """The part of a model whose latents look at an array: one with ``looks`` and ``inputs``, as a Perceiver."""
    return next((each for each in model.modules() if hasattr(each, 'looks') and hasattr(each, 'inputs')), None)


class LatentWatch:
    """Context manager that keeps what a Perceiver reads while the model runs; then :meth:`looks`.

    Args:
        part: see :func:`latents_of`.
    """

    def __init__(self, part: nn.Module):
        self.part, self.read = part, None

    def __enter__(self):
        self.hook = self.part.inputs.register_forward_pre_hook(self._keep)
        return self

    def __exit__(self, *error):
        self.hook.remove()

    def _keep(self, module, inputs):
        self.read = inputs

    @torch.no_grad()
    def looks(self) -> list[Tensor]:
        """Of the first sample N H W for each cross-attend, the mean over heads; each sums to 1.

        Raises:
            ValueError: what the latents look at lies on no map of two axes.
        """
        maps, size = self.part.looks(*self.read)
        if len(size) != 2:
            raise ValueError(
                f'what the latents look at lies on a map of {len(size)} axes {tuple(size)}; only images are drawn'
            )
        return [each[0].mean(0).unflatten(-1, tuple(size)).float().cpu() for each in maps]


def draw_latents(image: np.ndarray, looks: list[Tensor], latents: list[int] | None = None):
    """A figure: the image, then a row for each cross-attend.

    Args:
        image: H W 3, RGB.
        looks: as :meth:`LatentWatch.looks` gives them.
        latents: their numbers; None: those whose attention is least even, in the last layer.

    Returns:
        matplotlib's ``Figure``, for :func:`.attention_figure.save_figure`.
    """
    from matplotlib.figure import Figure

    if latents is None:
        latents = sharpest(looks[-1])
    columns, rows = len(latents) + 2, len(looks)
    figure = Figure(figsize=(1.6 * columns, 1.7 * rows), dpi=120, layout='compressed')
    axes = figure.subplots(rows, columns, squeeze=False)
    for row, maps in enumerate(looks):
        panels = [('image', None), ('mean', maps.mean(0)), *[(f'latent {each}', maps[each]) for each in latents]]
        for axis, (title, found) in zip(axes[row], panels):
            axis.set_axis_off()
            if found is None:
                axis.imshow(image, interpolation='nearest')
                axis.set_title(f'cross-attend {row + 1}', fontsize=8)
                continue
            axis.imshow(found.numpy(), cmap='inferno', interpolation='nearest')
            axis.set_title(title, fontsize=8)
    return figure


def sharpest(maps: Tensor) -> list[int]:
    """The numbers of those of N maps whose weights lie on the fewest pixels (least entropy)."""
    weights = maps.flatten(1).clamp(min=1e-12)
    entropy = -(weights * weights.log()).sum(1)
    return sorted(entropy.argsort()[:SHOWN].tolist())
