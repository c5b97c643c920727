"""VQ-KD: the codebook by hand, on two processes as on one; the whole against timm's ViTs; codes for masked data."""

import math
import re
import socket

import parity
import pytest
import tiny
import torch
import torch.distributed as dist
import torch.nn.functional as F
from mmengine.config import Config
from mmengine.registry import DefaultScope
from token_numbers import VOCABULARY, Preprocessor, built, pairs
from torch import nn
from torch.multiprocessing import get_context

from mmparts.evaluation import CodeUsage
from mmparts.multimodal.beit3.checkpoint import Beit3Layout
from mmparts.multimodal.clip_layout import as_openai
from mmparts.multimodal.objectives.masked import MaskedData
from mmparts.multimodal.preprocessor import ImageInputs
from mmparts.multimodal.vqkd.checkpoint import VqkdLayout
from mmparts.multimodal.vqkd.codebook import CodeBook, kmeans
from mmparts.multimodal.vqkd.teacher import PatchTeacher
from mmparts.multimodal.vqkd.tokenizer import VqkdCodes
from mmparts.registry import MODELS, WEIGHT_LAYOUTS
from mmparts.weights.convert import account
from mmparts.weights.errors import WeightsDoNotFit

CODES, DIMS, WIDTH = 20, 6, 24
VIT = dict(
    type='mmparts.ViT',
    arch=dict(embed_dims=WIDTH, num_layers=2, num_heads=4),
    patch_size=8,
    image_size=32,
    biases=(True, False, True),
    start='beit',
)
TOKENIZER = dict(
    type='mmparts.VqkdCodes',
    encoder=VIT,
    codebook=dict(type='mmparts.CodeBook', num_codes=CODES, dims=DIMS, kmeans_steps=0),
)
CLIP_VIT = dict(
    type='mmparts.ViT',
    arch=dict(embed_dims=16, num_layers=1, num_heads=2),
    patch_size=8,
    image_size=32,
    gelu='quick',
    norm_eps=1e-5,
    pre_norm=True,
    patch_bias=False,
)
MODEL = dict(
    type='mmparts.VQKD',
    data_preprocessor=dict(type='ImgDataPreprocessor', mean=[127.5] * 3, std=[127.5] * 3, bgr_to_rgb=True),
    tokenizer=TOKENIZER,
    decoder=dict(VIT, patch_size=1, image_size=4),
    teacher=dict(type='mmparts.PatchTeacher', backbone=CLIP_VIT, out_dims=10, untrained=True),
)


def model_of(**changes) -> nn.Module:
    torch.manual_seed(0)
    return tiny.build({**MODEL, **changes})


def unit(*shape, seed=0):
    return F.normalize(torch.randn(*shape, generator=torch.Generator().manual_seed(seed)), dim=-1)


# The codebook


def test_the_nearest_code_is_that_of_the_smallest_distance():
    book = CodeBook(CODES, DIMS, kmeans_steps=0).eval()
    book.codes *= torch.linspace(0.7, 1.3, CODES)[:, None]  # it is not made unit again: the largest cosine is another
    features = unit(3, 50, DIMS)
    wanted = (features[..., None, :] - book.codes).square().sum(-1).argmin(-1)
    coded = book(features)
    assert torch.equal(coded.numbers, wanted) and coded.different is None
    assert not torch.equal(wanted, (features @ book.codes.T).argmax(-1))
    torch.testing.assert_close(coded.vectors, book.codes[wanted])
    torch.testing.assert_close(coded.loss, (features - book.codes[wanted]).square().mean())


