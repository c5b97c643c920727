"""What a model writes of a batch: captions, and answers to questions."""

from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import MODELS, build_part
from .answers import read_answers
from .generation import BeamSearch
from .inference import samples_of
from .roles import Inference
from .states import State, States, Texts


class Writing(Inference):
    """Base of what writes by the model's decoder."""

    uses = ('writer', 'tokenizer')
    texts = 'text'  # input that is written

    def bind(self, model):
        self.model = (model,)  # a tuple, so that the model is no part of itself
        inputs = model.data_preprocessor.inputs
        self.prefix = getattr(dict(inputs.items()).get(self.texts), 'prefix', '')

    def prompt(self, count: int, device) -> Tensor:
        """B T: what begins every text."""
        model = self.model[0]
        ids = [model.tokenizer.bos_id] if model.tokenizer.bos_id is not None else []
        if self.prefix:
            ids = ids + model.tokenizer.pieces(self.prefix).ids
        if not ids:
            raise ValueError(f'{type(self).__name__}: nothing begins a text: no bos_id, and no prefix in TextInputs')
        return model.decoder.prompt(torch.tensor([ids] * count, device=device))


@MODELS.register_module()
class Captions(Writing):
    """Each sample gets ``pred_text`` and ``pred_score``, the log-probability as the search counts it.

    Args:
        search: how a text is written, see generation.py; lengths count the prompt and both special tokens.
        texts: name of the input whose tokenizer and prefix count.
    """

    task = 'caption'

    def __init__(
        self, search: dict = dict(type=BeamSearch, min_length=5), texts: str = 'text', init_cfg: dict | None = None
    ):
        super().__init__(init_cfg)
        self.search, self.texts = build_part(search), texts

    def forward(self, states: States) -> Sequence:
        model = self.model[0]
        memory = model.decoder.memory(states)
        count = len(memory.tokens)
        prompt = self.prompt(count, memory.tokens.device)
        written = self.search(model.decoder.writer(memory), prompt, model.tokenizer.eos_id)
        samples = samples_of(states, memory.tokens)
        for sample, one in zip(samples, written):
            sample.pred_text = model.tokenizer.decode(one.ids[prompt.shape[1] :]).strip()
            sample.pred_score = one.score
        return samples


@MODELS.register_module()
class WrittenAnswers(Captions):
    """The same as answers to questions: the input 'answer' is written."""

    task = 'vqa'

    def __init__(
        self,
        search: dict = dict(type=BeamSearch, num_beams=3, max_length=10),
        texts: str = 'answer',
        init_cfg: dict | None = None,
    ):
        super().__init__(search, texts, init_cfg)


@MODELS.register_module()
class RankedAnswers(Writing):
    """The most probable of known answers: first words choose ``num_ranked`` of them, whole texts the one (BLIP's VQA).

    Args:
        answers: a list, or a file with an answer a line or a JSON list.
        num_ranked: answers whose whole text is looked at; BLIP 128.

    Each sample gets ``pred_text``, ``pred_texts`` (best first) and ``pred_scores``.
    """

    task = 'vqa'
    texts = 'answer'

    def __init__(self, answers: Sequence[str] | str, num_ranked: int = 128, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.answers, self.num_ranked = read_answers(answers), num_ranked

    def forward(self, states: States) -> Sequence:
        model = self.model[0]
        memory = model.decoder.memory(states)
        count, device = len(memory.tokens), memory.tokens.device
        texts = model.tokenizer(self.answers).to(device)
        chosen = self.first_words(memory, texts, count, device)
        scores = self.whole_texts(memory, texts, chosen)
        best = scores.argsort(1, descending=True)
        samples = samples_of(states, memory.tokens)
        for sample, order, numbers, said in zip(samples, best.tolist(), chosen.tolist(), scores.tolist()):
            sample.pred_texts = [self.answers[numbers[place]] for place in order]
            sample.pred_text = sample.pred_texts[0]
            sample.pred_scores = torch.tensor([said[place] for place in order])
        return samples

    def first_words(self, memory: State, texts: Texts, count: int, device) -> Tensor:
        """B n: the answers whose first word is the most probable."""
        decoder = self.model[0].decoder
        start = decoder.prompt(texts.ids[:1, :1]).expand(count, -1)
        chances = decoder.writer(memory).start(start).softmax(-1)
        return chances[:, texts.ids[:, 1]].topk(min(self.num_ranked, len(self.answers)), 1).indices

    def whole_texts(self, memory: State, texts: Texts, chosen: Tensor) -> Tensor:
        """B n: log-probability of each of those answers, as the sum over its words."""
        decoder, numbers = self.model[0].decoder, chosen.flatten()
        owner = torch.arange(len(chosen), device=chosen.device).repeat_interleave(chosen.shape[1])
        asked = Texts(texts.ids[numbers], texts.keep[numbers], owner=owner)
        logits = decoder(asked, memory)[:, :-1].float()
        targets = asked.ids.masked_fill(~asked.keep, -100)[:, 1:]
        each = F.cross_entropy(logits.flatten(0, 1), targets.flatten(), reduction='none').view_as(targets)
        return -each.sum(1).view_as(chosen)
