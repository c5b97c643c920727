"""Denoising contrast: from the tokens that a student sees, a light decoder makes features of those it does not; each
must be nearer to what the teacher made of that token than to all others of the batch.

Paper: https://arxiv.org/abs/2305.11172, section 3.2. Code: OFA-Sys/ONE-PEACE. The teacher is the model itself on the
whole input, without gradient. What differs from the code: the decoder looks at no padding.
"""

from collections.abc import Mapping, Sequence

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from ...layers.multiway import Multiway
from ...layers.position import resize_grid
from ...registry import MODELS, build_part
from ..roles import Objective
from ..states import State, States
from .encoder import ORDER, kept, seen, shared_blocks, through
from .masking import PatchMasking, SpanMasking, TextMasking

DECODER = dict(embed_dims=768, num_layers=2, num_heads=12, mlp_dims=2048)
ALONE = dict(
    text=dict(type=TextMasking, share=0.15),
    image=dict(type=PatchMasking, share=0.75),
    audio=dict(type=SpanMasking, share=0.55),
)
BESIDE = dict(
    text=dict(type=TextMasking, share=0.4),
    image=dict(type=PatchMasking, share=0.6875),
    audio=dict(type=SpanMasking, share=0.45),
)


class MaskDecoder(nn.Module):
    """Fills the places of what was not seen with a mask token, and makes features of all places.

    Args:
        joint_dims: channels of the encoder.
        experts: modalities.
        rows: modality -> places it knows; the image's are a square grid behind a class token.
    """

    def __init__(self, joint_dims: int, experts: Sequence[str], rows: Mapping[str, int], arch: Mapping = DECODER):
        super().__init__()
        dims = arch['embed_dims']
        self.embed = Multiway(lambda: nn.Linear(joint_dims, dims), experts)
        self.mask_tokens = nn.ParameterDict({name: nn.Parameter(torch.zeros(dims)) for name in experts})
        self.places = nn.ParameterDict({name: nn.Parameter(torch.empty(rows[name], dims)) for name in experts})
        self.blocks = shared_blocks(arch, experts, None)
        self.norm = Multiway(lambda: nn.LayerNorm(dims), experts)
        self.head = Multiway(lambda: nn.Linear(dims, joint_dims), experts)
        for table in (*self.mask_tokens.values(), *self.places.values()):
            nn.init.trunc_normal_(table, std=0.02)

    def forward(
        self, parts: Mapping[str, tuple[Tensor, Tensor, Tensor, State]], sizes: Mapping = {}
    ) -> dict[str, Tensor]:
        """Modality -> features of tokens that were seen, B K C, their numbers B K, which of them are no padding B K,
        and the whole state of N tokens -> modality -> B N C. ``sizes``: rows and
        columns of maps."""
        filled = {name: self.filled(*part, name=name, size=sizes.get(name)) for name, part in parts.items()}
        x = torch.cat([state.tokens for state in filled.values()], 1)
        x = through(self.blocks, self.norm, x, filled, kept(filled), None)
        spans = [(name, state.tokens.shape[1]) for name, state in filled.items()]
        x = self.head(x, spans)
        return dict(zip(filled, x.split([count for _, count in spans], 1)))

    def filled(self, tokens: Tensor, index: Tensor, left: Tensor, whole: State, name: str, size) -> State:
        """Tokens at their numbers, mask tokens elsewhere, all with their places."""
        batch, count = whole.tokens.shape[:2]
        tokens = self.embed[name](tokens)
        x = self.mask_tokens[name].to(tokens.dtype).expand(batch, count, -1)
        index = index.masked_fill(~left, count)  # padding goes into a place behind the last, which is cut off
        x = F.pad(x, (0, 0, 0, 1)).scatter(1, index[..., None].expand_as(tokens), tokens)[:, :count]
        return State(x + self.placed(name, count, size), whole.keep)

    def placed(self, name: str, count: int, size: Sequence[int] | None) -> Tensor:
        """N C."""
        table = self.places[name]
        if size is not None:
            side = round((len(table) - 1) ** 0.5)
            grid = resize_grid(table[1:].unflatten(0, (side, side)), size)
            table = torch.cat([table[:1], grid.flatten(0, 1)])
        if count > len(table):
            raise ValueError(f'{count} tokens of {name}; the decoder knows {len(table)} places')
        return table[:count]