def test_the_moving_average_by_hand():
    book = CodeBook(3, 2, decay=0.9, kmeans_steps=0).train()
    book.codes.copy_(torch.tensor([[1.0, 0.0], [0.0, 1.0], [-1.0, 0.0]]))
    book.usage.copy_(torch.tensor([5.0, 5.0, 5.0]))
    angles = torch.tensor([0.1, 0.3, 1.4])
    coded = book(torch.stack([angles.cos(), angles.sin()], -1))
    assert coded.numbers.tolist() == [0, 0, 1] and coded.different == 2
    torch.testing.assert_close(coded.vectors, torch.tensor([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]]))  # as before the step

    def moved(code, direction):
        x, y = 0.9 * code[0] + 0.1 * math.cos(direction), 0.9 * code[1] + 0.1 * math.sin(direction)
        return [x / math.hypot(x, y), y / math.hypot(x, y)]

    # The mean of two vectors of equal length points to the mean of their angles; the code of nothing stays.
    torch.testing.assert_close(book.codes, torch.tensor([moved((1, 0), 0.2), moved((0, 1), 1.4), [-1.0, 0.0]]))
    torch.testing.assert_close(book.usage, torch.tensor([4.7, 4.6, 4.5]))


def test_outside_of_training_the_book_stays():
    book = CodeBook(CODES, DIMS).eval()
    before = {name: each.clone() for name, each in book.state_dict().items()}
    book(unit(30, DIMS))
    assert all(torch.equal(each, before[name]) for name, each in book.state_dict().items())
    assert not list(book.parameters())


def test_gradients_go_straight_through():
    features, weights = unit(7, DIMS).requires_grad_(), torch.randn(7, DIMS)
    coded = CodeBook(CODES, DIMS, kmeans_steps=0).train()(features)
    (coded.vectors * weights).sum().backward()
    torch.testing.assert_close(features.grad, weights)
    features.grad = None
    coded.loss.backward()
    torch.testing.assert_close(features.grad, 2 * (features - coded.vectors).detach() / features.numel())


def test_kmeans_finds_directions():
    random = torch.Generator().manual_seed(3)
    centres = torch.eye(4, DIMS)
    near = F.normalize(centres.repeat(30, 1) + 0.05 * torch.randn(120, DIMS, generator=random), dim=-1)
    torch.manual_seed(1)
    found = kmeans(near, 4, 10)
    wanted = F.normalize(near.view(30, 4, DIMS).mean(0), dim=-1)
    order = (found @ wanted.T).argmax(0)
    assert order.unique().numel() == 4
    torch.testing.assert_close(found[order], wanted)
    assert kmeans(near[:2], 5, 3).isfinite().all()  # fewer features than codes

    book = CodeBook(4, DIMS, decay=1.0).train()
    torch.manual_seed(1)
    book(near)
    assert book.started
    torch.testing.assert_close(book.codes, found)
    book(unit(50, DIMS))  # not again
    torch.testing.assert_close(book.codes, found)


def steps(part: slice = slice(None)) -> dict[str, torch.Tensor]:
    """K-means and three steps of a book, over a part of each batch."""
    torch.manual_seed(5)
    book = CodeBook(CODES, DIMS).train()
    losses = torch.stack([book(unit(2, 60, DIMS, seed=seed)[part]).loss for seed in range(3)])
    return dict(losses=losses, codes=book.codes, usage=book.usage)


def worker(rank: int, port: int, queue):
    """One of two processes, with half of each batch."""
    dist.init_process_group('gloo', init_method=f'tcp://127.0.0.1:{port}', rank=rank, world_size=2)
    found = steps(slice(rank, rank + 1))
    dist.all_reduce(found['losses'])
    found['losses'] /= 2
    queue.put((rank, {name: each.tolist() for name, each in found.items()}))
    dist.destroy_process_group()


def test_two_processes_are_one_with_the_whole_batch():
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    context = get_context('fork')
    queue = context.Queue()
    workers = [context.Process(target=worker, args=(rank, port, queue)) for rank in range(2)]
    for each in workers:
        each.start()
    found = dict(queue.get(timeout=120) for _ in workers)
    for each in workers:
        each.join()
    for name, wanted in steps().items():
        for rank in range(2):
            torch.testing.assert_close(torch.tensor(found[rank][name]), wanted, atol=1e-5, rtol=1e-5, msg=name)


# The whole


