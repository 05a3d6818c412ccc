"""Pictures under the names that MLflow's interface looks for in its grids and comparisons.

`mlflow.log_image` names files ``images/KEY+step+STEP+timestamp+MS+UUID.png`` and puts a small
WebP copy beside each; its UUID is random, so that a resend doubles the picture. Ours is a
function of run, epoch and name.
"""

import io
import uuid

from PIL import Image

from ssgan.records.rundir import Record

IMAGE_FOLDER = "images"
_THUMBNAIL = 256  # pixels of the longer side, as MLflow's own


def picture_names(run_id: str, record: Record, name: str) -> tuple[str, str]:
    """Name a picture and its small copy: the same key and step in every run line up.

    Args:
        run_id: The run's UUID, 32 hexadecimal digits.
        record: The epoch's record; its epoch is the step.
        name: Name of the picture, the key in MLflow.

    Returns:
        The PNG and the WebP, relative to the run's artifacts.
    """
    unique = uuid.uuid5(uuid.UUID(run_id), f"{record.epoch}/{name}")
    key = name.replace("/", "~")
    stem = f"{IMAGE_FOLDER}/{key}+step+{record.epoch}+timestamp+{record.timestamp_ms}+{unique}"
    return f"{stem}.png", f"{stem}+compressed.webp"


def thumbnail(png: bytes) -> bytes:
    """Scale a picture down to a WebP; or up, and then digits of 8 pixels stay crisp."""
    with Image.open(io.BytesIO(png)) as image:
        scale = _THUMBNAIL / max(image.size)
        size = (max(1, round(image.width * scale)), max(1, round(image.height * scale)))
        how = Image.Resampling.NEAREST if scale >= 1 else Image.Resampling.LANCZOS
        small = image.convert("RGB").resize(size, how)
    sink = io.BytesIO()
    small.save(sink, "WEBP", quality=90)
    return sink.getvalue()
