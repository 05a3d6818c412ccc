"""Images of a source with their names: all of them, in order, a few at a time."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.data import named_images as module
from ssgan.data.named_images import NamedImages, named_images
from ssgan.data.sources import DigitsSource
from ssgan.data.sources.folder import FolderSource


def paint(path: Path, level: int) -> None:
    path.parent.mkdir(exist_ok=True)
    Image.new("L", (8, 8), level).save(path)


def cut_short(path: Path, copy: Path) -> None:
    """Copy a PNG as far as into its pixels."""
    content = path.read_bytes()
    copy.write_bytes(content[: content.index(b"IDAT") + 6])


def test_pictures_that_cannot_be_read_keep_their_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    paint(tmp_path / "one/a.png", 10)
    (tmp_path / "one/b.png").write_text("no picture")
    paint(tmp_path / "one/c.png", 30)
    os.mkfifo(tmp_path / "two.png")  # which must not be waited for
    paint(tmp_path / "valid/a.png", 50)
    cut_short(tmp_path / "one/c.png", tmp_path / "one/d.png")
    monkeypatch.setattr(module, "_ROWS", 2)
    source = FolderSource(root=tmp_path, test=("valid",)).open()
    parts = list(named_images(source))
    assert [part.names for part in parts] == [
        ["one/a.png", "one/b.png"],
        ["one/c.png", "one/d.png"],
        ["two.png"],
    ]
    assert [part.readable.tolist() for part in parts] == [[True, False], [True, False], [False]]
    assert [part.images[:, 0, 0, 0].tolist() for part in parts] == [[10], [30], []]
    assert parts[2].images.shape == (0, 1, 8, 8)
    assert source.broken == ("one/b.png", "one/d.png", "two.png")


def test_strict_refuses_what_cannot_be_read(tmp_path: Path) -> None:
    paint(tmp_path / "a.png", 10)
    cut_short(tmp_path / "a.png", tmp_path / "b.png")
    source = FolderSource(root=tmp_path, strict=True).open()
    with pytest.raises(BadInput, match=r"b\.png cannot be read"):
        list(named_images(source))


def test_images_without_names_are_called_by_their_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_ROWS", 700)
    source = DigitsSource().open()
    parts: list[NamedImages] = list(named_images(source))
    assert [len(part.names) for part in parts] == [700, 300, 297]  # of chunks of a thousand
    assert [part.names[0] for part in parts] == ["row 0", "row 700", "row 1000"]
    whole = np.concatenate([part.images for part in parts])
    np.testing.assert_array_equal(whole, source.arrays["train"][0])
