"""Which parts go together: held against each other when a detector is built, so that none fails in a step or idles.

Parts say of themselves, as attributes of the class or the object; who says nothing is not asked:

* queries, groups: ``coordinates`` of their references (4 boxes, 2 points, 0 none); ``brings_positions``, or else the
  decoder derives them; ``indicator``, whether the last channel says who is a noised one; ``copies``, how often
  each of ``num_queries`` is asked; ``asks_head``, methods of the head that they call.
* groups: ``name`` of the group they make, or ``names`` where they make several.
* attention: ``position_width``, channels of position in units of ``embed_dims``; ``needs_reference``.
* position: ``position_width`` of what it derives. Spatial prior: ``gives_reference``.
* encoder: ``gives``, fields of Memory beside the tokens. Head: ``needs`` of these; ``takes_groups``, ``takes_initial``.
* head: ``predicts`` beside classes and boxes; loss terms, matcher, selection: ``reads`` of these; queries that make
  proposals: ``proposes``, which of these the proposals have.
* head, loss terms, costs, selection, queries: ``no_object``, whether classes compete with a last one (softmax).
"""

from torch import nn

REFERENCES = {0: 'no references', 2: 'points', 4: 'boxes'}
WITH_BOXES = 'AnchorQueries, TopKQueries or MaskQueries'
DERIVED = {1: 'BoxPosition', 2: 'ConditionalPosition'}  # what derives positions, by their width
MASKED = dict(pixels='PixelMapper and DeformablePixelDecoder', skips='SkipMapper and CellEncoder')
WHO = dict(
    masks='MaskHead, CellHead or DETRMaskHead',
    kernels='MaskHead',
    maps='CellHead or DETRMaskHead',
    embeddings='EmbeddingHead',
)
RESERVED = dict(match='the matching queries', enc="the encoder's proposals")
CLASSES = {True: 'classes that compete with "no object"', False: 'classes each on its own'}


def check_parts(detector: nn.Module) -> None:
    """Raises ValueError, naming both sides, where two parts of a detector do not go together."""
    sources = [detector.queries, *detector.groups]
    check_names(detector.groups)
    check_references(sources, detector.decoder)
    check_positions(sources, detector.decoder)
    check_indicator(sources)
    check_memory(detector.neck, detector.encoder, detector.head)
    check_head(sources, detector.decoder, detector.head)
    check_predictions(detector.queries, detector.head)
    check_classes(detector.queries, detector.head)


def check_names(groups: list[nn.Module]) -> None:
    """Losses go by the name of the query group, so each group has one of its own."""
    owners = dict(RESERVED)
    for group in groups:
        for called in filter(None, says(group, 'names') or [says(group, 'name')]):
            if called in owners:
                raise ValueError(
                    f'{name(group)} makes a query group named {called!r}, as {owners[called]} are named, '
                    f"and would share their losses; name it differently, as name='{called}2'"
                )
            owners[called] = f'the queries of {name(group)}'


def check_references(sources: list[nn.Module], decoder: nn.Module) -> None:
    """All queries have references of one kind, and attention that looks around references gets some."""
    queries, *groups = sources
    given = says(queries, 'coordinates')
    if given is None:
        return
    for group in groups:
        if says(group, 'coordinates') not in (None, given):
            raise ValueError(
                f'{name(group)} makes {REFERENCES[group.coordinates]}, {name(queries)} brings '
                f'{REFERENCES[given]}; queries that run together need references of one kind: take '
                f'{WITH_BOXES}, or leave {name(group)} out'
            )

    prior, cross_attn = says(decoder, 'spatial_prior'), attention(decoder, 'cross_attn')
    if prior is None and not given and says(cross_attn, 'needs_reference'):
        raise ValueError(
            f'{name(cross_attn)} needs references to sample around, {name(queries)} brings none; take '
            f'PointQueries, {WITH_BOXES}, or DenseCrossAttention'
        )
    if prior is not None and bool(given) == says(prior, 'gives_reference'):
        has = f'brings {REFERENCES[given]}' if given else 'brings no references'
        raise ValueError(f'{name(queries)} {has}; write {name(prior)}(centre={not given}), got centre={bool(given)}')


def check_positions(sources: list[nn.Module], decoder: nn.Module) -> None:
    """Positions are as wide as attention takes them; those that nobody brings are derived, and no others."""
    part = says(decoder, 'position')
    attentions = [attention(decoder, which) for which in ('self_attn', 'cross_attn')]
    widths = {name(each): each.position_width for each in attentions if says(each, 'position_width')}
    if len(set(widths.values())) > 1:
        raise ValueError(
            f'attention of one decoder takes positions of one width, got {widths} times embed_dims; '
            'ConditionalSelfAttention and ConditionalCrossAttention are a pair'
        )
    if not widths:
        return
    (user, width), *_ = reversed(widths.items())

    bring = [(name(source), says(source, 'brings_positions')) for source in sources]
    own, lacking = ([who for who, brings in bring if brings is which] for which in (True, False))
    if own and width > 1:
        raise ValueError(
            f'{user} takes {width} times embed_dims of position, as {DERIVED[width]} derives it from '
            f'boxes; {own[0]} brings positions of its own, embed_dims wide: take AnchorQueries, '
            'MaskQueries or TopKQueries(mixed_selection=True, embed_boxes=False)'
        )
    if lacking and part is None:
        raise ValueError(
            f'{lacking[0]} brings no positions, and the decoder has no part to derive them from reference '
            f"boxes; give it `position=dict(type='mmparts.{DERIVED.get(width)}')`"
        )
    if part is not None and says(part, 'position_width') not in (None, width):
        raise ValueError(
            f'{user} takes {width} times embed_dims of position, {name(part)} derives '
            f"{part.position_width}; write `position=dict(type='mmparts.{DERIVED.get(width)}')`"
        )
    if part is not None and len(own) == len(bring):
        raise ValueError(
            f'{name(part)} derives positions for queries that bring none, and {", ".join(own)} '
            f'{"bring" if len(own) > 1 else "brings"} them: it would never be used; leave `position` out'
        )


