"""What a model says of a batch: embeddings, for retrieval and search; classes by their names."""

import importlib.util
from collections.abc import Callable, Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor

from ..registry import MODELS
from ..structures import MultimodalSample
from .roles import Inference
from .states import States

PLAIN = ('a photo of a {}.',)
BATCH = 256  # texts of classes at a time


@MODELS.register_module()
class Embeddings(Inference):
    """Each sample gets ``pred_embeddings``: modality -> D; of texts, n D where items have several."""

    task = 'retrieval'
    uses = ('embedding',)

    def forward(self, states: States) -> Sequence:
        found = {name: states.embedding(name).cpu() for name in sorted(states.encoder.joint) if name in states.inputs}
        owners = {name: getattr(states.inputs[name], 'owner', None) for name in found}
        samples = samples_of(states, next(iter(found.values())))
        for index, sample in enumerate(samples):
            sample.pred_embeddings = {
                name: each[index] if owners[name] is None else each[owners[name].cpu() == index]
                for name, each in found.items()
            }
        return samples


@MODELS.register_module()
class MatchedEmbeddings(Embeddings):
    """What `mmparts.RerankedRecall` needs: embeddings, and ``pred_tokens``, the image's of its tower, S C, with
    ``pred_ids``, the ids of each of its texts, so that pairs can be held together after all were seen.

    Args:
        objective: name of a `Matching` in the model.
    """

    def __init__(self, objective: str = 'matching', init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.objective = objective

    def bind(self, model):
        if not hasattr(dict(model.objectives.items()).get(self.objective), 'of_tokens'):
            raise ValueError(
                f'inference ({type(self).__name__}) matches with objectives={self.objective!r}; it must be a Matching, '
                f'the model has {", ".join(model.objectives.keys())}'
            )

    def forward(self, states: States) -> Sequence:
        samples, texts, image = super().forward(states), states.inputs['text'], states.tower('image')
        owners = torch.arange(len(texts)) if texts.owner is None else texts.owner.cpu()
        for index, sample in enumerate(samples):
            sample.pred_tokens = image.tokens[index].cpu()
            rows = (owners == index).nonzero()[:, 0].tolist()
            sample.pred_ids = [texts.ids[row][texts.keep[row]].cpu() for row in rows]
        return samples

    def matcher(self, model) -> Callable[[Sequence[Tensor], Sequence[Tensor]], Tensor]:
        """``match(tokens, ids) -> P``: how well each text belongs to its image, the logit of BLIP's evaluation."""
        matching, texts = model.objectives[self.objective], model.data_preprocessor.inputs['text']
        device = next(model.parameters()).device

        @torch.no_grad()
        def match(tokens: Sequence[Tensor], ids: Sequence[Tensor]) -> Tensor:
            batch = texts.of_ids(list(ids)).to(device)
            return matching.of_tokens(model, torch.stack(list(tokens)).to(device), batch)[:, 1].float().cpu()

        return match


@MODELS.register_module()
class ZeroShot(Inference):
    """Images, or sounds, are told apart by the names of classes: ``pred_scores`` (K, softmax) and ``pred_label``.

    A class is the mean of what the text tower makes of its prompts, each of length 1, brought to length 1
    (https://arxiv.org/abs/2103.00020, section 3.1.4).

    Args:
        classes: names, in the order of the labels; 'imagenet': the 1000 names that OpenAI chose, in the order of the
            folders. None: given by ``set_classes``, which `mmparts.ClassNamesHook` does with the names of the data set.
        names: name of a class in the data set -> what to call it in a prompt, where they differ.
        templates: prompts with ``{}`` for the name; 'openai': the 80 of ImageNet.
        scale: of the cosines.
        of: the modality that is told apart.
    """

    task = 'zero-shot'
    uses = ('embedding', 'tokenizer')
    tiny = dict(classes=('a', 'b', 'c'), templates=('a {}',))

    def __init__(
        self,
        classes: Sequence[str] | str | None = None,
        names: Mapping[str, str] | None = None,
        templates: Sequence[str] | str = PLAIN,
        scale: float = 100.0,
        of: str = 'image',
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.names, self.scale, self.of, self.needs = dict(names or {}), scale, of, (of, 'text')
        self.templates = tuple(openai('OPENAI_IMAGENET_TEMPLATES') if templates == 'openai' else templates)
        wrong = [each for each in self.templates if not callable(each) and '{}' not in each]
        if wrong or not self.templates:
            raise ValueError(f"templates={wrong or self.templates}: prompts with '{{}}' where the name goes are needed")
        self._weights: dict[torch.device, Tensor] = {}
        self.set_classes(openai('IMAGENET_CLASSNAMES') if classes == 'imagenet' else classes)
        self.register_load_state_dict_post_hook(lambda *_: self._weights.clear())

    def set_classes(self, classes: Sequence[str] | None) -> None:
        """Tell these apart from now on.

        Raises:
            ValueError: a name twice: their images could not be told apart.
        """
        called = [self.names.get(name, name) for name in classes or ()]
        twice = sorted({name for name in called if called.count(name) > 1}) if len(called) < 500 else []
        if twice:
            raise ValueError(f'two classes are called {twice[0]!r}; say with `names` how to call them apart')
        self.classes = tuple(classes) if classes is not None else None
        self._weights.clear()

    @property
    def num_classes(self) -> int:
        return len(self.classes or ())

    def train(self, mode: bool = True) -> 'ZeroShot':
        if mode:
            self._weights.clear()
        return super().train(mode)

    def forward(self, states: States) -> Sequence:
        found = states.embedding(self.of)
        if found.device not in self._weights:
            self._weights[found.device] = self.weights(states)
        scores = (self.scale * found @ self._weights[found.device].T).softmax(-1)
        samples = samples_of(states, scores)
        for sample, each in zip(samples, scores):
            sample.pred_scores, sample.pred_label = each, each.argmax()
        return samples

    @torch.no_grad()
    def weights(self, states: States) -> Tensor:
        """K D: the classes."""
        if self.classes is None:
            raise ValueError(
                'no classes to tell apart; give inference=dict(classes=...), or default_hooks=dict(class_names=dict('
                "type='mmparts.ClassNamesHook')), which takes those of the data set"
            )
        prompts = [fill(template, self.names.get(name, name)) for name in self.classes for template in self.templates]
        return encode_texts(states.encoder, prompts, len(self.templates))


def encode_texts(model, texts: Sequence[str], together: int = 1) -> Tensor:
    """T/together D: embeddings of texts of length 1; of so many that follow each other the mean, of length 1 again."""
    inputs = model.data_preprocessor.inputs['text']
    device, found = next(model.parameters()).device, []
    for start in range(0, len(texts), BATCH):
        batch = inputs(list(texts[start : start + BATCH]), device)
        found.append(States(model, dict(text=batch)).embedding('text'))
    vectors = torch.cat(found).unflatten(0, (-1, together))
    return vectors[:, 0] if together == 1 else F.normalize(vectors.mean(1), dim=-1)


def fill(template, name: str) -> str:
    return template(name) if callable(template) else template.format(name)


def openai(word: str) -> Sequence:
    """What OpenAI published for ImageNet; the package open_clip_torch carries it, in a file of nothing else."""
    package = importlib.util.find_spec('open_clip')
    if package is None:
        raise ImportError(
            f'{word} is in the package open_clip_torch, which is not installed: pip install --no-deps '
            'open_clip_torch==3.3.0, or write templates and classes into the config'
        )
    path = f'{package.submodule_search_locations[0]}/zero_shot_metadata.py'
    file = importlib.util.spec_from_file_location('zero_shot_metadata', path)
    module = importlib.util.module_from_spec(file)
    file.loader.exec_module(module)
    return getattr(module, word)


def samples_of(states: States, batch: Tensor) -> list:
    """The data samples, or new ones."""
    return list(states.samples) or [MultimodalSample() for _ in batch]
