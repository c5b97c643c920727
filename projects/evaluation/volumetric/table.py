"""The table of a metric of volumes; its head says by which rules it was made."""

from .measures import Rules

AVERAGED = dict(
    case_region='mean over cases, then over regions', pooled='voxels of all cases pooled', median='median over cases'
)


def summary_table(values: dict[str, dict[str, float]], rules: Rules, average: str, results: list[dict]) -> str:
    """Regions by measures, and how many cases were empty.

    Args:
        values: measures of each region.
        results: of the cases: ``rows[region]`` with ``true`` and ``found``.
    """
    names = list(rules.measures)
    heads = ['region', *names, 'no truth', 'missed', 'invented']
    lines = [heads]
    for region, row in values.items():
        rows = [each['rows'][region] for each in results]
        no_truth = sum(r['true'] == 0 for r in rows)
        missed = sum(r['true'] > 0 and r['found'] == 0 for r in rows)
        invented = sum(r['true'] == 0 and r['found'] > 0 for r in rows)
        lines.append([region, *[f'{row[name]:.4f}' for name in names], *map(str, (no_truth, missed, invented))])
    widths = [max(len(line[i]) for line in lines) for i in range(len(heads))]
    body = ['  '.join(text.ljust(width) for text, width in zip(line, widths)).rstrip() for line in lines]
    return '\n'.join([f'{rules}; {AVERAGED[average]}; {len(results)} cases', *body])
