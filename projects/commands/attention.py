"""Draw where the decoder, the latents of a Perceiver, or the words of a text look: `mmparts attention IMAGE CONFIG
CHECKPOINT`."""

import argparse
import os
import os.path as osp

from ..options import Parser, add_common, add_device, device_of, share

MOST = 16  # objects that one picture has room for
KINDS = ('attention', 'gaussian', 'points', 'mask-attention', 'mask')  # those of visualization.attention


def parser() -> Parser:
    parser = Parser(
        description='For a detected object: the attention map of its query over the image (DETR), the Gaussian that it '
        'is multiplied by (SMCA-DETR), its sampling points coloured by attention weight (Deformable DETR, '
        'DINO), the attention that its mask is made of (Cell-DETR) or that stays within its mask '
        '(Mask2Former), or the mask that a layer predicts (Mask DINO); with the predicted box and mask '
        '(green), the reference point (cross) and, where there is one, the reference box (dashed). The '
        'last line says what the config offers. Of a Perceiver: what its latents look at in each cross-attend, over '
        'the single pixels; --query chooses a latent. Of a VisualBERT: how much of its attention each word of --text '
        'gives to each region of the image, over the boxes of the regions and as a matrix.'
    )
    parser.add_argument('image', help='path of an image')
    parser.add_argument('config', help='the config that the model was trained with')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    which = parser.add_mutually_exclusive_group()
    which.add_argument('--object', type=int, default=0, metavar='K', help='the K-th best detection, from 0 (default 0)')
    which.add_argument('--query', type=int, metavar='Q', help='a query, whether it detects anything or not')
    which.add_argument(
        '--score-thr', type=share, metavar='S', help=f'all detections from this score on, {MOST} at most'
    )
    parser.add_argument(
        '--layer',
        type=layer,
        default=-1,
        metavar='L',
        help='decoder layer, from 0; negative ones from the end (default: the last); of words on regions also "all", '
        'one below the other',
    )
    parser.add_argument(
        '--kind', choices=KINDS, help='what to draw (default: the first of these that the config offers)'
    )
    parser.add_argument('--heads', action='store_true', help='also each attention head on its own')
    words = parser.add_argument_group('words on regions (VisualBERT)')
    words.add_argument(
        '--text',
        nargs='+',
        default=[],
        metavar='TEXT',
        help='in quotes; of a model that chooses among several texts (VCR) all of them, the first is drawn',
    )
    words.add_argument(
        '--regions',
        metavar='DIR',
        help='what `mmparts data regions` has written of the folder of the image (default: as the config says)',
    )
    parser.add_argument('--out', default='attention.png', metavar='FILE', help='the picture (default: attention.png)')
    add_device(parser)
    add_common(parser)
    return parser


def layer(word: str) -> int | None:
    """A number; None of all."""
    return None if word == 'all' else int(word)


def main(args: argparse.Namespace) -> None:
    from ..engine import cli
    from ..inference.detector import Detector, Failure
    from ..visualization import read_rgb
    from ..visualization.attention_figure import Frame, draw_looks
    from ..visualization.latent_attention import latents_of
    from ..visualization.masked_attention import watch
    from ..visualization.word_attention import stream_of

    cfg = cli.prepare(args)
    inputs = {'image': args.image, 'checkpoint': args.checkpoint, 'config': args.config}
    cli.refuse_outputs({'--out': args.out}, inputs, cfg)
    cli.require_whole_model()
    path = cli.require_file(args.image, 'image')
    if args.regions:
        read_regions_from(args.regions, cfg, path)
    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), device_of(args))
    stream = stream_of(detector.model)
    if stream is not None:
        return draw_stream(detector, stream, path, args)
    if args.text or args.layer is None:
        given = '--text' if args.text else '--layer all'
        raise SystemExit(
            f'error: {given} is for models that read words and regions in one stream, as VisualBERT; this one is a '
            f'{type(detector.model).__name__}'
        )
    perceiver = latents_of(detector.model)
    if perceiver is not None:
        return draw_perceiver(detector, perceiver, path, args)
    try:
        with watch(detector.model, args.layer, args.kind) as watched:
            (result,) = detector([path])
        if isinstance(result, Failure):
            raise ValueError(f'{path}: {result.reason}')
        look = watched.look()
        objects = choose(look, watched.select, args)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from error

    figure = draw_looks(read_rgb(path), Frame.of(result), look, objects, detector.classes, args.heads)
    write(figure, args.out)
    print(f'{len(objects)} objects: {args.out} (--kind {watched.kind}; the config offers: {", ".join(watched.kinds)})')


