"""Encoded images (PNG, JPEG ...): decoded, brought to one shape, and read a chunk at a time."""

import io
import math
import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from itertools import islice
from typing import Annotated, Literal, NamedTuple, Self

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


def _rising(levels: tuple[float, float]) -> tuple[float, float]:
    if levels[0] >= levels[1]:
        raise ValueError(f"levels are (black, white) with black < white; got {levels}")
    return levels


Levels = Annotated[tuple[float, float], AfterValidator(_rising)]
"""The values of a deep gray picture that become black (0) and white (255)."""


class FramingConfig(Config):
    """How pictures of any size become images of one shape."""

    crop: Crop | None = None
    """Part of each picture that is kept, in fractions of its frame; null keeps the whole."""
    size: Size | None = None
    """Height and width of the images in pixels; null keeps the pictures' own size."""
    resize: Literal["none", "squash", "crop", "pad"] = "none"
    """What to do with pictures that are not square before they are scaled to `size`: refuse
    them, squash them, cut out the central square, or pad them with black to a square."""
    channels: Literal[1, 3] | None = None
    """1 for gray, 3 for RGB, to which pictures are converted; null for 1 where all are gray."""
    levels: Levels | None = None
    """Black and white of deep gray pictures (16 or 32 bits, or fractions), for example
    ``[0, 4095]``; null for the lowest and highest value in the whole set."""
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
        rule = f"crop {self.crop}, size {self.size}, resize {self.resize}, {self.channels} channels"
        if self.levels is None:
            return rule
        black, white = self.levels
        return f"{rule}, deep gray from {black:g} (black) to {white:g} (white)"

    def fitted(self, gray: bool, deep: Iterable["Picture"]) -> Self:
        """Settle what pictures decide: their channels, and the levels of the `deep` ones.

        Args:
            gray: Whether all pictures are gray.
            deep: Pictures of which some are deep gray; none are read where `levels` is set.
        """
        channels = self.channels or (1 if gray else 3)
        levels = self.levels or _measure_levels(deep)
        return self.model_copy(update={"channels": channels, "levels": levels})

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


def is_deep(picture: Image.Image) -> bool:
    """Whether a picture's gray values have more than 8 bits, or fractions."""
    return picture.mode.startswith(("I", "F"))


def is_gray(picture: Image.Image) -> bool:
    """Whether a picture has gray values only, by its mode."""
    return picture.mode in ("1", "L", "LA", "La") or is_deep(picture)


def decode(encoded: bytes, channels: int, levels: Levels | None = None) -> Image.Image:
    """Decode a picture's file content, turn it upright, convert it to gray (1) or RGB (3).

    Args:
        encoded: The content of the file.
        channels: 1 or 3.
        levels: The values of a deep gray picture that become black and white.

    Raises:
        Unreadable: The content is not a picture, or only part of one.
        BadInput: It is deep gray, and there are no levels.
    """
    try:
        with Image.open(io.BytesIO(encoded)) as picture:
            picture.load()
            upright = ImageOps.exif_transpose(picture)
            return _with_channels(_shallow(upright, levels), channels)
    except BadInput:
        raise
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


def _shallow(picture: Image.Image, levels: Levels | None) -> Image.Image:
    """Bring deep gray values to 8 bits; Pillow would clip them at 255 when it converts.

    Levels of 0 and 65535 keep the upper 8 of 16 bits.
    """
    if not is_deep(picture):
        return picture
    if levels is None:
        raise BadInput(
            "its gray values have more than 8 bits, unlike those of the pictures before it; say "
            "which of them are black and white, for example data.source.levels=[0,65535]"
        )
    black, white = levels
    values = np.asarray(picture).astype(np.float64)
    if not np.isfinite(values).all():
        raise Unreadable("some of its values are not finite")
    scaled = np.floor((values - black) * 256 / (white - black))
    return Image.fromarray(scaled.clip(0, 255).astype(np.uint8))


def _measure_levels(pictures: Iterable["Picture"]) -> Levels | None:
    """Return the lowest and highest value of deep gray pictures; None where none is deep."""
    low, high = math.inf, -math.inf
    for picture in pictures:
        try:
            with Image.open(io.BytesIO(picture.read())) as opened:
                if is_deep(opened):
                    values = np.asarray(opened).astype(np.float64)
                    if np.isfinite(values).all():
                        low = min(low, float(values.min()))
                        high = max(high, float(values.max()))
        except Exception:  # whatever Pillow raises, the picture is left out when it is decoded
            continue
    if low > high:
        return None
    return low, high if high > low else low + 1


def _with_channels(picture: Image.Image, channels: int) -> Image.Image:
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

    def open(self) -> io.BytesIO:
        """Return the encoded content as a file."""
        return io.BytesIO(self.read())


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
    """How pictures become images of `shape`; `FramingConfig.fitted` to them."""
    provenance: Mapping[str, str]
    failed: list[str] = field(default_factory=list)
    """Pictures that could not be read so far; grows while splits are read."""

    @property
    def broken(self) -> tuple[str, ...]:
        """Pictures that could not be read so far."""
        return tuple(sorted(set(self.failed)))

    def splits(self) -> dict[str, Iterable[Chunk]]:
        """Return the chunks of each split."""
        return {split: self._chunks(split) for split in self.counts}

    def decoded(self, split: str, rows: int) -> Iterator[list[tuple[Picture, Images | None]]]:
        """Decode the pictures of a split, so many at a time; None for those that cannot be read.

        Raises:
            BadInput: One does not fit, or cannot be read where the framing is `strict`.
        """
        pending = iter(self.pictures(split))
        # Pillow decodes without the interpreter lock, so threads use the cores.
        with ThreadPoolExecutor(min(8, os.cpu_count() or 1)) as decoders:
            while pictures := list(islice(pending, rows)):
                yield list(zip(pictures, decoders.map(self._decode, pictures), strict=True))

    def _chunks(self, split: str) -> Iterator[Chunk]:
        for decoded in self.decoded(split, CHUNK_ROWS):
            images, rows = [], []
            for picture, image in decoded:
                if image is not None:
                    images.append(image)
                    rows.append(picture.row)
            if images:
                yield np.stack(images), self.labels[rows]

    def _decode(self, picture: Picture) -> Images | None:
        try:
            framing = self.framing
            image = framing.frame(decode(picture.read(), self.shape[0], framing.levels))
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