def check_indicator(sources: list[nn.Module]) -> None:
    """The last channel tells denoising queries from matching ones in both of them, or in neither."""
    queries, *groups = sources
    for group in groups:
        reserved = bool(says(queries, 'indicator'))
        if says(group, 'indicator') not in (None, reserved):
            raise ValueError(
                f'{name(group)}(indicator={group.indicator}) beside {name(queries)}, in which the last '
                f'channel {"is" if reserved else "is not"} kept to tell them apart; write indicator='
                f'{reserved}, or take AnchorQueries(indicator={group.indicator})'
            )


def check_memory(neck: nn.Module, encoder: nn.Module, head: nn.Module) -> None:
    """The head finds in the memory what it makes masks of, and the encoder gets the maps for it."""
    gives = says(encoder, 'gives')
    if gives is None:
        return
    for field in says(head, 'needs') or ():
        if field not in gives:
            raise ValueError(
                f'{name(head)} makes masks of memory.{field}, which {name(encoder)} does not give; take '
                f'{MASKED[field]}, or SetPredictionHead'
            )
    for field, levels in dict(pixels='num_pixel_levels', skips='num_skips').items():
        if bool(getattr(neck, levels, 0)) != (field in gives):
            raise ValueError(
                f'{name(neck)} gives {getattr(neck, levels, 0)} maps for memory.{field}, '
                f'{name(encoder)} {"makes it" if field in gives else "makes none"}; {MASKED[field]} go '
                'together'
            )


def check_head(sources: list[nn.Module], decoder: nn.Module, head: nn.Module) -> None:
    """The head has what queries ask of it, and takes what the decoder hands out."""
    queries, *groups = sources
    for method in says(queries, 'asks_head') or ():
        if not hasattr(head, method):
            raise ValueError(
                f'{name(queries)} lets the head read the tokens, and {name(head)} has no method '
                f'`{method}`; take MaskHead, or TopKQueries'
            )
    if says(head, 'takes_groups') is False:
        check_number(queries, head)
    if groups and says(head, 'takes_groups') is False:
        raise ValueError(
            f'the masks of {name(head)} compete with each other, so {name(groups[0])} does not go with '
            'it; take MaskHead, or no groups'
        )
    if says(decoder, 'gives_initial') and says(head, 'takes_initial') is False:
        raise ValueError(
            f'{name(decoder)} hands out what enters its first layer, too, which {name(head)} would take '
            'for the output of that layer; take MaskHead, or QueryDecoder'
        )


def check_number(queries: nn.Module, reader: nn.Module) -> None:
    """Of parts that take ``num_queries`` queries, no more."""
    copies = says(queries, 'copies') or 1
    if copies > 1:
        raise ValueError(
            f'{name(queries)}(num_patterns={copies}) asks every query {copies} times, {name(reader)} '
            f'takes num_queries={reader.num_queries} of them; write num_patterns=0'
        )


def check_predictions(queries: nn.Module, head: nn.Module) -> None:
    """Losses, matching and selection read what the head predicts; selection is handed masks where there are some.

    Losses and matching read proposals too, where the queries make some.
    """
    predicts, proposes = says(head, 'predicts'), says(queries, 'proposes')
    if predicts is None:
        return
    for part in (*head.terms, head.matcher, head.select):
        for word in says(part, 'reads') or ():
            if word not in predicts:
                raise ValueError(
                    f'{name(part)} reads {word}, which {name(head)} does not predict; take {WHO[word]}, '
                    f'or leave {name(part)} out'
                )
    for part in (*head.terms, head.matcher) if proposes is not None else ():
        for word in says(part, 'reads') or ():
            if word not in proposes:
                others = 'MaskQueries' if word == 'kernels' else 'queries that propose nothing'
                raise ValueError(
                    f'{name(part)} reads {word}, also of what {name(queries)} proposes, where there is '
                    f'none; take {others}, or leave {name(part)} out'
                )
    if 'masks' in predicts and says(head.select, 'reads') == ():
        raise ValueError(f'{name(head.select)} selects boxes alone, {name(head)} predicts masks; take TopKMasks')


def check_classes(queries: nn.Module, head: nn.Module) -> None:
    """Either all of a head and its parts count a last class "no object", or none does."""
    wanted = says(head, 'no_object')
    if wanted is None:
        return
    costs = getattr(head.matcher, 'costs', [])
    for part in (*head.terms, *costs, head.select, queries):
        if says(part, 'no_object') not in (None, wanted):
            raise ValueError(
                f'{name(part)} is for {CLASSES[not wanted]}, {name(head)}(no_object={wanted}) has '
                f'{CLASSES[wanted]}: SoftmaxTerm, SoftmaxCost and BestClassSelection go together, and '
                'FocalTerm, FocalCost, TopKSelection and queries that rank tokens'
            )


def says(part, word: str):
    """What a part says of itself; None where it does not."""
    return getattr(part, word, None)


def name(part) -> str:
    return type(part).__name__


def attention(decoder: nn.Module, which: str) -> nn.Module | None:
    """A decoder's attention; of one that wraps another, the one inside, which reads the positions."""
    layers = says(decoder, 'layers')
    part = says(layers[0], which) if layers is not None else None
    while hasattr(part, 'base'):
        part = part.base
    return part