@MODELS.register_module()
class DenoisingContrast(Objective):
    """
    Args:
        kinds: what is denoised -> the weight of its loss. 'image': a modality, seen alone (intra-modal);
            'text+image:image': two, seen together (cross-modal), and behind the colon that which is told.
        masks: modality -> its masking where it is seen alone; :data:`ALONE`.
        masks_beside: the same beside another one; :data:`BESIDE`.
        teachers: kind -> that whose teacher it has, where it is not its own. Stage two: sound alone learns from sound
            beside its text.
        decoder: see :data:`DECODER`.
        rows: modality -> places that the decoder knows.
        scale: of the cosines.
        label_smoothing: mass that is spread over all other tokens.

    The losses: ``loss_KIND`` for each, weighted; ``KIND_accuracy`` is the share of tokens that are told right.
    """

    uses = ('shared attention',)
    tiny = dict(decoder=dict(embed_dims=32, num_layers=1, num_heads=2, mlp_dims=64))

    def __init__(
        self,
        kinds: Mapping[str, float] = {'image': 1.0, 'text': 0.5, 'text+image:text': 0.5, 'text+image:image': 0.5},
        masks: Mapping[str, dict] = ALONE,
        masks_beside: Mapping[str, dict] = BESIDE,
        teachers: Mapping[str, str] = {},
        decoder: Mapping = DECODER,
        rows: Mapping[str, int] = dict(image=257, text=514, audio=1026),
        joint_dims: int | None = None,
        scale: float = 2.5,
        label_smoothing: float = 0.1,
        weight: float = 1.0,
        init_cfg: dict | None = None,
    ):
        super().__init__(weight, init_cfg)
        self.kinds, self.teachers = dict(kinds), dict(teachers)
        self.told = {kind: told(kind) for kind in kinds}
        named = {name for kind in kinds for name in modalities(kind)}
        self.needs = tuple(name for name in ORDER if name in named)
        for kind, teacher in self.teachers.items():
            if kind not in kinds or self.told[kind] not in modalities(teacher):
                raise ValueError(f'teachers={self.teachers}: {teacher!r} tells nothing to {kind!r}')
        self.alone = nn.ModuleDict({name: build_part(masks[name]) for name in self.needs})
        self.beside = nn.ModuleDict({name: build_part(masks_beside[name]) for name in self.needs})
        self.decoder = MaskDecoder(joint_dims or 1, self.needs, rows, decoder)
        self.scale, self.label_smoothing = scale, label_smoothing

    def forward(self, states: States) -> dict[str, Tensor]:
        said, passes, hidden = {}, {}, {}
        for kind, weight in self.kinds.items():
            names, name = modalities(kind), self.told[kind]
            if names not in passes:
                passes[names] = self.student(states, names, hidden)
            features, masks = passes[names]
            teacher, keep = self.teacher(states, self.teachers.get(kind, kind), name)
            loss, right = denoise(features[name], teacher, masks[name], keep, self.scale, self.label_smoothing)
            word = kind.replace('+', '_').replace(':', '_')
            said[f'loss_{word}'], said[f'{word}_accuracy'] = weight * loss, right
        return said

    def student(self, states: States, names: tuple[str, ...], hidden: dict) -> tuple[dict, dict]:
        """Features of all places, and which were hidden, by modality; ``hidden`` keeps those of modalities alone."""
        whole = {name: states.tower(name) for name in names}
        masks = {name: self.mask(states, name, whole[name], len(names) > 1, hidden) for name in names}
        parts, index = {}, {}
        for name, state in whole.items():
            parts[name], index[name] = seen(state, masks[name])
        joint = states.encoder.fusion.run(parts)
        given = {
            name: (joint.tokens[:, joint.parts[name]], index[name], parts[name].keep, whole[name]) for name in names
        }
        towers = states.encoder.towers
        sizes = {name: towers[name].grid(states.inputs[name]) for name in names if hasattr(towers[name], 'grid')}
        return self.decoder(given, sizes), masks

    def mask(self, states: States, name: str, whole: State, beside: bool, hidden: dict) -> Tensor:
        if name not in hidden:
            hidden[name] = self.alone[name](whole, states.inputs[name])
        return self.beside[name](whole, states.inputs[name], hidden[name]) if beside else hidden[name]

    def teacher(self, states: States, kind: str, name: str) -> tuple[Tensor, Tensor]:
        """What the model makes of the whole input, B N C without gradient, and B N: tokens that are candidates."""
        names = modalities(kind)
        state = states.joint(*names)
        part = state.parts[name] if len(names) > 1 else slice(None)
        tokens = state.tokens[:, part].detach()
        keep = states.tower(name).keep
        keep = torch.ones(tokens.shape[:2], dtype=torch.bool, device=tokens.device) if keep is None else keep.clone()
        keep[:, 0] = False
        return tokens, keep


def modalities(kind: str) -> tuple[str, ...]:
    """Of a kind, in the order of the encoder."""
    names = kind.partition(':')[0].split('+')
    strange = [name for name in names if name not in ORDER]
    if strange or len(set(names)) != len(names):
        raise ValueError(f'kinds has {kind!r}; modalities are {", ".join(ORDER)}, two of them "text+image:image"')
    return tuple(name for name in ORDER if name in names)


def told(kind: str) -> str:
    """The modality whose tokens are told."""
    front, _, name = kind.partition(':')
    name = name or front
    if name not in modalities(kind):
        raise ValueError(f'kinds has {kind!r}; say which of the two is told, as in "text+image:image"')
    return name


def denoise(student: Tensor, teacher: Tensor, hidden: Tensor, keep: Tensor, scale: float, smoothing: float):
    """Loss and accuracy of hidden tokens of B N C, told apart from all that ``keep`` says, of all samples."""
    student, teacher = F.normalize(student[hidden & keep].float(), dim=-1), F.normalize(teacher[keep].float(), dim=-1)
    if not len(student):
        return student.sum() * 0, student.new_zeros(())
    own = torch.full(keep.shape, -1, device=keep.device)
    own[keep] = torch.arange(int(keep.sum()), device=keep.device)
    own = own[hidden & keep]
    said = (scale * student @ teacher.T).log_softmax(-1)
    right = said.gather(1, own[:, None])[:, 0]
    others = (said.sum(-1) - right) / max(1, said.shape[1] - 1)
    loss = -((1 - smoothing) * right + smoothing * others).mean()
    return loss, (said.argmax(-1) == own).float().mean()
