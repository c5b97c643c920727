"""The images of a report, small and each once, up to a size that a mail takes."""

import base64
import io

from PIL import Image

WIDE = 560  # pixels
BUDGET = 3_200_000  # bytes of all images as text


class Album:
    """Images by key. What does not fit any more is left out: :meth:`add` says whether it is in.

    Args:
        budget: bytes that all of them may take.
    """

    def __init__(self, budget: int = BUDGET):
        self.left = budget
        self.images: dict[str, dict] = {}

    def __contains__(self, key: str) -> bool:
        return key in self.images

    def add(self, key: str, image: Image.Image, description: str, wide: int = WIDE) -> bool:
        """Keep an image, shrunk to ``wide`` pixels.

        Args:
            description: what it shows, for who cannot see it.
        """
        if key in self.images:
            return True
        return self.add_encoded(key, encoded(image, wide), description)

    def add_encoded(self, key: str, webp: bytes, description: str) -> bool:
        """Keep an image that is coded already."""
        source = 'data:image/webp;base64,' + base64.b64encode(webp).decode()
        if len(source) > self.left:
            return False
        with Image.open(io.BytesIO(webp)) as image:
            width, height = image.size
        self.left -= len(source)
        self.images[key] = dict(source=source, description=description, width=width, height=height)
        return True


def encoded(image: Image.Image, wide: int = WIDE) -> bytes:
    """An image as WebP, shrunk to ``wide`` pixels."""
    image = image.convert('RGB')
    image.thumbnail((wide, wide), Image.Resampling.LANCZOS)
    file = io.BytesIO()
    image.save(file, 'WEBP', quality=72, method=4)
    return file.getvalue()
