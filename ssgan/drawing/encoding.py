"""Pictures as bytes: PNG files, and small WebP copies of them."""

import io

from PIL import Image
from PIL.PngImagePlugin import PngInfo

CELLS = "ssgan:cells"
"""Name of a PNG's text chunk that says where the cells of a sheet are."""


def png(image: Image.Image) -> bytes:
    """Encode a picture as PNG; a sheet with the places of its cells (`ssgan.drawing.sheet`)."""
    buffer, texts = io.BytesIO(), PngInfo()
    if CELLS in image.info:
        texts.add_text(CELLS, image.info[CELLS])
    image.save(buffer, format="PNG", optimize=True, pnginfo=texts)
    return buffer.getvalue()


def thumbnail(picture: bytes, side: int, quality: int, *, enlarge: bool = False) -> bytes:
    """Make a small WebP copy of a PNG, of at most `side` pixels on its longer side.

    The quality is WebP's, 0 to 100. A smaller picture may be enlarged, so that digits of 8 pixels
    stay crisp.
    """
    with Image.open(io.BytesIO(picture)) as image:
        small = image.convert("RGB")
    scale = side / max(small.size)
    if scale < 1 or enlarge:
        size = (max(1, round(small.width * scale)), max(1, round(small.height * scale)))
        resampling = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        small = small.resize(size, resampling)
    buffer = io.BytesIO()
    small.save(buffer, "WEBP", quality=quality)
    return buffer.getvalue()
