"""Search a folder of images by a text or by an image: `mmparts search FOLDER CONFIG CHECKPOINT --text TEXT`."""

import argparse
import os.path as osp
from pathlib import Path

from ..options import Parser, add_common, add_device, device_of, whole

ERRORS = (ValueError, FileNotFoundError)
PICTURES = ('.jpg', '.jpeg', '.png')


def parser() -> Parser:
    parser = Parser(
        description='Embed the images of a folder once (an index, brought up to date at each call) and write a page of '
        'those nearest to a text or an image. Exit code 1 if an image could not be read.'
    )
    parser.add_argument('folder', help='the images, also in folders below it')
    parser.add_argument('config', help='of a model that embeds images and texts, as CLIP; it is Python code and is run')
    parser.add_argument('checkpoint', help='its weights (.pth)')
    query = parser.add_mutually_exclusive_group(required=True)
    query.add_argument('--text', help='what to look for')
    query.add_argument('--image', metavar='FILE', help='an image to look for the like of')
    parser.add_argument('--top', type=whole(1), default=24, help='results on the page (default 24)')
    parser.add_argument('--index', metavar='FILE', default='search_index.npz', help='default: search_index.npz')
    parser.add_argument(
        '--out', metavar='FILE', default='search.html', help='the page (default: search.html), or a .jpg or .png'
    )
    parser.add_argument('--batch-size', type=whole(1), default=16, help='images at a time (default 16)')
    add_device(parser)
    add_common(parser)
    return parser


def main(args: argparse.Namespace) -> int:
    from ..engine import cli
    from ..inference.detector import Detector
    from ..inference.search import ImageIndex, build, page, picture
    from ..visualization.pictures import save

    cfg = cli.prepare(args)
    inputs = {'config': args.config, 'checkpoint': args.checkpoint, 'image': args.image}
    cli.refuse_outputs({'--index': args.index, '--out': args.out}, inputs, cfg)
    cli.require_whole_model()
    detector = Detector(cfg, cli.require_file(args.checkpoint, 'checkpoint'), device_of(args))

    known = ImageIndex.load(args.index) if osp.exists(args.index) else None
    index, failures = build(detector, args.folder, name_of(args.checkpoint, cfg), known, args.batch_size)
    index.save(args.index)
    for failure in failures:
        print(f'{failure.path}: failed, {failure.reason}')

    results = index.best(vector_of(detector, args), args.top)
    said = args.text or osp.basename(args.image)
    if Path(args.out).suffix.lower() in PICTURES:
        save(picture(args.folder, results), args.out)
    else:
        Path(args.out).write_text(page(args.folder, said, results, args.image), encoding='utf-8')
    for path, score in results[:5]:
        print(f'{score:.3f} {path}')
    print(f'{len(index.paths)} images, the best {len(results)}: {args.out}')
    return 1 if failures else 0


def vector_of(detector, args: argparse.Namespace):
    """The embedding of what is looked for."""
    from ..inference.detector import Failure
    from ..inference.search import image_vector, text_vector

    if args.text is not None:
        return text_vector(detector, args.text)
    (found,) = detector([args.image])
    if isinstance(found, Failure):
        raise ValueError(f'{args.image}: {found.reason}')
    return image_vector(found)


def name_of(checkpoint: str, cfg) -> str:
    """What tells apart the models of which indexes are made."""
    import hashlib

    with open(checkpoint, 'rb') as file:
        return f'{hashlib.file_digest(file, "sha256").hexdigest()} {cfg.model}'
