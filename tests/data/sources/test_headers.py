"""Headers: what they say of a set before a pixel is read."""

import io
import os
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.data.sources.headers import Opener, read_headers
from ssgan.data.sources.tree import Tree


def opener(file: Path) -> Opener:
    return partial(Tree(file.parent).open, file)


def write(folder: Path, **pictures: Image.Image) -> list[tuple[str, Opener]]:
    files = []
    for name, picture in pictures.items():
        file = folder / f"{name}.tif"
        picture.save(file)
        files.append((name, opener(file)))
    return files


@pytest.mark.parametrize("mode", ["1", "L", "LA", "I", "F", "I;16"])
def test_gray_is_told_by_the_mode(tmp_path: Path, mode: str) -> None:
    files = write(tmp_path, a=Image.new("L", (3, 4)), b=Image.new(mode, (5, 6)))
    headers = read_headers(files)
    assert headers == (
        {"a": (3, 4), "b": (5, 6)},
        True,
        () if len(mode) < 3 and mode not in "IF" else ("b",),
        (),
    )
    assert not read_headers([*files, *write(tmp_path, c=Image.new("RGB", (3, 4)))]).gray


def test_what_is_no_picture_is_broken_and_named_pipes_are_not_opened(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    (tmp_path / "text").write_text("no picture")
    files = [(name, opener(tmp_path / name)) for name in ("pipe", "text", "gone")]
    content = np.zeros(9).tobytes()
    headers = read_headers([*files, ("bytes", lambda: io.BytesIO(content))])
    assert headers.broken == ("pipe", "text", "gone", "bytes")
    assert headers.sizes == {}


def test_nothing_is_read_behind_the_first_picture_in_color(tmp_path: Path) -> None:
    first = write(tmp_path, a=Image.new("L", (3, 3)), b=Image.new("RGB", (3, 3)))
    headers = read_headers([*first, ("gone", opener(tmp_path / "gone"))], until_color=True)
    assert ([*headers.sizes], headers.gray, headers.broken) == (["a", "b"], False, ())