class Reference(nn.Module):
    """The official modules under their names, of timm's BEiT and torch's layers."""

    def __init__(self, teacher_dims: int):
        super().__init__()
        kind = parity.reference('timm.models.beit').Beit
        common = dict(embed_dim=WIDTH, depth=2, num_heads=4, num_classes=0, global_pool='avg', init_values=None)
        self.encoder = kind(img_size=32, patch_size=8, **common)
        self.decoder = kind(img_size=4, patch_size=1, in_chans=DIMS, **common)
        for name, dims in (('encode', DIMS), ('decode', teacher_dims)):
            layers = nn.Sequential(nn.Linear(WIDTH, WIDTH), nn.Tanh(), nn.Linear(WIDTH, dims))
            self.add_module(f'{name}_task_layer', layers)
        self.quantize = nn.Module()
        self.quantize.embedding = nn.Embedding(CODES, DIMS)
        self.quantize.register_buffer('cluster_size', torch.arange(float(CODES)))
        self.quantize.embedding.register_buffer('initted', torch.ones(1))
        for parameter in self.parameters():
            nn.init.normal_(parameter, std=0.3)

    def forward(self, pixels):
        x = self.encoder.fc_norm(self.encoder.forward_features(2 * pixels - 1)[:, 1:])
        x = F.normalize(self.encode_task_layer(x), dim=-1)
        book = self.quantize.embedding.weight
        numbers = torch.cdist(x, book[None].expand(len(x), -1, -1)).argmin(-1)
        codes = book[numbers]
        vectors = codes.transpose(1, 2).unflatten(2, (4, 4))
        x = self.decoder.fc_norm(self.decoder.forward_features(vectors)[:, 1:])
        return numbers, self.decode_task_layer(x)


@pytest.fixture
def official() -> Reference:
    torch.manual_seed(3)
    return Reference(teacher_dims=10).eval()


def test_equals_the_official_arithmetic(official):
    state = dict(official.state_dict())
    extra = {
        f'{name}.conv1.weight': torch.zeros(1) for name in ('teacher_model.visual', 'scaling_layer')
    }  # files have them
    model = model_of().eval()
    made = account({**state, **extra}, model).check()
    assert made.layout == 'vqkd' and set(made.initialised) == {
        n for n in model.state_dict() if n.startswith('teacher.')
    }
    model.load_state_dict(made.state, strict=False)

    images = torch.rand(3, 3, 32, 32) * 2 - 1
    with torch.no_grad():
        numbers, told = official((images + 1) / 2)
        found = [sample.pred_tokens for sample in model(images, mode='predict')]
        ours = model(images, mode='tensor')
    assert len(numbers.unique()) > 3 and torch.equal(torch.stack(found).flatten(1), numbers)
    torch.testing.assert_close(ours.flatten(1, 2), told, atol=1e-4, rtol=1e-4)

    codes = VqkdCodes(VIT, TOKENIZER['codebook'], untrained=True)
    made = account(state, codes).check()
    codes.load_state_dict(made.state)
    assert codes.codebook.started and codes.codebook.usage.equal(torch.arange(float(CODES)))
    assert torch.equal(codes.numbers((images + 1) / 2).flatten(1), numbers)


def test_a_file_must_fit(official, tmp_path):
    state = dict(official.state_dict())
    assert [name for name, kind in WEIGHT_LAYOUTS.module_dict.items() if kind.matches(set(state))] == ['vqkd']
    less = {name: each for name, each in state.items() if name != 'encoder.blocks.1.attn.v_bias'}
    assert VqkdLayout.convert(less, model_of()).missing
    assert VqkdLayout.convert({**state, 'decoder.more': torch.zeros(1)}, model_of()).unexpected == ['decoder.more']
    larger = dict(TOKENIZER, encoder=dict(VIT, image_size=48))
    assert VqkdLayout.convert(state, model_of(tokenizer=larger)).state['tokenizer.encoder.position.grid'].shape[0] == 6
    torch.save(dict(model=state), tmp_path / 'official.pth')
    with pytest.raises(WeightsDoNotFit, match='code_dim=6.*code_dim=4'):
        VqkdCodes(VIT, dict(TOKENIZER['codebook'], dims=4), str(tmp_path / 'official.pth')).init_weights()


