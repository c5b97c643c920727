"""Which parts go together: held against each other when a detector is built, so that none fails in a step or idles.

Parts say of themselves what is asked here; the words are declared in roles.py, and one that is None is not asked.
"""

from collections.abc import Callable, Iterable
from operator import attrgetter

from torch import nn

from ..registry import MODELS, TASK_UTILS
from . import roles

REFERENCES = {0: 'no references', 2: 'points', 4: 'boxes'}
RESERVED = dict(match='the matching queries', enc="the encoder's proposals")
CLASSES = {True: 'classes that compete with "no object"', False: 'classes each on its own'}
ROLES = {
    'encoder': roles.EncoderRole,
    'queries': roles.QuerySource,
    'groups': roles.GroupSource,
    'decoder': roles.DecoderRole,
    'head': roles.HeadRole,
    'head.branches': roles.Branch,
    'head.terms': roles.LossTerm,
    'head.matcher': roles.Matcher,
    'head.matcher.costs': roles.MatchCost,
    'head.select': roles.Selection,
    'head.maps': roles.MapOfMasks,
}


def check_parts(detector: nn.Module) -> None:
    """Raises ValueError, naming both sides, where two parts of a detector do not go together."""
    queries, groups, head = detector.queries, list(detector.groups), detector.head
    check_roles(detector)
    check_names(groups)
    check_references([queries, *groups], detector.decoder)
    check_positions([queries, *groups], detector.decoder)
    check_indicator([queries, *groups])
    check_memory(detector.neck, detector.encoder, head)
    check_queries([queries, *groups], head)
    check_predictions(queries, head)
    check_classes(queries, head)


def check_roles(detector: nn.Module) -> None:
    """Parts derive from the bases of their roles."""
    for where, role in ROLES.items():
        found = attrgetter(where)(detector)
        for part in found if isinstance(found, Iterable) else [found]:
            roles.require(part, role, f'model.{where}')


def those(role: type[roles.Role], says: Callable[[type], bool] = lambda kind: True) -> str:
    """The registered parts of a role of whose classes something holds: ``A, B or C``."""
    kinds = [kind for registry in (MODELS, TASK_UTILS) for kind in registry.module_dict.values()]
    names = sorted(
        {kind.__name__ for kind in kinds if isinstance(kind, type) and issubclass(kind, role) and says(kind)}
    )
    return ' or '.join(filter(None, [', '.join(names[:-1]), *names[-1:]]))


def with_boxes() -> str:
    return those(roles.QuerySource, lambda kind: kind.coordinates == 4)


def derived(width: int) -> str:
    return those(roles.PositionSource, lambda kind: kind.position_width == width)


def makers(field: str) -> str:
    """The necks and encoders that fill a field of the memory."""
    necks = those(roles.MaskNeck, lambda kind: kind.num_pixel_levels > 0 if field == 'pixels' else kind.num_skips > 0)
    return f'{necks} and {those(roles.EncoderRole, lambda kind: field in kind.gives)}'


def check_names(groups: list[roles.GroupSource]) -> None:
    """Losses go by the name of the query group, so each group has one of its own."""
    owners = dict(RESERVED)
    for group in groups:
        for called in filter(None, group.names):
            if called in owners:
                raise ValueError(
                    f'{name(group)} makes a query group named {called!r}, as {owners[called]} are named, '
                    f"and would share their losses; name it differently, as name='{called}2'"
                )
            owners[called] = f'the queries of {name(group)}'


def check_references(sources: list[roles.QuerySource | roles.GroupSource], decoder: roles.DecoderRole) -> None:
    """All queries have references of one kind, and attention that looks around references gets some."""
    queries, *groups = sources
    given = queries.coordinates
    if given is None:
        return
    for group in groups:
        if group.coordinates not in (None, given):
            raise ValueError(
                f'{name(group)} makes {REFERENCES[group.coordinates]}, {name(queries)} brings '
                f'{REFERENCES[given]}; queries that run together need references of one kind: take '
                f'{with_boxes()}, or leave {name(group)} out'
            )

    prior = decoder.spatial_prior
    for attention in decoder.attention() if prior is None and not given else ():
        if isinstance(attention, roles.CrossAttention) and attention.needs_reference:
            others = those(roles.QuerySource, lambda kind: bool(kind.coordinates))
            dense = those(roles.CrossAttention, lambda kind: kind.compares)
            raise ValueError(
                f'{name(attention)} needs references to sample around, {name(queries)} brings none; take {others}; or '
                f'{dense}'
            )
    if prior is not None and bool(given) == prior.gives_reference:
        has = f'brings {REFERENCES[given]}' if given else 'brings no references'
        raise ValueError(f'{name(queries)} {has}; write {name(prior)}(centre={not given}), got centre={bool(given)}')


def check_positions(sources: list[roles.QuerySource | roles.GroupSource], decoder: roles.DecoderRole) -> None:
    """Positions are as wide as the attention takes them; they are derived exactly when the queries bring none."""
    part = decoder.position
    widths = {name(each): each.position_width for each in decoder.attention() if each.position_width}
    if len(set(widths.values())) > 1:
        raise ValueError(
            f'attention of one decoder takes positions of one width, got {widths} times embed_dims; '
            f'{" and ".join(widths)} are no pair'
        )
    if not widths:
        return
    (user, width), *_ = reversed(widths.items())

    own, lacking = ([name(one) for one in sources if one.brings_positions is brings] for brings in (True, False))
    if own and width > 1:
        free = those(roles.QuerySource, lambda kind: kind.coordinates == 4 and not kind.brings_positions)
        raise ValueError(
            f'{user} takes {width} times embed_dims of position, as {derived(width)} derives it from boxes; {own[0]} '
            f'brings positions of its own, embed_dims wide: take {free} (where it has embed_boxes, with '
            'embed_boxes=False)'
        )
    if lacking and part is None:
        raise ValueError(
            f'{lacking[0]} brings no positions, and the decoder has no part to derive them from reference '
            f"boxes; give it `position=dict(type='mmparts.{derived(width)}')`"
        )
    if part is not None and part.position_width not in (None, width):
        raise ValueError(
            f'{user} takes {width} times embed_dims of position, {name(part)} derives '
            f"{part.position_width}; write `position=dict(type='mmparts.{derived(width)}')`"
        )
    if part is not None and len(own) == len(sources):
        raise ValueError(
            f'{name(part)} derives positions for queries that bring none, and {", ".join(own)} '
            f'{"bring" if len(own) > 1 else "brings"} them: it would never be used; leave `position` out'
        )


