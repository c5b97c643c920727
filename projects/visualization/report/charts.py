"""Charts as SVG that matplotlib draws, with letters and axes in the colour of the page's text."""

import io
import re
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .blocks import Chart

INK = '#010203'  # becomes the colour of the page's text
GREY = '#9aa0a6'
# Okabe and Ito's colours, which the colour-blind tell apart; black left out, for the page may be dark.
COLOURS = ('#0072B2', '#E69F00', '#009E73', '#D55E00', '#CC79A7', '#56B4E9', '#8c6d31', '#7570b3')
SIZE = (5.0, 3.1)  # inches: as wide as a telephone, where letters keep their size
STYLE = {
    'svg.fonttype': 'none',
    'font.family': 'sans-serif',
    'font.size': 10,
    'axes.spines.top': False,
    'axes.spines.right': False,
    'axes.titlesize': 10,
    'legend.fontsize': 8.5,
    'legend.frameon': False,
    **dict.fromkeys(('text.color', 'axes.labelcolor', 'axes.edgecolor', 'xtick.color', 'ytick.color'), INK),
}


@dataclass
class Lines:
    """A line of a chart; grey ones are there to compare with, one of ink is the sum of the others."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    grey: bool = False
    ink: bool = False
    dashed: bool = False
    marker: str = ''


@dataclass
class Bars:
    """Bars of a chart, one for each name."""

    name: str
    values: Sequence[float]


def draw_lines(
    title: str,
    lines: Sequence[Lines],
    x: str,
    y: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
    x_limits: tuple[float, float] | None = None,
    mark: tuple[float, str] | None = None,
    whole: bool = False,
) -> Chart:
    """A chart of lines.

    Args:
        x, y: what the axes are.
        limits, x_limits: ends of the axes.
        mark: a place on the x axis with its name.
        whole: only whole numbers on the x axis.
    """

    from matplotlib.ticker import LogFormatter

    def draw(axis) -> None:
        colours = iter(COLOURS * (1 + len(lines) // len(COLOURS)))
        for line in lines:
            axis.plot(
                line.x,
                line.y,
                label=line.name,
                color=GREY if line.grey else INK if line.ink else next(colours),
                linewidth=1.1 if line.grey else 2,
                linestyle='--' if line.dashed else '-',
                marker=line.marker or None,
                markersize=4,
                zorder=1 if line.grey else 2,
            )
        if mark is not None:
            axis.axvline(mark[0], color=INK, linewidth=1, linestyle=':')
            right = x_limits is not None and mark[0] > 0.6 * x_limits[1]
            axis.annotate(
                mark[1], (mark[0], 0.02), xycoords=('data', 'axes fraction'), xytext=(-4 if right else 4, 2),
                textcoords='offset points', ha='right' if right else 'left', fontsize=8.5,
            )  # fmt: skip
        axis.set(xlabel=x, ylabel='' if y == title else y, yscale='log' if log else 'linear')
        if log:  # 20 and 30, not 2 x 10^1
            axis.yaxis.set_major_formatter(LogFormatter())
            axis.yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(2, 0.5)))
        if limits is not None:
            axis.set_ylim(*limits)
        if x_limits is not None:
            axis.set_xlim(*x_limits)
        if whole:
            axis.xaxis.get_major_locator().set_params(integer=True)
        if len(lines) > 1 or (lines and lines[0].name):
            axis.legend(ncols=1 + (len(lines) > 4))

    ends = [
        f'{line.name or y}: from {_short(line.y[0])} to {_short(line.y[-1])}, largest {_short(np.nanmax(line.y))}'
        for line in lines
        if len(line.y) and np.isfinite(np.asarray(line.y, float)).any()
    ]
    return Chart(title, _svg(draw, title), f'{title}: {y} over {x}. ' + '; '.join(ends))


def draw_bars(title: str, names: Sequence[str], bars: Sequence[Bars], y: str, upright: bool = True) -> Chart:
    """A chart of bars, those of one name side by side; not ``upright``: they lie, for long names."""

    def draw(axis) -> None:
        places, width = np.arange(len(names)), 0.8 / len(bars)
        for index, (each, colour) in enumerate(zip(bars, COLOURS)):
            at = places + width * (index - (len(bars) - 1) / 2)
            if upright:
                axis.bar(at, each.values, width, label=each.name, color=colour)
            else:
                axis.barh(at, each.values, width, label=each.name, color=colour)
        if upright:
            axis.set_xticks(places, names, rotation=30 if max(map(len, names)) * len(names) > 50 else 0)
            axis.set_ylabel(y)
        else:
            axis.set_yticks(places, names)
            axis.set_xlabel(y)
            axis.invert_yaxis()
        if len(bars) > 1:
            axis.legend()

    said = [
        f'{each.name}: ' + ', '.join(f'{name} {_short(value)}' for name, value in zip(names, each.values))
        for each in bars
    ]
    return Chart(title, _svg(draw, title), f'{title}, {y}. ' + '; '.join(said))


def _short(value: float) -> str:
    return f'{float(value):.3g}'


def _svg(draw, title: str) -> str:
    import matplotlib
    from matplotlib.backends.backend_svg import FigureCanvasSVG
    from matplotlib.figure import Figure

    with matplotlib.rc_context({**STYLE, 'svg.hashsalt': title}):  # names inside differ from chart to chart
        figure = Figure(figsize=SIZE, layout='constrained')
        FigureCanvasSVG(figure)
        axis = figure.subplots()
        axis.grid(alpha=0.15, color=INK)
        axis.set_axisbelow(True)
        draw(axis)
        file = io.StringIO()
        figure.savefig(file, format='svg', transparent=True, metadata=dict(Date=None, Creator=None))
    return _tidy(file.getvalue())


def _tidy(svg: str) -> str:
    """The element alone, of the page's colour, sized by it."""
    svg = svg[svg.index('<svg') :]
    svg = re.sub(r'<metadata>.*?</metadata>\s*', '', svg, flags=re.DOTALL)
    svg = re.sub(r' (width|height)="[\d.]+pt"', '', svg, count=2)
    svg = re.sub(r'<g id="[^"]*"', '<g', svg)  # names that several charts would share
    svg = svg.replace('<svg ', '<svg aria-hidden="true" focusable="false" ', 1)
    svg = re.sub(r"font: ([\d.]+)px '?sans-serif'?", r'font: \1px var(--letters)', svg)
    return re.sub(r'\n\s*', ' ', svg).replace(INK, 'currentColor')
