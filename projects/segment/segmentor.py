"""The segmentor: one class for images, volumes and spectral cubes; a paper is a choice of parts."""

from collections.abc import Mapping, Sequence

from mmengine.model import BaseModel, ModuleDict, ModuleList
from mmengine.structures import BaseDataElement, PixelData
from torch import Tensor

from ..layers.feature_spec import backbone_spec
from ..registry import MODELS, build_part
from .file_grid import RestoreVolume
from .heads import SoftmaxHead
from .inference import WholeInference, decided
from .restore import RestoreImage, enlarge
from .structures import split
from .supervision import DeepSupervision
from .terms import CrossEntropyTerm


@MODELS.register_module()
class Segmentor(BaseModel):
    """
    ::

        image -> encoder -> maps (fine to coarse) -> bottleneck -> maps -> decoder -> features -> head -> logits
                                                                      (coarse ones follow for deep supervision)

    Args:
        encoder: B C *size -> maps; any backbone of the registries: channels and strides are published or found out.
        decoder: maps -> features; without one the head reads the maps. A decoder whose class says ``takes_image`` gets
            the image before the maps; one that says ``takes_extras``, what parts before it gave beside maps.
        head: features -> logits, and what the truth and a prediction are.
        bottleneck: maps -> maps.
        terms: losses, see terms.py; each counts with its ``weight``.
        supervision: what the coarser logits count for.
        auxiliary: name -> a branch that reads the encoder's maps in training, as ``dict(fcn=dict(type='FCNBranch',
            weight=0.4))``; its losses are those of ``terms`` times its ``weight``.
        inference: whole or in tiles, see inference.py.
        restore: the grid of predictions, see restore.py; default: that of the file.
        num_classes, in_channels, dims: channels of the logits and of the image, axes of the image; written once here
            and handed to every part that takes them and does not set them itself.
        align_corners: how logits are enlarged to the image.
        keep_logits: False decides slab by slab and forgets the logits, so that memory does not grow with the volume's
            depth times the classes; decisions, not logits, are then brought to the grid of the file (nearest).

    ``mode='tensor'`` returns logits B K *size; ``'loss'`` a dict of losses; ``'predict'`` the samples with
    ``seg_logits`` (K *size) and ``pred_sem_seg`` (uint8).
    """

    task = 'segmentation'

    @staticmethod
    def tiny(cfg: dict) -> dict:
        return dict(in_channels=min(cfg.get('in_channels', 3), 16))  # fewer bands of a cube

    def __init__(
        self,
        encoder: dict,
        decoder: dict | None = None,
        head: dict = dict(type=SoftmaxHead),
        bottleneck: dict | None = None,
        terms: Sequence[dict] = (dict(type=CrossEntropyTerm),),
        supervision: dict = dict(type=DeepSupervision),
        auxiliary: Mapping[str, dict] | None = None,
        inference: dict = dict(type=WholeInference),
        restore: dict | None = None,
        num_classes: int | None = None,
        in_channels: int = 3,
        dims: int = 2,
        align_corners: bool = False,
        keep_logits: bool = True,
        data_preprocessor: dict | None = None,
        init_cfg: dict | None = None,
    ):
        super().__init__(data_preprocessor, init_cfg)
        self.dims, self.in_channels, self.align_corners = dims, in_channels, align_corners
        shared = dict(dims=dims, num_classes=num_classes)
        self.encoder = build_part(encoder, dims=dims, in_channels=in_channels)  # with classes Swin would classify
        spec = backbone_spec(self.encoder)
        branches = (auxiliary or {}).items()
        self.auxiliary = ModuleDict(
            {name: build_part(cfg, **shared, in_channels=spec.channels) for name, cfg in branches}
        )
        channels, strides = spec.channels, spec.strides
        self.bottleneck = bottleneck and build_part(bottleneck, **shared, in_channels=channels, strides=strides)
        channels = tuple(getattr(self.bottleneck, 'channels', channels))
        strides = tuple(getattr(self.bottleneck, 'strides', strides))
        self.decoder = decoder and build_part(
            decoder, **shared, in_channels=channels, strides=strides, image_channels=in_channels
        )
        self.head = build_part(head, **shared, in_channels=tuple(getattr(self.decoder, 'channels', channels[:1])))
        self.num_classes = self.head.num_classes
        shared = dict(num_classes=self.num_classes, activation=self.head.activation)
        self.terms = ModuleList(build_part(term, **shared) for term in terms)
        self.supervision = build_part(supervision)
        self.inference = build_part(inference, activation=self.head.activation)
        self.keep_logits = keep_logits
        if not keep_logits and not hasattr(self.inference, 'slabs'):
            raise ValueError(f'keep_logits=False: {type(self.inference).__name__} gives its logits as a whole only')
        self.restore = build_part(restore or dict(type=RestoreImage if dims == 2 else RestoreVolume))

    def forward(self, inputs: Tensor, data_samples: Sequence | None = None, mode: str = 'tensor'):
        if mode == 'loss':
            return self.loss(inputs, data_samples)
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        if mode == 'tensor':
            return self.logits(inputs)
        raise ValueError(f"mode={mode!r} is unknown; choose from 'tensor', 'loss', 'predict'")

    def outputs(self, images: Tensor) -> tuple[list[Tensor], dict[str, Tensor], dict]:
        """Logits, fine to coarse, the first as large as the image; logits of the auxiliary branches; extras."""
        self.check(images)
        extras = {}
        maps = split(self.encoder(images), extras)
        auxiliary = {name: branch(maps) for name, branch in self.auxiliary.items()} if self.training else {}

        if self.bottleneck is not None:
            maps = split(self.bottleneck(maps), extras)
        features = maps
        if self.decoder is not None:
            maps = [images, *maps] if getattr(self.decoder, 'takes_image', False) else maps
            given = (maps, extras) if getattr(self.decoder, 'takes_extras', False) else (maps,)
            features = split(self.decoder(*given), extras)
        first, *coarse = self.head(features)

        if not self.crops:
            first = first[(..., *map(slice, images.shape[2:]))]  # what the padding of patches added
            first = enlarge(first, images.shape[2:], self.align_corners)
        auxiliary = {name: enlarge(each, images.shape[2:], self.align_corners) for name, each in auxiliary.items()}
        return [first, *coarse], auxiliary, extras

    def logits(self, images: Tensor) -> Tensor:
        """B C *size -> B K *size (less of a net of valid convolutions)."""
        return self.outputs(images)[0][0]

    def loss(self, images: Tensor, samples: Sequence) -> dict[str, Tensor]:
        target = self.head.target(samples, images.shape[2:])
        logits, auxiliary, extras = self.outputs(images)
        losses = {}

        for index, (each, weight) in enumerate(zip(logits, self.supervision.weights(len(logits)))):
            sized = target.cropped(each.shape[2:]) if self.crops else target.resized(each.shape[2:])
            prefix = f'd{index}.' if index else ''
            for term in self.terms:
                if not index or term.every_scale:
                    losses[prefix + term.name] = weight * term.weight * term(each, sized, extras)

        for name, each in auxiliary.items():
            for term in self.terms:
                if term.every_scale:
                    losses[f'{name}.{term.name}'] = (
                        self.auxiliary[name].weight * term.weight * term(each, target, extras)
                    )
        return losses

    def predict(self, images: Tensor, samples: Sequence | None = None) -> list:
        """The samples with predictions, on the grid that ``restore`` says."""
        samples = [BaseDataElement() for _ in images] if samples is None else list(samples)
        if not self.keep_logits:
            for labels, sample in zip(decided(self.inference, images, self.logits, self.head.decode), samples):
                sample.pred_sem_seg = map_type(sample, self.dims)(data=self.restore.labels(labels, sample))
            return samples

        logits = self.inference(images, self.logits)
        for each, sample in zip(logits, samples):
            kept, labels = self.restore(each, sample, self.head.decode)
            wrap = map_type(sample, self.dims)
            sample.seg_logits, sample.pred_sem_seg = wrap(data=kept), wrap(data=labels)
        return samples

    def check(self, images: Tensor):
        """Refuse images of other axes or channels, and sizes that a part cannot take."""
        if images.ndim != self.dims + 2 or images.shape[1] != self.in_channels:
            raise ValueError(
                f'inputs of shape {tuple(images.shape)}; this segmentor takes B {self.in_channels} and {self.dims} axes'
            )
        for part in (self.encoder, self.bottleneck, self.decoder):
            check = getattr(part, 'check_size', None)
            if check is not None:
                check(tuple(images.shape[2:]))

    @property
    def class_numbers(self) -> tuple[int, ...] | None:
        """What the head makes regions of, see `mmparts.RegionHead`."""
        return getattr(self.head, 'class_numbers', None)

    @property
    def crops(self) -> bool:
        """Whether the net's output is the middle of its input (valid convolutions)."""
        return getattr(self.decoder, 'crops', False)


def map_type(sample, dims: int) -> type:
    """What holds a map in a sample: that of its truth, or what the libraries use for so many axes."""
    if 'gt_sem_seg' in sample:
        return type(sample.gt_sem_seg)
    return getattr(type(sample), 'map_type', PixelData if dims == 2 else BaseDataElement)
