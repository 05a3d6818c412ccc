"""Encoded images (PNG, JPEG ...): decoded, brought to one shape, and read a chunk at a time."""

import io
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Literal, NamedTuple

import numpy as np
from PIL import ExifTags, Image, ImageOps
from pydantic import AfterValidator, Field, model_validator

from ssgan.base.config import Config
from ssgan.base.errors import BadInput
from ssgan.data.sources.base import CHUNK_ROWS, Chunk, Images, Labels
from ssgan.method.codes import Code


class Unreadable(ValueError):
    """The content of a file is not a picture, or only part of one."""


def _ordered(box: tuple[float, float, float, float]) -> tuple[float, float, float, float]:
    left, top, right, bottom = box
    if not (0 <= left < right <= 1 and 0 <= top < bottom <= 1):
        raise ValueError(
            "a crop is (left, top, right, bottom) in fractions of the frame from 0 to 1, with "
            f"left < right and top < bottom; got {box}"
        )
    return box


Size = Annotated[int, Field(ge=4, le=1024)]
"""Height and width of square images in pixels, 4 to 1024."""

Crop = Annotated[tuple[float, float, float, float], AfterValidator(_ordered)]
"""Left, top, right and bottom as fractions of the frame, from the upper left corner."""


class FramingConfig(Config):
    """How pictures of any size become images of one shape."""

    crop: Crop | None = None
    """Part of each picture that is kept, in fractions of its frame; null keeps the whole."""
    size: Size | None = None
    """Height and width of the images in pixels; null keeps the pictures' own size."""
    resize: Literal["none", "squash", "crop", "pad"] = "none"
    """What to do with pictures that are not square before they are scaled to `size`: refuse
    them, squash them, cut out the central square, or pad them with black to a square."""
    channels: Literal[1, 3] = 3
    """1 for gray, 3 for RGB; pictures are converted."""
    strict: bool = False
    """Whether a picture that cannot be read is an error; otherwise it is left out and listed."""

    @model_validator(mode="after")
    def _check_framing(self) -> "FramingConfig":
        if self.resize != "none" and self.size is None:
            raise ValueError(f"resize: {self.resize} needs a size, for example size: 32")
        return self

    @property
    def rule(self) -> str:
        """Say in a few words how pictures are framed, for the record."""
        return f"crop {self.crop}, size {self.size}, resize {self.resize}, {self.channels} channels"

    def framed(self, width: int, height: int) -> tuple[int, int]:
        """Return the width and height that a picture of this size gets.

        Raises:
            BadInput: The picture is not square, and `resize` says not what to do.
        """
        if self.crop is not None:
            left, top, right, bottom = _pixels(self.crop, width, height)
            width, height = right - left, bottom - top
        if self.size is None:
            return width, height
        if self.resize == "none" and width != height:
            raise BadInput(
                f"a picture of {width}x{height} is not square and cannot become "
                f"{self.size}x{self.size} without a rule; add data.source.resize=crop (central "
                "square), pad (black bars) or squash"
            )
        return self.size, self.size

    def frame(self, picture: Image.Image) -> Images:
        """Crop, square and scale one picture.

        Returns:
            uint8 (channels, H, W).

        Raises:
            BadInput: As `framed`.
        """
        target = self.framed(*picture.size)
        if self.crop is not None:
            picture = picture.crop(_pixels(self.crop, *picture.size))
        if self.resize == "crop":
            picture = ImageOps.fit(picture, target, Image.Resampling.BICUBIC)
        elif self.resize == "pad":
            picture = ImageOps.pad(picture, target, Image.Resampling.BICUBIC)
        elif picture.size != target:
            picture = picture.resize(target, Image.Resampling.BICUBIC)
        return _to_array(picture)


def measure(picture: Image.Image) -> tuple[int, int]:
    """Return a picture's upright width and height; reads no more than its header."""
    width, height = picture.size
    if picture.format == "PNG" and "exif" not in picture.info:
        return width, height  # getexif would decode all pixels to look behind them
    sideways = picture.getexif().get(ExifTags.Base.Orientation) in range(5, 9)
    return (height, width) if sideways else (width, height)


