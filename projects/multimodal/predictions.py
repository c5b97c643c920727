"""What a model that looks at several modalities together says of a batch: classes, answers, words in place of masks,
the box of a phrase."""

from collections.abc import Sequence

from ..registry import MODELS
from .inference import samples_of
from .roles import Inference
from .states import States


class JointPrediction(Inference):
    """What an objective of classes says: ``pred_scores`` (K) and ``pred_label``.

    Args:
        objective: its name in the model.
    """

    def __init__(self, objective: str, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.objective = objective

    def bind(self, model):
        if self.objective not in model.objectives or not hasattr(model.objectives[self.objective], 'logits'):
            raise ValueError(
                f'inference ({type(self).__name__}) reads objectives={self.objective!r}; the model has '
                f'{", ".join(model.objectives.keys())}, and it must be one of classes'
            )

    def forward(self, states: States) -> Sequence:
        logits = states.encoder.objectives[self.objective].logits(states).float()
        samples = samples_of(states, logits)
        for sample, each in zip(samples, logits):
            self.say(sample, each, states.encoder.objectives[self.objective])
        return samples

    def say(self, sample, logits, objective):
        sample.pred_scores, sample.pred_label = logits.softmax(-1), logits.argmax()


@MODELS.register_module()
class TruthOfPairs(JointPrediction):
    """Is a sentence true of two images: label 1, or 0."""

    task = 'nlvr2'

    def __init__(self, objective: str = 'reasoning', init_cfg: dict | None = None):
        super().__init__(objective, init_cfg)


@MODELS.register_module()
class ClassScores(JointPrediction):
    """Classes of an image."""

    task = 'classes'

    def __init__(self, objective: str = 'classes', init_cfg: dict | None = None):
        super().__init__(objective, init_cfg)


@MODELS.register_module()
class FilledWords(Inference):
    """Texts with words in place of their masks: ``pred_text``. Each mask becomes the word that is most probable there.

    Args:
        objective: name of one with a `words_of(states) -> T S V`.
    """

    task = 'fill_mask'
    uses = ('tokenizer',)

    def __init__(self, objective: str = 'masked', init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.objective = objective

    def bind(self, model):
        if not hasattr(dict(model.objectives.items()).get(self.objective), 'words_of'):
            raise ValueError(
                f'inference ({type(self).__name__}) reads objectives={self.objective!r}; it must tell words, '
                f'the model has {", ".join(model.objectives.keys())}'
            )
        self.tokenizer = model.tokenizer

    def forward(self, states: States) -> Sequence:
        texts = states.inputs['text']
        words = states.encoder.objectives[self.objective].words_of(states).argmax(-1)
        filled = texts.ids.where(texts.ids != self.tokenizer.mask_id, words)
        samples = samples_of(states, filled)
        for sample, ids, keep in zip(samples, filled, texts.keep):
            sample.pred_text = self.tokenizer.decode(ids[keep].tolist())
        return samples


@MODELS.register_module()
class ChosenAnswers(JointPrediction):
    """The best of the known answers of an :class:`AnswerClasses`: ``pred_text``; ``pred_scores`` are sigmoids or
    shares, as it learns them."""

    task = 'vqa'

    def __init__(self, objective: str = 'answers', init_cfg: dict | None = None):
        super().__init__(objective, init_cfg)

    def say(self, sample, logits, objective):
        sample.pred_label = logits.argmax()
        sample.pred_scores = logits.sigmoid() if objective.kind == 'bce' else logits.softmax(-1)
        sample.pred_text = (
            objective.answers[int(sample.pred_label)] if objective.answers else str(int(sample.pred_label))
        )


@MODELS.register_module()
class FoundBoxes(Inference):
    """The box that the phrase means: ``pred_box``, 4: left, top, right, bottom in shares of the image's sides.

    Args:
        objective: name of one with `boxes(states) -> B 4`.
    """

    task = 'referring'

    def __init__(self, objective: str = 'box', init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.objective = objective

    def bind(self, model):
        if not hasattr(dict(model.objectives.items()).get(self.objective), 'boxes'):
            raise ValueError(
                f'inference ({type(self).__name__}) reads objectives={self.objective!r}; it must tell boxes, '
                f'the model has {", ".join(model.objectives.keys())}'
            )

    def forward(self, states: States) -> Sequence:
        boxes = states.encoder.objectives[self.objective].boxes(states)
        samples = samples_of(states, boxes)
        for sample, box in zip(samples, boxes):
            sample.pred_box = box
        return samples
