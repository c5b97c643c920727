"""Perceiver and Perceiver IO: any array in, any array out.

| file | what |
|---|---|
| perceiver | `Perceiver`: the parts together; a backbone, too |
| inputs, features, position | input adapters: from data to an array with positions |
| encoder, blocks | from the array to latents |
| queries, decoder | from latents to outputs |
| layouts | published weights |
"""

from . import decoder, encoder, features, inputs, layouts, perceiver, position, queries  # noqa: F401  importing registers them
