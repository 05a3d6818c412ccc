"""Pictures in memory, as files hold them."""

import io

from PIL import Image


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Return the content of a picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()
