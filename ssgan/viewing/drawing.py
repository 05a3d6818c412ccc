"""One picture for the page: the codes that it asks for are checked, drawn, and read back."""

import base64
import math
import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import torch

from ssgan.base.errors import BadInput
from ssgan.export.code_values import to_column
from ssgan.export.generator import NamedGenerator
from ssgan.method.codes import Code, Latents

_MOST = 999  # index of an image of a seed


def draw_picture(generator: NamedGenerator, asked: Any) -> dict[str, Any]:
    """Draw the picture that `NamedGenerator.sample` draws for codes, a seed and an index.

    Args:
        generator: What draws.
        asked: ``c`` holds a number for each code, a class's index or a value in unit range;
            ``seed`` is a whole number in digits, ``index`` which image of the seed it is.

    Returns:
        ``pixels``, RGBA in base64, and ``readings``: what Q reads, a value for each code as in
        ``c``, with a confidence where it has one.

    Raises:
        BadInput: Something of it is missing, or cannot be.
    """
    if not isinstance(asked, Mapping):
        raise BadInput("a picture is asked for by c, seed and index")
    latents = _latents(generator, asked.get("c"), asked.get("seed"), asked.get("index"))
    image = generator.render(latents)
    values, confidences = (table[0].tolist() for table in generator.read_table(image))
    readings = [
        {"value": value, "confidence": None if math.isnan(sure) else sure}
        for value, sure in zip(values, confidences, strict=True)
    ]
    rgba = np.full((*image.shape[1:3], 4), 255, np.uint8)
    rgba[..., :3] = image[0]  # a gray image is broadcast
    return {"pixels": base64.b64encode(rgba.tobytes()).decode(), "readings": readings}


def _latents(generator: NamedGenerator, c: Any, seed: Any, index: Any) -> Latents:
    codes = generator.manifest.space.codes
    if not isinstance(c, list) or len(c) != len(codes):
        raise BadInput(f"c must hold {len(codes)} numbers, one for each code")
    for code, value in zip(codes, c, strict=True):
        _check(code, value)
    if not isinstance(seed, str) or not re.fullmatch(r"-?\d{1,100}", seed, re.ASCII):
        raise BadInput("seed must be a whole number, of up to 100 digits")
    if not _is_index(index, _MOST + 1):
        raise BadInput(f"index must be a whole number from 0 to {_MOST}")
    # The prior of the noise is that of an image with these classes.
    named = {
        code.name: code.classes[value] if code.is_categorical else None
        for code, value in zip(codes, c, strict=True)
    }
    noise = generator.draw(1, int(seed), codes=named, first=index).z
    return Latents(torch.tensor([c], dtype=torch.float32), noise)


def _check(code: Code, value: Any) -> None:
    """Refuse a class that is not there, and a value beyond the reach of a code."""
    if code.is_categorical:
        if not _is_index(value, code.size):
            raise BadInput(
                f"code {code.name!r} has the class indices 0 to {code.size - 1}, not {value!r}"
            )
        return
    if not isinstance(value, int | float) or isinstance(value, bool):
        raise BadInput(f"code {code.name!r} takes a number in unit range, not {value!r}")
    to_column(code, code.low + (value + 1) / 2 * (code.high - code.low), 1)


def _is_index(value: Any, count: int) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value < count
