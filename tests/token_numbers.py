"""What tests of models of images and texts share: a tokenizer whose words are numbers, builders, a batch of pairs."""

import torch

from mmparts.multimodal.roles import Inference
from mmparts.multimodal.states import Texts
from mmparts.registry import MODELS
from mmparts.structures import MultimodalSample

VOCABULARY, DEC, ENC, END = 60, 58, 59, 57


class Numbers:
    """A tokenizer whose words are numbers."""

    vocab_size, context_length = VOCABULARY, 12
    bos_id, eos_id, pad_id, mask_id = 1, END, 0, 2
    special_ids = frozenset((0, 1, 2, END, DEC, ENC))

    def id_of(self, token):
        return {'[DEC]': DEC, '[ENC]': ENC}[token]

    def pieces(self, text):
        return type('Pieces', (), dict(ids=[int(word) for word in text.split()]))()

    def __call__(self, texts):
        rows = [[1, *self.pieces(text).ids, END] for text in texts]
        length = max(map(len, rows))
        ids = torch.tensor([row + [0] * (length - len(row)) for row in rows])
        return Texts(ids, ids > 0)

    def decode(self, ids):
        return ' '.join(str(each) for each in ids if each not in self.special_ids)


class Preprocessor(torch.nn.Module):
    """Holds the tokenizer; the tests give batches."""

    def __init__(self, prefix=''):
        super().__init__()
        self.tokenizer = Numbers()
        given = torch.nn.Module()
        given.prefix = prefix
        self.inputs = torch.nn.ModuleDict(dict(text=given))


class Silent(Inference):
    """Of models that are only trained here."""

    task = 'retrieval'


def built(prefix='', **parts):
    """A model with weights away from their simple starts."""
    torch.manual_seed(0)
    words = dict(type='mmparts.MultimodalModel', data_preprocessor=Preprocessor(prefix))
    words['inference'] = dict(type='mmparts.Embeddings' if 'projections' in parts else Silent)
    model = MODELS.build({**words, **parts})
    for parameter in model.parameters():
        if parameter.ndim:
            torch.nn.init.normal_(parameter, std=0.2)
    if model.momentum is not None:
        model.momentum.bind(model)
    return model


def filled(model, state, layout):
    """With official weights; nothing is missing or left over."""
    made = layout.convert(state, model)
    assert not made.missing and not made.refused and not made.unexpected, (made.missing, made.refused, made.unexpected)
    model.load_state_dict(made.state, strict=False)
    assert set(model.state_dict()) - set(made.state) == set(made.initialised)
    return model.eval()


def pairs(items=4, length=7):
    random = torch.Generator().manual_seed(1)
    ids = torch.randint(3, 50, (items, length), generator=random)
    ids[:, 0] = 1
    keep = torch.ones_like(ids, dtype=torch.bool)
    ids[0, -2:], keep[0, -2:] = 0, False
    samples = [MultimodalSample(metainfo=dict(img_id=index)) for index in range(items)]
    return dict(image=torch.randn(items, 3, 32, 32, generator=random), text=Texts(ids, keep)), samples