def test_counts():
    cfg = Config.fromfile(tiny.CONFIGS / 'vqkd' / 'vqkd_base-p16_8xb64-100e_imagenet.py')
    with torch.device('meta'), DefaultScope.overwrite_default_scope('mmdet'):
        model = MODELS.build(cfg.model)

    def vit(depth, width=768, patch=3 * 16 * 16, places=197):
        block = 2 * 2 * width + 4 * width**2 + 3 * width + 8 * width**2 + 5 * width  # no bias of keys
        return depth * block + patch * width + width + (places + 1) * width + 2 * width

    def layers(out, width=768):
        return width**2 + width + width * out + out

    def count(part):
        return sum(p.numel() for p in part.parameters())

    assert count(model.tokenizer) == vit(12) + layers(32) == 86_404_640
    assert count(model) - count(model.teacher) == 86_404_640 + vit(3, patch=32) + layers(512) == 108_829_216
    assert tuple(model.tokenizer.codebook.codes.shape) == (8192, 32)


def test_training_reaches_every_parameter_and_tells_the_teacher():
    model = model_of().train()
    assert not model.teacher.training and not any(p.requires_grad for p in model.teacher.parameters())
    images = torch.rand(4, 3, 32, 32) * 2 - 1
    optimizer = torch.optim.AdamW([p for p in model.parameters() if p.requires_grad], lr=3e-3)
    before = model.tokenizer.codebook.codes.clone()
    found = []
    for _ in range(25):
        losses = model(images, mode='loss')
        optimizer.zero_grad()
        (losses['loss_features'] + losses['loss_commitment']).backward()
        assert not tiny.without_gradient(model)
        optimizer.step()
        found.append(losses['loss_features'].item())
    assert found[-1] < 0.6 * found[0] and not torch.equal(before, model.tokenizer.codebook.codes)

    model.eval()
    with torch.no_grad():
        asked, told = model.teacher((images + 1) / 2), model(images, mode='tensor')
        cosine = (asked * told).sum(-1) / asked.norm(dim=-1) / told.norm(dim=-1)
        losses = model(images, mode='loss')
    torch.testing.assert_close(losses['loss_features'], 1 - cosine.mean())
    assert 'codes' not in losses


@pytest.mark.parametrize(
    ('changes', 'message'),
    [
        (dict(teacher=dict(type='mmparts.PatchTeacher', backbone=CLIP_VIT)), 'the teacher of VQ-KD has no weights'),
        (dict(decoder=dict(VIT, image_size=4)), 'the decoder has the stride 8'),
        (dict(tokenizer=dict(TOKENIZER, encoder=dict(VIT, patch_size=4))), 'a vector each 8 pixels, .* patches of 4'),
        (dict(data_preprocessor=dict(type='ImgDataPreprocessor')), 'images are BGR'),
    ],
)
def test_nonsense_is_refused_when_built(changes, message):
    with pytest.raises(ValueError, match=message):
        model_of(**changes)


# The teacher


def test_the_teacher_is_clip_patch_by_patch(tmp_path):
    parts = dict(
        towers=dict(
            image=dict(type='mmparts.ImageTower', backbone=dict(CLIP_VIT, out='tokens')),
            text=dict(type='mmparts.CausalTextTower', vocab_size=VOCABULARY, embed_dims=16, num_layers=1, num_heads=2),
        ),
        projections=dict(image=10, text=10),
        objectives=dict(contrastive=dict(type='mmparts.Contrastive')),
    )
    clip = built(**parts).eval()
    torch.save(dict(state_dict=clip.state_dict()), tmp_path / 'ours.pth')
    torch.save(as_openai(clip), tmp_path / 'openai.pth')
    pixels = torch.rand(2, 3, 32, 32)
    normed = (255 * pixels - ImageInputs().mean) / ImageInputs().std
    with torch.no_grad():
        wanted = clip.projections['image'](clip.towers['image'](normed).tokens[:, 1:])
    for name in ('ours', 'openai'):
        teacher = PatchTeacher(CLIP_VIT, 10, str(tmp_path / f'{name}.pth')).train()
        teacher.init_weights()
        torch.testing.assert_close(teacher(pixels).flatten(1, 2), wanted)
    wider = dict(CLIP_VIT, arch=dict(embed_dims=32, num_layers=1, num_heads=2))
    with pytest.raises(WeightsDoNotFit, match='its image tower is another than this ViT'):
        PatchTeacher(wider, 10, str(tmp_path / 'ours.pth')).init_weights()


