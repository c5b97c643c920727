"""Auto-encoding of videos with their sound and class through one small array of latents (Perceiver IO, section 4.3).

In training only some outputs are asked for, drawn anew in each step; predictions ask for all of them, in parts. The
class is always masked among the inputs, so that the latents must tell it. Places of outputs are at -1 + 2 i / n, as the
official code decodes (`spacing='half-open'` in the queries).
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ..registry import MODELS
from ..structures import ClipSample
from .arrays import InputArray
from .model import PerceiverModel
from .multimodal import MultimodalInput, MultimodalQueries

NAMES = ('audio', 'image', 'label')


@MODELS.register_module()
class MultimodalAutoencoder(PerceiverModel):
    """
    Args:
        backbone: a `Perceiver` of `MultimodalInput` and `MultimodalQueries` with the modalities ``image`` (a video, B
            3 T H W in [0, 1]), ``audio`` (B samples) and ``label`` (B K), or some of them.
        num_classes: of the label.
        points: name -> how many outputs a training step asks for; names that are not there are asked for as a whole.
        loss_weights: name -> factor; L1 of video and sound, cross-entropy of the class. Those of the paper favour the
            restored arrays; a weight of 1 of the label buys accuracy with fidelity.
        chunks: in how many parts predictions are asked for.

    ``mode='tensor'`` returns a dict: image B 3 T H W, audio B samples, label B K.

    Raises:
        ValueError: inputs or queries of another kind, or of modalities that are not known.
    """

    task = 'autoencoding'

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(points={name: 16 for name in cfg.get('points', {})}, chunks=2)

    def __init__(
        self,
        backbone: dict,
        num_classes: int = 700,
        points: Mapping[str, int] | None = None,
        loss_weights: Mapping[str, float] = dict(image=0.03, audio=1.0, label=0.0001),
        chunks: int = 128,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(backbone, data_preprocessor, init_cfg)
        inputs, queries = self.backbone.inputs, self.backbone.queries
        if not isinstance(inputs, MultimodalInput) or not isinstance(queries, MultimodalQueries):
            raise ValueError(
                f'inputs are {type(inputs).__name__} and queries {type(queries).__name__}; auto-encoding takes '
                'MultimodalInput and MultimodalQueries'
            )
        for what, names in (('queries', queries.parts), ('points', points or {}), ('loss_weights', loss_weights)):
            strange = [name for name in names if name not in NAMES]
            if strange:
                raise ValueError(f'{what} name {", ".join(strange)}; modalities are {", ".join(NAMES)}')
        absent = [name for name in queries.parts if name not in inputs.adapters]
        if absent:
            raise ValueError(f'queries ask for {", ".join(absent)}, which the inputs do not hold')
        if 'label' in inputs.adapters and inputs.mask_rates.get('label') != 1:
            raise ValueError('the class would leak from the inputs into the outputs; write mask_rates=dict(label=1.0)')
        self.points, self.loss_weights = dict(points or {}), dict(loss_weights)
        self.num_classes, self.chunks = num_classes, chunks
        width = self.backbone.decoder.channels
        widths = dict(image=3, label=num_classes)
        if 'audio' in inputs.adapters:
            widths['audio'] = inputs.adapters['audio'].patch
        self.heads = nn.ModuleDict({name: nn.Linear(width, widths[name]) for name in queries.parts})

    def outputs(self, inputs: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """All of it, as arrays of the inputs' shapes."""
        array, latents = self.backbone.encode(inputs)
        counts = self.backbone.queries.counts(array)
        found: dict[str, list[Tensor]] = {name: [] for name in counts}
        for chunk in range(self.chunks):
            points = {
                name: torch.arange(count * chunk // self.chunks, count * (chunk + 1) // self.chunks)
                for name, count in counts.items()
            }
            points = {name: each.to(latents.device) for name, each in points.items()}
            if any(len(each) for each in points.values()):
                for name, part in self.asked(array, latents, points).items():
                    found[name].append(part)
        whole = {name: torch.cat(parts, dim=1) for name, parts in found.items()}
        return {name: self._shaped(name, each) for name, each in whole.items()}

    def asked(self, array: InputArray, latents: Tensor, points: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """B N C of each modality, at these outputs (numbers in the flattened arrays)."""
        decoded = self.backbone.decode(array, latents, points)
        parts = self.backbone.queries.split(decoded, array, points)
        return {name: self.heads[name](part) for name, part in parts.items()}

    def _shaped(self, name: str, outputs: Tensor) -> Tensor:
        if name == 'audio':
            return outputs.flatten(1)
        if name == 'label':
            return outputs[:, 0]
        return outputs.transpose(1, 2).unflatten(2, self.backbone.queries.parts[name].fixed)

    def loss(self, inputs: Mapping[str, Tensor], samples: Sequence) -> dict[str, Tensor]:
        array, latents = self.backbone.encode(inputs)
        counts = self.backbone.queries.counts(array)
        points = {
            name: torch.randint(count, (min(self.points.get(name, count), count),), device=latents.device)
            if name in self.points
            else torch.arange(count, device=latents.device)
            for name, count in counts.items()
        }
        losses = {}
        for name, found in self.asked(array, latents, points).items():
            error = self._error(name, found.float(), inputs, samples, points[name])
            losses[f'loss_{name}'] = self.loss_weights.get(name, 1.0) * error
        return losses

    def _error(self, name: str, found: Tensor, inputs: Mapping, samples: Sequence, points: Tensor) -> Tensor:
        if name == 'label':
            labels = torch.tensor([int(sample.gt_label) for sample in samples], device=found.device)
            return F.cross_entropy(found[:, 0], labels)
        truth = inputs[name]
        truth = truth.unflatten(1, (-1, found.shape[-1])) if name == 'audio' else truth.flatten(2).transpose(1, 2)
        return (found - truth[:, points].to(found)).abs().mean()

    def predict(self, inputs: Mapping[str, Tensor], samples: Sequence | None = None) -> list:
        found = self.outputs(inputs)
        number = len(next(iter(found.values())))
        samples = [ClipSample() for _ in range(number)] if samples is None else list(samples)
        for row, sample in enumerate(samples):
            if 'image' in found:
                sample.pred_video = (255 * found['image'][row].float().clamp(0, 1)).round().to(torch.uint8)
            if 'audio' in found:
                sample.pred_audio = found['audio'][row].float()
            if 'label' in found:
                sample.pred_scores = found['label'][row].float().softmax(-1)
                sample.pred_label = sample.pred_scores.argmax()
        return samples