def check_indicator(sources: list[roles.QuerySource | roles.GroupSource]) -> None:
    """The last channel tells denoising queries from matching ones in both of them, or in neither."""
    queries, *groups = sources
    for group in groups:
        if group.indicator not in (None, queries.indicator):
            raise ValueError(
                f'{name(group)}(indicator={group.indicator}) beside {name(queries)}, in which the last '
                f'channel {"is" if queries.indicator else "is not"} kept to tell them apart; write indicator='
                f'{queries.indicator}, or take queries with indicator={group.indicator}'
            )


def check_memory(neck: nn.Module, encoder: roles.EncoderRole, head: roles.HeadRole) -> None:
    """The head finds in the memory what it makes masks of, and the encoder gets the maps for it."""
    for branch in head.branches:
        for field in branch.needs:
            if field not in encoder.gives:
                raise ValueError(
                    f'{name(branch)} makes masks of memory.{field}, which {name(encoder)} does not give; take '
                    f'{makers(field)}, or leave {name(branch)} out'
                )
    for field, levels in dict(pixels='num_pixel_levels', skips='num_skips').items():
        given = getattr(neck, levels) if isinstance(neck, roles.MaskNeck) else 0
        if bool(given) != (field in encoder.gives):
            raise ValueError(
                f'{name(neck)} gives {given} maps for memory.{field}, {name(encoder)} '
                f'{"makes it" if field in encoder.gives else "makes none"}; {makers(field)} go together'
            )


def check_queries(sources: list[roles.QuerySource | roles.GroupSource], head: roles.HeadRole) -> None:
    """Queries find what they want of the head, and branches that take some queries only get no others."""
    queries, *groups = sources
    for word in queries.reads:
        if word not in predicted(head):
            raise ValueError(
                f'{name(queries)} reads {word} of the tokens, which {name(head)} does not predict; take {who(word)}, '
                'or other queries'
            )
    for branch in head.branches:
        check_number(queries, branch)
        if groups and not branch.takes_groups:
            word = branch.predicts[0]
            raise ValueError(
                f'the {word} of {name(branch)} compete with each other, so {name(groups[0])} does not go with it; take '
                f'{who(word, takes_groups=True)}, or no groups'
            )


def check_number(queries: roles.QuerySource, reader: nn.Module) -> None:
    """Of parts that take ``num_queries`` queries, no more."""
    if queries.copies > 1 and reader.num_queries is not None:
        raise ValueError(
            f'{name(queries)}(num_patterns={queries.copies}) asks every query {queries.copies} times, {name(reader)} '
            f'takes num_queries={reader.num_queries} of them; write num_patterns=0'
        )


def check_predictions(queries: roles.QuerySource, head: roles.HeadRole) -> None:
    """Losses, matching and selection read what the head predicts; selection is handed masks where there are some.

    Losses and matching read proposals too, where the queries make some.
    """
    predicts = predicted(head)
    for part in (*head.terms, head.matcher, head.select, *head.maps):
        for word in part.reads or ():
            if word not in predicts:
                raise ValueError(
                    f'{name(part)} reads {word}, which {name(head)} does not predict; take {who(word)}, '
                    f'or leave {name(part)} out'
                )
    for part in (*head.terms, head.matcher) if queries.proposes is not None else ():
        for word in part.reads:
            if word not in queries.proposes:
                others = those(roles.QuerySource, lambda kind: kind.proposes is None)
                raise ValueError(
                    f'{name(part)} reads {word}, also of what {name(queries)} proposes, where there is '
                    f'none; take {others}, or leave {name(part)} out'
                )
    if 'masks' in predicts and head.select.reads == ():
        masked = those(roles.Selection, lambda kind: 'masks' in (kind.reads or ()))
        raise ValueError(f'{name(head.select)} selects boxes alone, {name(head)} predicts masks; take {masked}')


def check_classes(queries: roles.QuerySource, head: roles.HeadRole) -> None:
    """Either all of a head and its parts count a last class "no object", or none does."""
    wanted = head.no_object
    if wanted is None:
        return
    for part in (*head.terms, *head.matcher.costs, head.select, *head.maps, queries):
        if part.no_object not in (None, wanted):
            kinds = (roles.LossTerm, roles.MatchCost, roles.Selection)
            fitting = [those(role, lambda kind: kind.no_object is wanted) for role in kinds]
            raise ValueError(
                f'{name(part)} is for {CLASSES[not wanted]}, {name(head)}(no_object={wanted}) has '
                f'{CLASSES[wanted]}, as {"; ".join(fitting)}'
            )


def predicted(head: roles.HeadRole) -> set[str]:
    return {word for branch in head.branches for word in branch.predicts}


def who(word: str, takes_groups: bool = False) -> str:
    """The branches that predict something; with ``takes_groups`` those that take query groups."""
    return those(roles.Branch, lambda kind: word in kind.predicts and kind.takes_groups >= takes_groups)


def name(part) -> str:
    return type(part).__name__
