"""The contrastive objective: by hand, several processes as one, its parts, its scale."""

import json
import math
import socket
import subprocess
import sys

import pytest
import torch
import torch.distributed as dist
import torch.nn.functional as F
from torch import nn

from mmparts.multimodal.objectives.contrastive import (
    BatchKeys,
    Contrastive,
    EqualTextKeys,
    LogitScale,
    OwnPair,
    gather,
    text_numbers,
)
from mmparts.multimodal.states import States, Texts

BATCH, DIMS = 6, 5


class Encoder(nn.Module):
    """Two linear maps as an encoder; what it is given is encoded already."""

    alone, fusion, momentum = False, None, None

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.image, self.text = nn.Linear(4, DIMS).double(), nn.Linear(4, DIMS).double()

    @property
    def towers(self):
        return dict(image=lambda x: x, text=lambda x: x)

    def project(self, name, state):
        return getattr(self, name)(state)


def inputs(part: slice = slice(None)) -> dict:
    random = torch.Generator().manual_seed(1)
    made = {name: torch.randn(BATCH, 4, generator=random, dtype=torch.float64) for name in ('image', 'text')}
    return {name: each[part] for name, each in made.items()}


def step(part: slice = slice(None), **objective) -> tuple[float, dict[str, torch.Tensor]]:
    """Loss and gradients; embeddings stay in double precision, so that 1e-6 is of the arithmetic."""
    encoder, contrastive = Encoder(), Contrastive(**objective).double()
    states = States(encoder, inputs(part))
    states._embeddings = {n: F.normalize(encoder.project(n, states[n]), dim=-1) for n in ('image', 'text')}
    losses = contrastive(states)
    losses['loss'].backward()
    named = [*encoder.named_parameters(), *contrastive.named_parameters()]
    return losses['loss'].item(), {name: parameter.grad for name, parameter in named}


def test_by_hand():
    encoder, made = Encoder(), inputs()
    image, text = (F.normalize(getattr(encoder, name)(made[name]), dim=-1) for name in ('image', 'text'))
    logits = (image @ text.T / 0.07).exp()
    rows = -(logits.diag() / logits.sum(1)).log().mean()
    columns = -(logits.diag() / logits.sum(0)).log().mean()
    assert step()[0] == pytest.approx(((rows + columns) / 2).item(), abs=1e-6)


def worker(rank: int, port: int):
    """One of two processes: prints what the first one finds."""
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    size = BATCH // 2
    loss, gradients = step(slice(rank * size, (rank + 1) * size))
    total = torch.tensor(loss, dtype=torch.float64)
    for each in (total, *gradients.values()):  # as DDP and the log do
        dist.all_reduce(each)
        each /= 2
    if rank == 0:
        print(json.dumps([total.item(), {name: each.tolist() for name, each in gradients.items()}]))
    dist.destroy_process_group()


def test_two_processes_are_one_with_the_whole_batch():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    run = [sys.executable, __file__]
    workers = [subprocess.Popen([*run, str(rank), str(port)], stdout=subprocess.PIPE, text=True) for rank in range(2)]
    found = [each.communicate(timeout=100)[0] for each in workers]
    loss, gradients = json.loads(found[0].splitlines()[-1])
    wanted_loss, wanted = step()
    assert loss == pytest.approx(wanted_loss, abs=1e-6)
    assert gradients.keys() == wanted.keys()
    for name, each in wanted.items():
        torch.testing.assert_close(torch.tensor(gradients[name], dtype=torch.float64), each, atol=1e-6, rtol=1e-6)


def test_the_scale_stays_within_its_range_and_can_come_back():
    scale = LogitScale(most=100.0).train()
    with torch.no_grad():
        scale.log_scale.fill_(6.0)
    value = scale()
    assert value.item() == pytest.approx(100.0)
    value.backward()
    assert scale.log_scale.grad > 0  # an upward push is undone, a downward one is not
    assert LogitScale()().item() == pytest.approx(1 / 0.07)
    with torch.no_grad():
        scale.log_scale.fill_(6.0)
    assert scale.eval()().item() == pytest.approx(math.exp(6.0))


