"""What a model says of a batch: embeddings, for retrieval and search."""

from collections.abc import Sequence

from ..registry import MODELS
from ..structures import MultimodalSample
from .roles import Inference
from .states import States


@MODELS.register_module()
class Embeddings(Inference):
    """Each sample gets ``pred_embeddings``: modality -> D; of texts, n D where items have several."""

    task = 'retrieval'
    uses = ('embedding',)

    def forward(self, states: States) -> Sequence:
        found = {name: states.embedding(name).cpu() for name in sorted(states.encoder.joint) if name in states.inputs}
        owner = getattr(states.inputs.get('text'), 'owner', None)
        owner = None if owner is None else owner.cpu()
        samples = list(states.samples) or [MultimodalSample() for _ in next(iter(found.values()))]
        for index, sample in enumerate(samples):
            several = name_of_several(found, owner)
            sample.pred_embeddings = {
                name: each[owner == index] if name == several else each[index] for name, each in found.items()
            }
        return samples


def name_of_several(found: dict, owner) -> str | None:
    return 'text' if owner is not None and 'text' in found else None
