"""Keys of earlier batches and soft targets for `Contrastive` (MoCo, https://arxiv.org/abs/1911.05722; ALBEF,
https://arxiv.org/abs/2107.07651; BLIP, https://arxiv.org/abs/2201.12086)."""

import zlib
from collections.abc import Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...registry import MODELS
from ..states import States
from .contrastive import Keys, Targets, gather


@MODELS.register_module()
class Temperature(nn.Module):
    """1 over a learned temperature (BLIP); `LogitScale` learns the logarithm.

    Args:
        start: of the temperature.
        least, most: it is kept between them, before each step.
    """

    def __init__(self, start: float = 0.07, least: float = 0.001, most: float = 0.5):
        super().__init__()
        self.range = (least, most)
        self.temperature = nn.Parameter(torch.tensor(float(start)))

    def forward(self) -> Tensor:
        if self.training:
            with torch.no_grad():
                self.temperature.clamp_(*self.range)
        return 1 / self.temperature


@MODELS.register_module()
class QueueKeys(Keys):
    """What the momentum copy makes of the batch of this process, then that of the last ``size`` items of all processes.

    Args:
        dims: channels of the embeddings.
        size: items kept; a multiple of the batch of all processes.
        names: the modalities.
        by_image: an item is right wherever its image is shown, in the batch or in the queue: an image has several
            texts (retrieval); its ids are those of the samples.

    Raises:
        ValueError: the size is no multiple of the batch.
    """

    uses = ('momentum',)
    tiny = dict(size=8)

    def __init__(
        self,
        dims: int = 256,
        size: int = 57600,
        names: Sequence[str] = ('image', 'text'),
        by_image: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        self.names, self.size, self.by_image = tuple(names), size, by_image
        for name in self.names:
            self.register_buffer(f'{name}_queue', F.normalize(torch.randn(size, dims), dim=-1))
        self.register_buffer('place', torch.zeros((), dtype=torch.long))
        if by_image:
            self.register_buffer('ids', torch.full((size,), -1))

    def forward(self, states: States, name: str) -> Tensor:
        return torch.cat([states.momentum.embedding(name), getattr(self, f'{name}_queue').clone()])

    def own(self, states: States, name: str) -> Tensor:
        if not self.by_image:
            return super().own(states, name)
        ids = image_ids(states)
        same = (ids[:, None] == torch.cat([ids, self.ids])[None]).float()
        return same / same.sum(1, keepdim=True)

    @torch.no_grad()
    def update(self, states: States):
        if not self.training:
            return
        start, step = int(self.place), 0
        for name in self.names:
            new = gather(states.momentum.embedding(name))
            step = len(new)
            if self.size % step:
                raise ValueError(
                    f'a queue of {self.size} is no multiple of the batch of {step} over all processes; write size='
                    f'{max(1, self.size // step) * step}'
                )
            getattr(self, f'{name}_queue')[start : start + step] = new
        if self.by_image:
            self.ids[start : start + step] = gather(image_ids(states))
        self.place.fill_((start + step) % self.size)


@MODELS.register_module()
class SoftTargets(Targets):
    """A share of what the momentum copy finds, the rest one's own:
    ``share * softmax(scale * q' k) + (1 - share) * own``.

    Args:
        share: at the end of the ramp; BLIP 0.4.
        ramp: steps over which it grows from 0; BLIP: those of two epochs, one in retrieval.
    """

    uses = ('momentum',)

    def __init__(self, share: float = 0.4, ramp: int = 0, init_cfg: dict | None = None):
        super().__init__(init_cfg)
        if not 0 <= share <= 1:
            raise ValueError(f'share={share} must lie between 0 and 1')
        self.share, self.ramp = share, ramp
        self.register_buffer('calls', torch.zeros((), dtype=torch.long))  # two a step, one for each direction

    def now(self) -> float:
        """The share in this step."""
        return self.share * min(1.0, int(self.calls) // 2 / self.ramp) if self.ramp else self.share

    @torch.no_grad()
    def forward(self, states: States, query: str, keys: Tensor, own: Tensor, scale: Tensor) -> Tensor:
        share = self.now()
        if self.training:
            self.calls += 1
        hard = F.one_hot(own, len(keys)).float() if own.ndim == 1 else own
        soft = (scale * states.momentum.embedding(query) @ keys.T).softmax(1)
        return share * soft + (1 - share) * hard


def image_ids(states: States) -> Tensor:
    """B: a number for each image; strings become one.

    Raises:
        ValueError: the samples do not say which image they are of.
    """
    device = next(iter(states.encoder.parameters())).device
    ids = [sample.get('img_id') for sample in states.samples]
    if not ids or None in ids:
        raise ValueError('samples without img_id: which texts are of the same image is not known')
    numbers = [one if isinstance(one, int) else zlib.crc32(str(one).encode()) for one in ids]
    return torch.tensor(numbers, device=device)
