"""The set-prediction family (DETR and its descendants); the map of papers and parts is in README.md."""
from . import (  # noqa: F401  importing registers the parts
    anchors, attention, collaborative, collaborators, conditional, convert, convert_co, convert_dab, decoder, detector,
    encoder, groups, head, mask_head, mask_queries, mask_terms, matching, one_to_many, pixel_decoder, queries,
    references, segments, selection, terms)