def write(figure, path: str) -> None:
    """The picture, into a folder that need not be there."""
    from ..visualization.attention_figure import save_figure

    os.makedirs(osp.dirname(osp.abspath(path)), exist_ok=True)
    save_figure(figure, path)


def read_regions_from(folder: str, cfg, path: str) -> None:
    """Let the test pipeline take the regions of the image's folder from another one.

    Raises:
        SystemExit: it takes none.
    """
    from ..datasets.members import pipeline_of

    steps = [step for step in pipeline_of(cfg.test_dataloader.dataset) if 'LoadRegions' in str(step['type'])]
    if not steps:
        raise SystemExit(f'error: --regions {folder}: the test pipeline of the config reads no regions (LoadRegions)')
    for step in steps:
        step.update(folder=folder, images=osp.dirname(path))


def draw_stream(detector, stream, path: str, args: argparse.Namespace) -> None:
    """What each word looks at among the regions."""
    from ..inference.detector import Failure
    from ..structures import ItemRegions
    from ..visualization import read_rgb
    from ..visualization.word_attention import StreamWatch, draw_words, rows_of

    odd = [f'--{name.replace("_", "-")}' for name in ('query', 'score_thr', 'kind') if getattr(args, name) is not None]
    if odd or args.object:
        raise SystemExit(f'error: {", ".join(odd or ["--object"])}: words look at regions here; there are no queries')
    if not args.text:
        raise SystemExit('error: the model looks at an image together with a text; give one: --text "TEXT"')
    detector.texts = tuple(args.text)
    item = detector.prepare(path)
    if isinstance(item, Failure):
        raise SystemExit(f'error: {path}: {item.reason}')
    inputs = item['inputs']
    name, regions = next(((name, one) for name, one in inputs.items() if isinstance(one, ItemRegions)), (None, None))
    if regions is None or regions.boxes is None:
        raise SystemExit(f'error: the pipeline gives {", ".join(inputs)}; regions with boxes (LoadRegions) are needed')
    if isinstance(inputs.get(stream.text), str) and len(args.text) > 1:
        raise SystemExit(f'error: the model reads one text, these are {len(args.text)}; put it into quotes')
    try:
        with StreamWatch(stream, name) as watched:
            detector.predict_batch([item])
        looks = watched.looks(detector.model.tokenizer)
        rows = rows_of(looks, args.layer, args.heads)
    except ValueError as error:
        raise SystemExit(f'error: {error}') from error
    figure = draw_words(read_rgb(path), looks.words, rows, regions.boxes)
    write(figure, args.out)
    print(
        f'{len(looks.words)} words on {len(regions.boxes)} regions: {args.out} ({len(looks.layers)} layers of '
        f'{len(looks.layers[0])} heads)'
    )


def draw_perceiver(detector, perceiver, path: str, args: argparse.Namespace) -> None:
    """What its latents look at, layer by layer."""
    from ..inference.detector import Failure
    from ..visualization import read_rgb
    from ..visualization.latent_attention import LatentWatch, draw_latents

    with LatentWatch(perceiver) as watched:
        (result,) = detector([path])
    if isinstance(result, Failure):
        raise SystemExit(f'error: {path}: {result.reason}')
    looks = watched.looks()
    if args.query is not None and not 0 <= args.query < len(looks[0]):
        raise SystemExit(f'error: there is no latent {args.query}; the model has {len(looks[0])}')
    figure = draw_latents(read_rgb(path), looks, None if args.query is None else [args.query])
    write(figure, args.out)
    print(f'{len(looks)} cross-attends of {len(looks[0])} latents: {args.out}')


def choose(look, select, args: argparse.Namespace) -> list:
    """The objects (`Found`) of a `Look` that the arguments ask for; raises ValueError where there are none."""
    from ..visualization.attention import find

    if args.query is not None:
        if not 0 <= args.query < len(look.logits):
            raise ValueError(f'there is no query {args.query}; the model has {len(look.logits)}')
        return find(look, select, args.query)[:1]
    found = find(look, select)
    if args.score_thr is not None:
        chosen = [each for each in found if each.score >= args.score_thr][:MOST]
        if not chosen:
            raise ValueError(f'no detection reaches {args.score_thr}; the best has {found[0].score:.3f}')
        return chosen
    if not 0 <= args.object < len(found):
        raise ValueError(f'there is no detection {args.object}; the model reports {len(found)}')
    return [found[args.object]]
