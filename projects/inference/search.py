"""Search in a folder of images by a text or by an image: an index of embeddings, and a page of results."""

import base64
import html
import io
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from PIL import Image

from ..datasets.unlabelled import SUFFIXES
from ..visualization import pictures
from .detector import Detector, Failure

THUMB = 240  # longer side of an image on the page, in pixels


@dataclass
class ImageIndex:
    """Images by their embeddings.

    Args:
        paths: relative to the folder.
        stamps: size and time of change of each file; an image that has others is embedded anew.
        vectors: N D, float32, of length 1.
        model: what made them; vectors of another model are not comparable.
    """

    paths: list[str]
    stamps: list[str]
    vectors: np.ndarray
    model: str

    def save(self, path: str | os.PathLike) -> None:
        """Plain arrays, whole or not at all."""
        part = Path(f'{path}.part')
        names = json.dumps(dict(paths=self.paths, stamps=self.stamps, model=self.model))
        with part.open('wb') as file:
            np.savez(file, vectors=self.vectors, names=np.frombuffer(names.encode(), np.uint8))
        part.replace(path)

    @classmethod
    def load(cls, path: str | os.PathLike) -> 'ImageIndex':
        """
        Raises:
            ValueError: the file is no index.
        """
        try:
            with np.load(path, allow_pickle=False) as file:
                names = json.loads(file['names'].tobytes().decode())
                return cls(names['paths'], names['stamps'], file['vectors'], names['model'])
        except (OSError, KeyError, ValueError) as error:
            raise ValueError(f'{path} is no index of images: {type(error).__name__}: {error}') from error

    def best(self, query: np.ndarray, top: int) -> list[tuple[str, float]]:
        """Paths and cosines of the nearest images of a vector D, best first."""
        scores = self.vectors @ query
        return [(self.paths[index], float(scores[index])) for index in np.argsort(-scores, kind='stable')[:top]]


def images_in(folder: str | os.PathLike) -> list[str]:
    """Images of a folder and of those in it, relative to it, by name.

    Raises:
        FileNotFoundError: there is none.
    """
    root = Path(folder)
    if not root.is_dir():
        raise FileNotFoundError(f'no folder at {root}')
    found = sorted(str(path.relative_to(root)) for path in root.rglob('*') if path.name.lower().endswith(SUFFIXES))
    if not found:
        raise FileNotFoundError(f'no image ({", ".join(SUFFIXES)}) in {root} or below')
    return found


def stamp(path: Path) -> str:
    seen = path.stat()
    return f'{seen.st_size}-{seen.st_mtime_ns}'


def build(
    detector: Detector, folder: str, model: str, known: ImageIndex | None = None, batch_size: int = 16
) -> tuple[ImageIndex, list[Failure]]:
    """The index of a folder; images that ``known`` has unchanged, of the same model, are taken from it."""
    paths = images_in(folder)
    stamps = [stamp(Path(folder, path)) for path in paths]
    kept = {}
    if known is not None and known.model == model:
        kept = dict(zip(zip(known.paths, known.stamps), known.vectors))
    fresh = [path for path, each in zip(paths, stamps) if (path, each) not in kept]
    failures = []
    results = detector([str(Path(folder, path)) for path in fresh], batch_size)
    for path, result in zip(fresh, results):
        if isinstance(result, Failure):
            failures.append(result)
        else:
            kept[path, stamps[paths.index(path)]] = image_vector(result)
    there = [(path, each) for path, each in zip(paths, stamps) if (path, each) in kept]
    if not there:
        raise ValueError(f'none of the {len(paths)} images of {folder} could be read: {failures[0].reason}')
    vectors = np.stack([kept[key] for key in there]).astype(np.float32)
    return ImageIndex([path for path, _ in there], [each for _, each in there], vectors, model), failures


def image_vector(sample) -> np.ndarray:
    """The embedding of a predicted image.

    Raises:
        ValueError: the model makes none.
    """
    found = sample.get('pred_embeddings') or {}
    if 'image' not in found:
        raise ValueError(
            'the model gives no embeddings of images; one of retrieval does: '
            "model.inference=dict(type='mmparts.Embeddings')"
        )
    return found['image'].float().numpy()


@torch.no_grad()
def text_vector(detector: Detector, text: str) -> np.ndarray:
    """The embedding of a text."""
    batch = detector.model.data_preprocessor(dict(inputs=[dict(text=text)]))
    return detector.model(batch['inputs'], mode='tensor')['text'][0].float().cpu().numpy()


def page(folder: str, query: str, results: Sequence[tuple[str, float]], image: str | None = None) -> str:
    """HTML that holds its images, small: the query, and the results with their cosines."""
    shown = f'<img src="{thumbnail(Path(image))}">' if image else f'<q>{html.escape(query)}</q>'
    figures = '\n'.join(
        f'<figure><img src="{thumbnail(Path(folder, path))}"><figcaption>{score:.3f} '
        f'<a href="{html.escape(Path(folder, path).absolute().as_uri())}">{html.escape(path)}</a></figcaption></figure>'
        for path, score in results
    )
    return f"""<!doctype html>
<meta charset="utf-8">
<title>{html.escape(query)}</title>
<style>
  body {{ font-family: sans-serif; margin: 2em; background: #fafafa }}
  main {{ display: flex; flex-wrap: wrap; gap: 1em }}
  figure {{ margin: 0; width: {THUMB}px }}
  img {{ max-width: {THUMB}px; max-height: {THUMB}px }}
  figcaption {{ font-size: small; overflow-wrap: anywhere }}
</style>
<h1>{shown}</h1>
<main>
{figures}
</main>
"""


def picture(folder: str, results: Sequence[tuple[str, float]], columns: int = 6) -> Image.Image:
    """The results as a grid, each under its cosine and name."""
    cells = [
        pictures.page([(f'{score:.3f} {path}', pictures.enlarge(pictures.read_rgb(str(Path(folder, path)))))])
        for path, score in results
    ]
    return pictures.sheet(cells, columns, cell_width=THUMB)


def thumbnail(path: Path) -> str:
    """An image as a data URL, no larger than THUMB."""
    buffer = io.BytesIO()
    with Image.open(path) as image:
        small = image.convert('RGB')
        small.thumbnail((THUMB, THUMB))
        small.save(buffer, 'JPEG', quality=85)
    return 'data:image/jpeg;base64,' + base64.b64encode(buffer.getvalue()).decode()
