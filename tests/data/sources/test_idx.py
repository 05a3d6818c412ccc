"""MNIST and Fashion-MNIST: files found in any layout, read whole or refused."""

import gzip
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.sources import idx
from ssgan.data.sources.idx import FILES, FashionMnistSource, MnistSource

COUNTS = {"train": 6, "judge": 4}


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(idx, "_COUNTS", COUNTS)


def write_idx(folder: Path, pack: bool, counts: tuple[int, int] = (6, 4), size: int = 28) -> None:
    folder.mkdir(parents=True)
    opened: Callable[..., gzip.GzipFile] = gzip.open if pack else open
    for name in FILES:
        n = counts[0] if name.startswith("train") else counts[1]
        values = np.arange(n, dtype=np.uint8)
        if "images" in name:
            head = struct.pack(">BBBBIII", 0, 0, 8, 3, n, size, size)
            body = np.repeat(values, size * size).tobytes()
        else:
            head, body = struct.pack(">BBBBI", 0, 0, 8, 1, n), values.tobytes()
        with opened(folder / (f"{name}.gz" if pack else name), "wb") as stream:
            stream.write(head + body)


@pytest.mark.parametrize("layout", ["MNIST/raw", "raw", "."])
@pytest.mark.parametrize("pack", [True, False])
def test_any_layout_is_read_and_left_untouched(tmp_path: Path, layout: str, pack: bool) -> None:
    root = tmp_path / "root"
    write_idx(root / layout, pack)
    before = sorted(root.rglob("*"))
    source = MnistSource(root=root).open()
    assert sorted(root.rglob("*")) == before
    assert source.shape == (1, 28, 28)
    for split, count in COUNTS.items():
        ((images, labels),) = list(source.splits()[split])
        assert images[:, 0, 5, 5].tolist() == labels[:, 0].tolist() == list(range(count))


def test_size_is_a_parameter(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST/raw", False)
    source = MnistSource(root=tmp_path, size=16)
    assert source.open().shape == (1, 16, 16)
    assert source.fingerprint() != MnistSource(root=tmp_path).fingerprint()


def test_turned_images_have_an_angle_as_another_label(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST/raw", False)
    config = MnistSource(root=tmp_path, turned=45.0)
    source = config.open()
    assert [column.name for column in source.columns] == ["digit", "angle"]
    assert source.provenance["turned"] == "each by its own angle, at most 45 degrees"
    for split, count in COUNTS.items():
        ((_, labels),) = list(source.splits()[split])
        assert labels[:, 0].tolist() == list(range(count))
        assert np.abs(labels[:, 1]).max() <= 45
    assert config.fingerprint() != MnistSource(root=tmp_path).fingerprint()


@pytest.mark.parametrize("kind", [MnistSource, FashionMnistSource])
def test_missing_files_name_the_override(
    tmp_path: Path, kind: type[MnistSource] | type[FashionMnistSource]
) -> None:
    source = kind(root=tmp_path)
    assert source.fingerprint()
    with pytest.raises(BadInput, match=r"train-images.*data\.source\.download=true.*data\.source"):
        source.open()


def test_download_goes_through_torchvision(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import mnist

    asked: list[str] = []

    def fetch(url: str, download_root: str, filename: str, md5: str) -> None:
        asked.append(filename)
        folder = Path(download_root)
        if len(asked) == len(FILES):
            folder.rmdir()
            write_idx(folder, False)

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    source = MnistSource(root=tmp_path, download=True)
    assert source.open().counts == COUNTS
    assert sorted(asked) == sorted(f"{name}.gz" for name in FILES)
    source.open()
    assert len(asked) == len(FILES)


def test_failed_download_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from torchvision.datasets import mnist

    def fetch(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    with pytest.raises(BadInput, match=r"could not be downloaded.*data\.source\.root=FOLDER"):
        MnistSource(root=tmp_path, download=True).open()


def test_truncated_archive_is_noticed(tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", True)
    archive = tmp_path / "raw" / f"{FILES[0]}.gz"
    archive.write_bytes(archive.read_bytes()[:-12])
    with pytest.raises(CorruptFile, match=rf"{archive.name} is truncated or damaged"):
        MnistSource(root=tmp_path).open()


@pytest.mark.parametrize("pack", [True, False])
def test_wrong_length_is_noticed(tmp_path: Path, pack: bool) -> None:
    write_idx(tmp_path / "MNIST/raw", pack, counts=(5, 4))
    with pytest.raises(
        CorruptFile, match=r"train files .* hold 5 images and 5 labels instead of 6"
    ):
        MnistSource(root=tmp_path).open()


def test_file_that_is_no_idx_is_noticed(tmp_path: Path) -> None:
    write_idx(tmp_path / "MNIST/raw", False)
    (tmp_path / "MNIST/raw" / FILES[2]).write_bytes(b"\x00\x00\x08\x03 not an idx file")
    with pytest.raises(CorruptFile, match=r"judge files.*fetch them again"):
        MnistSource(root=tmp_path).open()
