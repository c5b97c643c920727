"""The set-prediction family (DETR and its descendants); the map of papers and parts is in README.md."""
from . import (  # noqa: F401  importing registers the parts
    anchors, attention, cell_backbone, cell_encoder, cell_head, cell_masks, collaborative, collaborators, conditional,
    convert, convert_cell, convert_co, convert_dab, convert_detr_masks, convert_mask2former, convert_mask_dino,
    convert_smca, decoder, detector, detr_masks, detreg, encoder, groups, head, level_gates, mask_head, mask_queries,
    mask_terms, matching, modulated_conv, one_to_many, pade, pixel_decoder, pre_norm, pretext, queries, references,
    segments, selection, smca, smca_encoder, terms, up_detr)