# Codes for masked data


def masked(codes: dict, **inputs) -> nn.Module:
    arch = dict(embed_dims=24, num_layers=2, num_heads=4, mlp_dims=48)
    given = Preprocessor()
    given.inputs['image'] = ImageInputs(mean=(100, 120, 140), std=(50, 60, 70), **inputs)
    return built(
        data_preprocessor=given,
        towers=dict(
            image=dict(type='mmparts.PatchTower', arch=arch, patch_size=8),
            text=dict(type='mmparts.WordTower', arch=arch, vocab_size=VOCABULARY),
        ),
        fusion=dict(type='mmparts.MultiwayFusion', arch=arch, image_size=32, patch_size=8, max_length=40),
        objectives=dict(masked=dict(type='mmparts.MaskedData', codes=codes)),
    )


def test_masked_data_tells_the_frozen_codes(tmp_path):
    trained = model_of()
    trained.tokenizer.codebook.started.fill_(True)
    torch.save(dict(state_dict=trained.state_dict()), tmp_path / 'own.pth')
    model = masked(dict(TOKENIZER, checkpoint=str(tmp_path / 'own.pth'))).train()
    objective: MaskedData = model.objectives['masked']
    objective.codes.init_weights()
    assert objective.patch_head.out_features == CODES and not objective.codes.training

    inputs, samples = pairs()
    pixels = torch.rand(4, 3, 32, 32)
    mean, std = (torch.tensor(each).view(3, 1, 1) for each in ((100.0, 120.0, 140.0), (50.0, 60.0, 70.0)))
    inputs['image'] = (255 * pixels - mean) / std
    wanted = trained.eval().tokenizer.numbers(pixels).flatten(1)
    assert torch.equal(objective.codes(inputs['image']), wanted)

    before = {name: each.clone() for name, each in objective.codes.state_dict().items()}
    losses = model(inputs, samples, mode='loss')
    sum(value for name, value in losses.items() if 'loss' in name).backward()
    assert not [name for name, p in model.named_parameters() if p.requires_grad != (p.grad is not None)]
    assert all(torch.equal(each, before[name]) for name, each in objective.codes.state_dict().items())
    assert not any(p.requires_grad for p in objective.codes.parameters())

    # A published BEiT-3 holds no tokenizer, and may be loaded all the same.
    kept = Beit3Layout.fresh({'mim_head.weight': torch.zeros(1)}, model)
    names = [name for name in model.state_dict() if name.startswith('objectives.masked.codes.')]
    assert names and all(any(re.fullmatch(pattern, name) for pattern in kept) for name in names)


@pytest.mark.parametrize(
    ('codes', 'inputs', 'message'),
    [
        (TOKENIZER, {}, 'an untrained tokenizer mean nothing'),
        (dict(TOKENIZER, untrained=True), dict(bgr_to_rgb=False), 'reads RGB images'),
        (dict(type='mmparts.ColourCodes'), {}, 'ColourCodes are of patches of 16x16, the image tower has 8x8'),
    ],
)
def test_codes_that_do_not_go_are_refused_when_built(codes, inputs, message):
    with pytest.raises(ValueError, match=message):
        masked(codes, **inputs)


def test_usage_by_hand():
    metric = CodeUsage()
    metric.dataset_meta = None
    metric.process(
        {}, [dict(pred_tokens=torch.tensor([[3, 3], [3, 7]])), dict(pred_tokens=torch.tensor([[3, 3, 3, 7]]))]
    )
    entropy = -(0.75 * math.log(0.75) + 0.25 * math.log(0.25))
    assert metric.evaluate(2) == dict(codes=2, perplexity=round(math.exp(entropy), 2), most_frequent=75.0)
