"""BEiT-3's towers only embed; one Multiway transformer reads an image, a text, or both.

Paper: https://arxiv.org/abs/2208.10442. Code: microsoft/unilm (beit3) and microsoft/torchscale. What differs from the
paper: in the published models attention and norms, too, are those of a token's modality, and there are no experts of
pairs; ``shared_attention=True`` shares them as the paper says. What differs from the code: the modality of a token is
handed on, not written into the modules; positions follow the size of the image.
"""

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor, nn

from ...layers.multiway import Multiway, MultiwayBlock, Spans
from ...layers.patch import PatchEmbed
from ...layers.position import resize_grid
from ...layers.token_block import TokenBlocks
from ...registry import MODELS
from ..roles import Fusion, Tower
from ..states import State, States, Texts

ARCHS = {
    'base': dict(embed_dims=768, num_layers=12, num_heads=12),
    'large': dict(embed_dims=1024, num_layers=24, num_heads=16),
    'giant': dict(embed_dims=1408, num_layers=40, num_heads=16, mlp_dims=6144),  # (paper)
}
TINY = dict(embed_dims=32, num_layers=2, num_heads=2, mlp_dims=64)
SKIPPED = 2  # rows of the position tables that are never read; fairseq counts from there


def checked_arch(arch: str | dict) -> dict:
    """The entry of :data:`ARCHS`, or such a dict, with `mlp_dims`."""
    if isinstance(arch, str):
        if arch not in ARCHS:
            raise ValueError(f'arch={arch!r} is unknown; choose from {list(ARCHS)} or give a dict like {ARCHS["base"]}')
        arch = ARCHS[arch]
    return dict(mlp_dims=4 * arch['embed_dims']) | dict(arch)