def test_label_smoothing_is_that_of_torch():
    encoder, made = Encoder(), inputs()
    image, text = (F.normalize(getattr(encoder, name)(made[name]), dim=-1) for name in ('image', 'text'))
    logits, own = image @ text.T / 0.07, torch.arange(BATCH)
    both = [F.cross_entropy(each, own, label_smoothing=0.1) for each in (logits, logits.T)]
    assert step(label_smoothing=0.1)[0] == pytest.approx((sum(both) / 2).item(), abs=1e-6)


def test_equal_texts_are_right_in_equal_shares():
    """However long the padding of each is."""
    ids = torch.tensor([[2, 5, 3, 0], [2, 6, 3, 0], [2, 5, 3, 0], [2, 5, 5, 3]])
    texts = Texts(ids, torch.tensor([[1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 0], [1, 1, 1, 1]]).bool())
    states = States(Encoder(), dict(text=texts))
    own = EqualTextKeys().own(states, 'image')
    assert own.tolist() == [[0.5, 0, 0.5, 0], [0, 1, 0, 0], [0.5, 0, 0.5, 0], [0, 0, 0, 1]]
    short = Texts(ids[:3, :3], texts.keep[:3, :3])
    assert text_numbers(short).tolist() == text_numbers(texts).tolist()[:3]

    states._embeddings = {name: F.normalize(torch.randn(4, DIMS), dim=-1) for name in ('image', 'text')}
    losses = Contrastive(keys=dict(type=EqualTextKeys))(states)
    logits = states._embeddings['image'] @ states._embeddings['text'].T / 0.07
    wanted = -sum((own * each.log_softmax(1)).sum(1).mean() for each in (logits, logits.T)) / 2
    torch.testing.assert_close(losses['loss'], wanted)
    right = [(own.gather(1, each.argmax(1)[:, None]) > 0).float().mean() for each in (logits, logits.T)]
    assert float(losses['accuracy']) == pytest.approx(float(sum(right)) / 2)


def test_soft_targets_and_keys_with_a_queue_are_parts():
    """As BLIP has them: keys beyond the batch, shares instead of numbers, an update after the losses."""
    queue = F.normalize(torch.randn(7, DIMS, dtype=torch.float64), dim=-1)
    updated = []

    class WithQueue(BatchKeys):
        def forward(self, states, name):
            return torch.cat([super().forward(states, name), queue])

        def update(self, states):
            updated.append(sorted(states.inputs))

    class Soft(OwnPair):
        def forward(self, states, query, keys, own, scale):
            return 0.6 * F.one_hot(own, len(keys)).double() + 0.4 / len(keys)

    loss, _ = step(keys=dict(type=WithQueue), targets=dict(type=Soft))
    encoder, made = Encoder(), inputs()
    vectors = {name: F.normalize(getattr(encoder, name)(made[name]), dim=-1) for name in ('image', 'text')}
    wanted = 0
    for query, key in (('image', 'text'), ('text', 'image')):
        logits = vectors[query] @ torch.cat([vectors[key], queue]).T / 0.07
        shares = 0.6 * F.one_hot(torch.arange(BATCH), BATCH + 7).double() + 0.4 / (BATCH + 7)
        wanted = wanted - (shares * logits.log_softmax(-1)).sum(-1).mean() / 2
    assert loss == pytest.approx(wanted.item(), abs=1e-6) and updated == [['image', 'text']]


def test_batches_that_are_no_pairs_are_refused():
    states = States(Encoder(), dict(image=torch.randn(3, 4).double(), text=torch.randn(5, 4).double()))
    with pytest.raises(ValueError, match='3 of image and 5 of text in a batch'):
        Contrastive()(states)


def test_one_process_gathers_nothing():
    x = torch.randn(2, 3)
    assert gather(x) is x


if __name__ == '__main__':
    worker(*map(int, sys.argv[1:]))
