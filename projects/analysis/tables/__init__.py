"""Generated tables: model cards, papers x parts, where a paper is."""