def decode(encoded: bytes, channels: int) -> Image.Image:
    """Decode a picture's file content, turn it upright, convert it to gray (1) or RGB (3).

    Raises:
        Unreadable: The content is not a picture, or only part of one.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            picture.load()
            return _with_channels(ImageOps.exif_transpose(picture), channels)
    except Exception as error:
        # Pillow's decoders raise almost anything on damaged content.
        raise Unreadable(f"{type(error).__name__}: {error}") from error


def resize_all(images: Images, size: int) -> Images:
    """Resize decoded images, uint8 (N, C, H, W), to (N, C, size, size); bicubic, antialiased."""
    if images.shape[2:] == (size, size):
        return images
    resized = np.empty((*images.shape[:2], size, size), dtype=np.uint8)
    for row, image in enumerate(images):
        pixels = image[0] if len(image) == 1 else image.transpose(1, 2, 0)
        picture = Image.fromarray(np.ascontiguousarray(pixels))
        resized[row] = _to_array(picture.resize((size, size), Image.Resampling.BICUBIC))
    return resized


def _with_channels(picture: Image.Image, channels: int) -> Image.Image:
    if picture.mode.startswith("I;16"):
        # Pillow clips 16-bit gray at 255 when it converts; keep the upper eight bits instead.
        picture = Image.fromarray((np.asarray(picture) >> 8).astype(np.uint8))
    if "A" in picture.getbands() or "transparency" in picture.info:
        picture = picture.convert("RGBA")
        ground = Image.new("RGBA", picture.size, "white")
        picture = Image.alpha_composite(ground, picture)
    return picture.convert("L" if channels == 1 else "RGB")


def _pixels(box: Crop, width: int, height: int) -> tuple[int, int, int, int]:
    left, top, right, bottom = box
    x, y = min(round(left * width), width - 1), min(round(top * height), height - 1)
    return x, y, max(x + 1, round(right * width)), max(y + 1, round(bottom * height))


def _to_array(picture: Image.Image) -> Images:
    pixels = np.asarray(picture)
    return pixels[None] if pixels.ndim == 2 else pixels.transpose(2, 0, 1)


class Picture(NamedTuple):
    """One picture that is still encoded."""

    name: str
    """Its file, or its place in a table, for messages."""
    row: int
    """Its row in the source's labels."""
    read: Callable[[], bytes]
    """Reads its encoded content."""


@dataclass(frozen=True)
class EncodedSource:
    """Encoded pictures and their labels; a `Source`."""

    name: str
    shape: tuple[int, int, int]
    columns: tuple[Code, ...]
    labels: Labels
    """float32 (N, K), by `Picture.row`."""
    counts: Mapping[str, int]
    pictures: Callable[[str], Iterable[Picture]]
    """Starts reading the pictures of a split."""
    framing: FramingConfig
    """How pictures become images of `shape`."""
    provenance: Mapping[str, str]
    failed: list[str] = field(default_factory=list)
    """Pictures that could not be read so far; grows while splits are read."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Pictures that could not be read so far."""
        return tuple(sorted(self.failed))

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return the chunks of each split."""
        return {split: self._chunks(split) for split in self.counts}

    def _chunks(self, split: str) -> Iterator[Chunk]:
        pending = iter(self.pictures(split))
        # Pillow decodes without the interpreter lock, so threads use the cores.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as decoders:
            while pictures := list(islice(pending, CHUNK_ROWS)):
                images, rows = [], []
                for picture, image in zip(
                    pictures, decoders.map(self._decode, pictures), strict=True
                ):
                    if image is not None:
                        images.append(image)
                        rows.append(picture.row)
                if images:
                    yield np.stack(images), self.labels[rows]

    def _decode(self, picture: Picture) -> Images | None:
        try:
            image = self.framing.frame(decode(picture.read(), self.framing.channels))
        except (Unreadable, OSError) as error:
            if self.framing.strict:
                raise BadInput(
                    f"{picture.name} cannot be read ({error}); repair or remove it, or leave "
                    "data.source.strict off to continue without it"
                ) from error
            self.failed.append(picture.name)
            return None
        except BadInput as error:
            raise BadInput(f"{picture.name}: {error}") from None
        if image.shape != self.shape:
            _, height, width = image.shape
            raise BadInput(
                f"{picture.name} is {width}x{height} where the first picture is "
                f"{self.shape[2]}x{self.shape[1]}; add data.source.size=32 and "
                "data.source.resize=crop, pad or squash"
            )
        return image