@MODELS.register_module()
class PatchTower(Tower):
    """A class token and the patches of an image, embedded.

    Args:
        arch: of the whole model.
        norm_eps: unused by embeddings; of the model.
    """

    gives = ('mask token',)

    tiny = dict(arch=TINY)

    def __init__(
        self, arch: str | dict = 'base', patch_size: int = 16, in_channels: int = 3, init_cfg: dict | None = None
    ):
        super().__init__(init_cfg)
        self.embed_dims = checked_arch(arch)['embed_dims']
        self.patch_embed = PatchEmbed(in_channels, self.embed_dims, patch_size, pad=False)
        self.class_token = nn.Parameter(torch.zeros(self.embed_dims))
        self.mask_token = nn.Parameter(torch.zeros(self.embed_dims))

    def bind(self, model):
        """Without masks the mask token has no gradient, which processes that train together would wait for."""
        self.mask_token.requires_grad_(any('mask token' in part.uses for part in model.parts().values()))

    def grid(self, images: Tensor) -> tuple[int, int]:
        """Rows and columns of patches."""
        return tuple(side // patch for side, patch in zip(images.shape[2:], self.patch_embed.patch_size))

    def forward(self, batch: Tensor, hidden: Tensor | None = None) -> State:
        """B C H W -> 1 + N tokens; those of ``hidden``, B N bool, are the mask token."""
        tokens = self.patch_embed(batch).flatten(1, 2)
        if hidden is not None:
            tokens = torch.where(hidden[..., None], self.mask_token.to(tokens.dtype), tokens)
        first = self.class_token.to(tokens.dtype).expand(len(tokens), 1, -1)
        return State(torch.cat([first, tokens], 1))


@MODELS.register_module()
class WordTower(Tower):
    """Words, embedded."""

    tiny = dict(arch=TINY)

    def __init__(self, vocab_size: int = 64010, arch: str | dict = 'base', init_cfg: dict | None = None):
        super().__init__(init_cfg)
        self.embed_dims = checked_arch(arch)['embed_dims']
        self.words = nn.Embedding(vocab_size, self.embed_dims)
        nn.init.normal_(self.words.weight, std=self.embed_dims**-0.5)

    def forward(self, batch: Texts) -> State:
        return State(self.words(batch.ids), batch.keep)


@MODELS.register_module()
class MultiwayFusion(Fusion):
    """Positions and Multiway blocks over the tokens of one or several modalities, image first.

    Args:
        arch: 'base', 'large', 'giant', or a dict of `embed_dims, num_layers, num_heads` and, if not four times as many
            channels, `mlp_dims`.
        image_size, patch_size: that the image positions were learned on.
        max_length: rows of the text positions.
        experts: modalities with modules of their own; a model for images alone names one.
        shared_attention: see :class:`MultiwayBlock`.
        final_norm: the last norm; VQA and ImageNet have none.

    Raises:
        ValueError: a text longer than the table.
    """

    gives = ('joint', 'alone')
    alone = True
    tiny = dict(arch=TINY)

    def __init__(
        self,
        arch: str | dict = 'base',
        image_size: int = 224,
        patch_size: int = 16,
        max_length: int = 1024,
        experts: Sequence[str] = ('image', 'text'),
        shared_attention: bool = False,
        final_norm: bool = True,
        drop_path: float = 0.0,
        with_cp: bool = False,
        init_cfg: dict | None = None,
    ):
        super().__init__(init_cfg)
        arch = checked_arch(arch)
        dims = self.embed_dims = self.pooled_dims = arch['embed_dims']
        self.experts = tuple(experts)
        side = image_size // patch_size
        rows = dict(image=SKIPPED + 1 + side * side, text=max_length)
        self.positions = nn.ParameterDict({name: nn.Parameter(torch.empty(rows[name], dims)) for name in experts})
        self.blocks = TokenBlocks(
            arch['num_layers'],
            dims,
            arch['num_heads'],
            arch['mlp_dims'],
            self.experts,
            make=MultiwayBlock,
            shared_attention=shared_attention,
            drop_path=drop_path,
            with_cp=with_cp,
        )
        self.norm = Multiway(lambda: nn.LayerNorm(dims), experts) if final_norm else None
        self.apply(init_linear)
        for table in self.positions.values():
            nn.init.trunc_normal_(table, std=0.02)

    def forward(self, states: States, names: Sequence[str]) -> State:
        order = [name for name in self.experts if name in names]
        parts = [states.tower(name) for name in order]
        if states.inputs.get('text') is not None and 'text' in order and 'image' in order:
            parts = of_owners(order, parts, states.inputs['text'].owner)
        return self.run(dict(zip(order, parts)), sizes=self.sizes(states))

    def layer_id(self, name: str) -> int:
        """How deep a parameter lies: positions 0, a block its number from 1, the last norm behind them."""
        first, _, rest = name.partition('.')
        if first == 'blocks':
            return int(rest.split('.')[0]) + 1
        return 0 if first == 'positions' else len(self.blocks) + 1

    def sizes(self, states: States) -> Mapping[str, tuple[int, int]]:
        """Rows and columns of the image's patches."""
        image = states.inputs.get('image')
        return {} if not isinstance(image, Tensor) else dict(image=states.encoder.towers['image'].grid(image))

    def run(self, parts: Mapping[str, State], bias: Tensor | None = None, sizes: Mapping = {}, past=None) -> State:
        """Embedded tokens by modality through all blocks.

        Args:
            bias: who sees whom, see :func:`attend`; padding is hidden anyway.
            sizes: of the image's map.
            past: a `KeyValues` for each block.
        """
        spans = [(name, part.tokens.shape[1]) for name, part in parts.items()]
        x = torch.cat([part.tokens + self.places(name, part.tokens, sizes) for name, part in parts.items()], 1)
        keep = kept(parts)
        if keep is not None:
            x = x * keep[..., None].to(x.dtype)
            bias = keep[:, None, None] if bias is None else bias & keep[:, None, None]
        x = self.through(x, spans, bias, past)
        ends, start = {}, 0
        for name, count in spans:
            ends[name], start = slice(start, start + count), start + count
        return State(x, keep, x[:, 0], ends)

    def through(self, x: Tensor, spans: Spans, bias: Tensor | None, past=None) -> Tensor:
        """The blocks and the last norm."""
        for index, block in enumerate(self.blocks):
            kept = {} if past is None else dict(past=past[index])
            x = self.blocks.run(block, x, spans, bias=bias, **kept)
        return x if self.norm is None else self.norm(x, spans)

    def places(self, name: str, tokens: Tensor, sizes: Mapping, start: int = 0) -> Tensor:
        """N C: the positions of N tokens from ``start``."""
        table, count = self.positions[name][SKIPPED:], tokens.shape[1]
        if name == 'image' and len(table) != count:
            side = round((len(table) - 1) ** 0.5)
            grid = resize_grid(table[1:].unflatten(0, (side, side)), sizes['image'])
            table = torch.cat([table[:1], grid.flatten(0, 1)])
        if start + count > len(table):
            raise ValueError(f'{start + count} tokens of {name}; this model knows {len(table)} places')
        return table[start : start + count]


def kept(parts: Mapping[str, State]) -> Tensor | None:
    """B N of several states together; None where nothing is padding."""
    if all(part.keep is None or bool(part.keep.all()) for part in parts.values()):
        return None
    masks = [
        torch.ones(part.tokens.shape[:2], dtype=torch.bool, device=part.tokens.device)
        if part.keep is None
        else part.keep.bool()
        for part in parts.values()
    ]
    return torch.cat(masks, 1)


def of_owners(order: Sequence[str], parts: Sequence[State], owner: Tensor | None) -> list[State]:
    """Every state but the text's repeated for each text of its item."""
    if owner is None:
        return list(parts)
    return [part if name == 'text' else repeated(part, owner) for name, part in zip(order, parts)]


def repeated(state: State, owner: Tensor) -> State:
    """The rows of a state that `owner` numbers."""
    keep = None if state.keep is None else state.keep[owner]
    return State(state.tokens[owner], keep, bias=state.bias)


def init_linear(module: nn.Module):
    """As the published fine-tuning code: narrow normal weights, no biases."""
    if isinstance(module, nn.Linear):
        nn.init.trunc_normal_(module.weight, std=0.02)
        if module.bias is not None:
            nn.init.zeros_(module.bias)
