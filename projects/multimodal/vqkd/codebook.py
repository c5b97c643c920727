"""The codebook of VQ-KD: vectors of length 1 that follow the features nearest to them.

Paper: https://arxiv.org/abs/2208.06366, section 2.2. Code: microsoft/unilm, beit2/norm_ema_quantizer.py. What differs:
k-means at the start sees the features of all processes, not those of each alone; how often codes are used is counted
in training alone.
"""

from dataclasses import dataclass

import torch
import torch.nn.functional as F
from mmengine.dist import all_gather, all_reduce, broadcast
from mmengine.model import BaseModule
from torch import Tensor

from ...ops.kernels.precision import without_autocast
from ...registry import MODELS


@dataclass
class Coded:
    """Features as codes.

    Attributes:
        numbers: of the nearest codes, of the shape of the features without their channels.
        vectors: the codes themselves; their gradient goes to the features as it is (straight-through).
        loss: pulls the features to their codes.
        different: how many codes the features of all processes have; None outside of training.
    """

    numbers: Tensor
    vectors: Tensor
    loss: Tensor
    different: Tensor | None = None


@MODELS.register_module()
class CodeBook(BaseModule):
    """``book(features * D, of length 1) -> Coded``. In training the codes take a step after they were looked up.

    Args:
        num_codes, dims: rows and columns of the book.
        decay: share of itself that a code keeps in a step.
        commitment: factor of the loss.
        kmeans_steps: of the k-means that makes the codes of the first features in training; 0: they start at random.

    Attributes:
        codes: num_codes D, of length 1.
        usage: num_codes, a moving average of how often each is the nearest.
        started: whether the codes are those of features.

    >>> book = CodeBook(num_codes=4, dims=2)
    >>> features = F.normalize(torch.randn(3, 5, 2), dim=-1)
    >>> book(features).numbers.shape, bool(book.started)
    (torch.Size([3, 5]), True)
    """

    tiny = dict(num_codes=16, dims=8)

    def __init__(
        self,
        num_codes: int = 8192,
        dims: int = 32,
        decay: float = 0.99,
        commitment: float = 1.0,
        kmeans_steps: int = 10,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        if not 0 <= decay <= 1:
            raise ValueError(f'decay={decay} must lie between 0 and 1')
        self.dims, self.decay, self.commitment, self.kmeans_steps = dims, decay, commitment, kmeans_steps
        self.register_buffer('codes', F.normalize(torch.randn(num_codes, dims), dim=-1))
        self.register_buffer('usage', torch.zeros(num_codes))
        self.register_buffer('started', torch.tensor(not kmeans_steps))
        self.ready = False  # that it started, told without waiting for the device

    @property
    def num_codes(self) -> int:
        return len(self.codes)

    def forward(self, features: Tensor) -> Coded:
        with without_autocast(features):
            return self._coded(features.float())

    def _coded(self, features: Tensor) -> Coded:
        flat = features.flatten(0, -2)
        if self.training and not self.ready:
            if not self.started:
                self.start(flat.detach())
            self.ready = True
        numbers = nearest(flat, self.codes)
        codes = self.codes[numbers]

        loss = self.commitment * F.mse_loss(flat, codes)
        straight = flat + (codes - flat).detach()
        different = self.follow(flat.detach(), numbers) if self.training else None

        shape = features.shape[:-1]
        return Coded(numbers.view(shape), straight.view(features.shape), loss, different)

    @torch.no_grad()
    def follow(self, features: Tensor, numbers: Tensor) -> Tensor:
        """A step of the codes towards the mean direction of their features, N D of all processes; how many have any."""
        means, counts = mean_directions(features, numbers, self.num_codes)
        self.usage.lerp_(counts, 1 - self.decay)
        used = counts > 0
        moved = F.normalize(self.codes.lerp(means, 1 - self.decay), dim=-1)
        self.codes.copy_(torch.where(used[:, None], moved, self.codes))
        return used.sum()

    @torch.no_grad()
    def start(self, features: Tensor) -> None:
        """Codes by spherical k-means of the features of all processes, which share the work."""
        self.codes.copy_(kmeans(features, self.num_codes, self.kmeans_steps))
        self.started.fill_(True)


def nearest(features: Tensor, codes: Tensor) -> Tensor:
    """N: number of the code of the smallest squared distance, of N D and K D. A feature's own length, which is the same
    for all codes, is left out."""
    return (codes.square().sum(1) - 2 * features @ codes.T).argmin(1)


def mean_directions(features: Tensor, numbers: Tensor, num_codes: int) -> tuple[Tensor, Tensor]:
    """K D, the mean of the features of each code, of length 1 (0 where there is none), and K, how many they are; of all
    processes."""
    sums = features.new_zeros(num_codes, features.shape[1]).index_add_(0, numbers, features)
    counts = features.new_zeros(num_codes).index_add_(0, numbers, torch.ones_like(features[:, 0]))
    all_reduce(sums)
    all_reduce(counts)
    return F.normalize(sums, dim=-1), counts


def kmeans(features: Tensor, num_codes: int, steps: int) -> Tensor:
    """K D: spherical k-means (by cosine) of N D of every process. It starts from features drawn at random, some of them
    several times where they are fewer than codes; a code without features stays."""
    everything = torch.cat(all_gather(features))
    enough = len(everything) >= num_codes
    chosen = torch.randperm(len(everything)) if enough else torch.randint(len(everything), (num_codes,))
    codes = everything[chosen[:num_codes].to(features.device)].clone()
    broadcast(codes)  # what was drawn by the first process
    for _ in range(steps):
        means, counts = mean_directions(features, nearest(features, codes), num_codes)
        codes = torch.where(counts[:, None] > 0, means, codes)
    return codes
