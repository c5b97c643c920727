"""One curve for each of several models: the mean over seeds, and how far the seeds lie apart."""

import os

import numpy as np


def draw_comparison(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str, path: str, axes: tuple[str, str] = ('iteration', 'AP')
) -> None:
    """Write a picture with a line, a band from the least to the greatest seed and a row of the legend for each model.

    Args:
        curves: steps (T) and values (seeds T) of every model, in the order of their colours. The legend is sorted by
            the last value.
        path: of the PNG.
        axes: names of the two axes.
    """
    import matplotlib
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    colours = matplotlib.colormaps['tab10' if len(curves) <= 10 else 'tab20'].colors
    # A figure of its own, without pyplot: the user's backend and open figures stay as they are.
    with matplotlib.rc_context({'font.size': 9, 'axes.spines.top': False, 'axes.spines.right': False}):
        figure = Figure(figsize=(10, 5), dpi=110, layout='constrained')
        canvas = FigureCanvasAgg(figure)
        axis = figure.subplots()
        last = {}
        for index, (name, (steps, values)) in enumerate(curves.items()):
            colour = colours[index % len(colours)]
            mean = values.mean(axis=0)
            (line,) = axis.plot(steps, mean, color=colour, linewidth=2, marker='.', label=f'{mean[-1]:.3f}  {name}')
            axis.fill_between(steps, values.min(axis=0), values.max(axis=0), color=colour, alpha=0.15, linewidth=0)
            last[line] = mean[-1]
        axis.set(title=title, xlabel=axes[0], ylabel=axes[1], ylim=(0, None), xlim=(0, None))
        axis.grid(alpha=0.3)
        if last:
            axis.legend(
                handles=sorted(last, key=last.get, reverse=True),
                loc='center left',
                bbox_to_anchor=(1, 0.5),
                frameon=False,
                title=f'{axes[1]} at the end',
            )
        # Whoever has the picture open never sees half of it.
        canvas.print_figure(path + '.tmp', format='png')
        os.replace(path + '.tmp', path)
