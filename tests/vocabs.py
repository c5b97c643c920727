"""Where tests find real vocabularies: in the package open_clip_torch and in the data folder beside the checkout."""

import importlib.util
import os
from pathlib import Path

import pytest

DATA = Path(os.environ.get('MMPARTS_DATA', Path(__file__).resolve().parents[2] / 'shared' / 'data'))
CLIP, BERT = 'bpe_simple_vocab_16e6.txt.gz', 'bert-base-uncased-vocab.txt'


def vocabulary(name: str) -> str:
    """Path of a published vocabulary; skips the test where it is not there."""
    package = importlib.util.find_spec('open_clip')
    folders = [
        DATA / 'tokenizer_vocabs',
        *(Path(each) for each in (package and package.submodule_search_locations) or ()),
    ]
    for folder in folders:
        if (folder / name).is_file():
            return str(folder / name)
    pytest.skip(f'no {name} in {", ".join(map(str, folders))}')
