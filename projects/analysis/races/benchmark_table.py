"""The figures of a benchmark for people."""

from rich.console import Console
from rich.table import Table


def print_report(report: dict) -> None:
    """Print what ``tools/benchmark.py`` measured."""
    console = Console()
    if 'parameters' in report or 'macs' in report:
        console.print(_parts(report))
    for name in ('inference', 'training'):
        if name in report:
            console.print(_speed(name, report[name], report['environment']))
    for race in report.get('races', ()):
        console.print(_race(race))


def _parts(report: dict) -> Table:
    parameters, macs = report.get('parameters', {}), report.get('macs', {})
    table = Table(title=report['config'], caption=_caption(report))
    table.add_column('part')
    if parameters:
        for heading in ('parameters', 'trainable', 'as papers count'):
            table.add_column(heading, justify='right')
    if macs:
        table.add_column('GMACs an image', justify='right')
    names = [name for name in {**parameters, **macs} if name != 'total']
    for part in [*names, 'total']:
        cells = []
        if parameters:
            counted = parameters.get(part, {})
            cells += [f'{counted.get(key, 0):,}' for key in ('total', 'trainable', 'as_papers_count')]
        if macs:
            cells.append(f'{macs.get(part, 0) / 1e9:,.2f}')
        table.add_row(part, *cells, style='bold' if part == 'total' else None)
    return table


def _caption(report: dict) -> str | None:
    if 'macs' not in report:
        return None
    return (
        f'Multiply-adds at {_size(report["shape"])}, what papers call GFLOPs (floating point operations: twice as '
        'many); with attention and deformable sampling, without norms, activations and softmax.'
    )


def _size(shape: tuple[int, ...]) -> str:
    return 'x'.join(map(str, shape))


def _speed(name: str, figures: dict, environment: dict) -> str:
    dtype = figures['amp_dtype'] or 'float32'
    return (
        f'[bold]{name}[/bold], batch {figures["batch_size"]} of {_size(figures["shape"])}, {dtype}: '
        f'[bold]{figures["images_per_second"]:.3g} img/s[/bold] (median of {figures["rounds"]}, '
        f'{_time(figures["seconds_median"])} a batch, best {_time(figures["seconds_best"])}); '
        f'peak memory {figures["peak_memory_bytes"] / 2**20:,.0f} MiB ({figures["peak_memory_kind"]}); '
        f'{environment["hardware"]}, {environment["threads"]} threads'
    )


def _race(race: dict) -> Table:
    low, high = race['spread']
    table = Table(title=race['name'], caption=f'same weights: {race["check"]}')
    for heading in ('', 'best', 'median'):
        table.add_column(heading, justify='right')
    for side in ('ours', 'theirs'):
        seconds = race[side]
        table.add_row({'theirs': 'transformers'}.get(side, 'mmparts'), _time(seconds['best']), _time(seconds['median']))
    table.add_row('ratio', f'{race["ratio"]:.2f}x', f'{low:.2f} to {high:.2f}', style='bold')
    return table


def _time(seconds: float) -> str:
    return f'{seconds:.2f} s' if seconds >= 1 else f'{1000 * seconds:.1f} ms'
