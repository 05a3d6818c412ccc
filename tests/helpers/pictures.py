"""Pictures in memory, as files hold them."""

import io
import math
import random
from pathlib import Path

from PIL import Image, ImageDraw


def encoded(picture: Image.Image, form: str = "PNG", **options: object) -> bytes:
    """Return the content of a picture's file."""
    buffer = io.BytesIO()
    picture.save(buffer, form, **options)
    return buffer.getvalue()


SHAPES = ("circle", "cross", "ring", "square", "triangle")


def draw_shape(kind: str, number: int, size: int = 48, mode: str = "L") -> Image.Image:
    """Draw a shape, white on black or colored; equal arguments draw equal pixels.

    `number` sets where it stands, how large and how far turned it is.
    """
    draw_from = random.Random(f"{kind} {number}")
    scale = 4  # drawn larger, so that edges are smooth
    middle = [size * scale * (0.5 + draw_from.uniform(-0.07, 0.07)) for _ in range(2)]
    radius = size * scale * draw_from.uniform(0.24, 0.36)
    turned = math.radians(draw_from.uniform(-12, 12))
    color = tuple(draw_from.randint(150, 255) for _ in range(3)) if mode == "RGB" else 255
    picture = Image.new(mode, (size * scale, size * scale))
    draw = ImageDraw.Draw(picture)

    def corner(angle: float, length: float = 1.0) -> tuple[float, float]:
        return (
            middle[0] + radius * length * math.sin(angle + turned),
            middle[1] - radius * length * math.cos(angle + turned),
        )

    box = [one + side * radius for side in (-1, 1) for one in middle]
    if kind == "circle":
        draw.ellipse(box, fill=color)
    elif kind == "ring":
        draw.ellipse(box, outline=color, width=size * scale // 12)
    elif kind == "cross":
        for angle in (0.0, math.pi / 2):
            ends = [corner(angle), corner(angle + math.pi)]
            draw.line(ends, fill=color, width=size * scale // 8)
    else:
        corners = {"square": 4, "triangle": 3}[kind]
        start = math.pi / 4 if kind == "square" else 0.0
        around = [corner(start + 2 * math.pi * k / corners, 1.15) for k in range(corners)]
        draw.polygon(around, fill=color)
    return picture.resize((size, size), Image.Resampling.LANCZOS)


def draw_heap(folder: Path, count: int, size: int = 48, mode: str = "L") -> dict[str, str]:
    """Draw a folder of shapes without any label; return the shape of each file."""
    folder.mkdir(parents=True, exist_ok=True)
    order = random.Random(count)
    shapes = {f"{number:04d}.png": order.choice(SHAPES) for number in range(count)}
    for number, (name, kind) in enumerate(shapes.items()):
        draw_shape(kind, number, size, mode).save(folder / name)
    return shapes
