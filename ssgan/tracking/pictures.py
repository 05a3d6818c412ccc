"""Pictures under the names that MLflow's interface looks for in its grids and comparisons.

`mlflow.log_image` names files ``images/KEY+step+STEP+timestamp+MS+UUID.png`` and puts a small
WebP copy beside each; its UUID is random, so that a resend doubles the picture. Ours is a
function of run, epoch and name.
"""

import io
import uuid
from typing import NamedTuple

from PIL import Image

from ssgan.rundir import Record

IMAGE_FOLDER = "images"
_THUMBNAIL = 256  # pixels of the longer side, as MLflow's own


class PictureFiles(NamedTuple):
    """One picture and its small copy, as files of a run's artifacts."""

    picture: str
    """Name of the PNG."""
    thumbnail: str
    """Name of the WebP."""
    png: bytes
    """Content of the PNG."""

    def thumbnail_bytes(self) -> bytes:
        """Scale the picture; digits of 8 pixels stay crisp when they are enlarged."""
        with Image.open(io.BytesIO(self.png)) as image:
            scale = _THUMBNAIL / max(image.size)
            size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
            how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
            small = image.convert("RGB").resize(size, how)
        sink = io.BytesIO()
        small.save(sink, "WEBP", quality=90)
        return sink.getvalue()


def picture_files(run_id: str, record: Record, name: str, png: bytes) -> PictureFiles:
    """Name the files of a picture: the same key and step in every run line up.

    Args:
        run_id: The run's UUID, 32 hexadecimal digits.
        record: The epoch's record; its epoch is the step.
        name: Name of the picture, the key in MLflow.
        png: Its bytes.
    """
    unique = uuid.uuid5(uuid.UUID(run_id), f"{record.epoch}/{name}")
    key = name.replace("/", "~")
    stem = f"{IMAGE_FOLDER}/{key}+step+{record.epoch}+timestamp+{record.timestamp_ms}+{unique}"
    return PictureFiles(f"{stem}.png", f"{stem}+compressed.webp", png)
