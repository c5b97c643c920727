"""Write a trained model as ONNX or for torch.export: `mmparts export CONFIG CHECKPOINT`."""

import argparse
import os.path as osp

from ..options import Parser, add_common, whole

ERRORS = (ValueError, ImportError)
ENDINGS = dict(onnx='.onnx', torch='.pt2')


def parser() -> Parser:
    parser = Parser(
        description='Write a trained model as a file that runs without mmparts: ONNX, or a program of torch.export. '
        'Normalisation is inside: the input is an image as OpenCV reads it. The file is run at once, and how far it '
        'agrees with the model is printed.'
    )
    parser.add_argument('config', help='the config that the model was trained with; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    parser.add_argument('--format', choices=tuple(ENDINGS), default='onnx', help='default: onnx')
    parser.add_argument('--out', metavar='FILE', help='default: NAME_OF_CONFIG-HEIGHTxWIDTH.onnx or .pt2')
    parser.add_argument(
        '--size', nargs='+', type=whole(1), action='append', metavar='SIDE',
        help='height and width of the images (of volumes depth, height, width; default: what the test pipeline resizes '
        'to); again for one more file. A file refuses all other sizes',
    )  # fmt: skip
    parser.add_argument('--batch', type=whole(1), default=1, help='images at a time (default 1)')
    parser.add_argument(
        '--dynamic', nargs='+', choices=('batch', 'size'), default=[], help='what may vary; refused where a model '
        'computes with fixed numbers',
    )  # fmt: skip
    parser.add_argument(
        '--post', action='store_true', help='results instead of logits: boxes in pixels, scores, labels, best first'
    )
    parser.add_argument('--tower', metavar='NAME', help='of models of several modalities: image (default) or text')
    parser.add_argument('--fp16', action='store_true', help='ONNX weights in half precision')
    parser.add_argument('--opset', type=whole(17), default=18, help='of ONNX (default 18)')
    parser.add_argument('--images', nargs='+', metavar='FILE', help='to compare with (default: of the test set)')
    add_common(parser)
    return parser


def main(args: argparse.Namespace) -> None:
    from ..engine import cli
    from ..inference.detector import Detector
    from ..inference.export import Wanted, agree, export, inputs_of
    from ..inference.export.images import images_of_test

    cfg = cli.prepare(args)
    cli.require_whole_model()
    checkpoint = cli.require_file(args.checkpoint, 'checkpoint')
    model = Detector(cfg, checkpoint, 'cpu')
    if args.tower and not hasattr(model.model, 'towers'):
        raise ValueError(f'--tower {args.tower}: {type(model.model).__name__} has one modality; leave the option out')
    graph = model.task.graph(model.model, args.post, **(dict(tower=args.tower) if args.tower else {}))
    sizes = [tuple(size) for size in args.size or [model.task.size(cfg)]]
    paths = [path_for(args, size, len(sizes)) for size in sizes]
    inputs = {'checkpoint': checkpoint, **{f'image {image}': image for image in args.images or ()}}
    cli.refuse_outputs({f'--out {path}': path for path in paths}, inputs, cfg)
    for size, path in zip(sizes, paths):
        wanted = Wanted(size, args.batch, frozenset(args.dynamic), args.fp16, args.opset, model.classes or ())
        export(graph, path, wanted)
        print(f'{path}: {osp.getsize(path) / 2**20:.1f} MiB; {args.batch} x {" x ".join(map(str, size))}')
        for image in args.images or images_of_test(cfg) or [None]:
            print(f'  {image or "noise"}: {agree(graph, path, inputs_of(graph, image, size, args.batch))}')


def path_for(args: argparse.Namespace, size: tuple[int, ...], count: int) -> str:
    """Where the file of a size goes."""
    if args.out and count == 1:
        return args.out
    name = osp.splitext(osp.basename(args.config.partition('::')[2] or args.config))[0]
    return f'{osp.splitext(args.out or name)[0]}-{"x".join(map(str, size))}{ENDINGS[args.format]}'
