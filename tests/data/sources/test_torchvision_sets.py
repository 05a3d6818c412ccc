"""Published sets, in small files of the same layout: found, downloaded, read whole or refused."""

import gzip
import hashlib
import pickle
import struct
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data.sources import torchvision_sets
from ssgan.data.sources.torchvision_sets import (
    CATEGORY,
    IDX_FILES,
    Cifar10Source,
    FashionMnistSource,
    MnistSource,
    SvhnSource,
    turn,
)
from ssgan.data.store import prepare

COUNTS = {"train": 6, "test": 4}
BAR = np.zeros((1, 1, 29, 29), dtype=np.uint8)
BAR[0, 0, 4:25, 13:16] = 255  # upright


def write_svhn(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Digits 1 to 9 and then 10, which is how the files say 0."""
    from scipy.io import savemat
    from torchvision.datasets import SVHN

    labels = np.arange(1, 11, dtype=np.uint8)
    pixels = np.broadcast_to(labels, (32, 32, 3, 10))
    known = dict(SVHN.split_list)
    for split in ("train", "test"):
        file = folder / f"{split}_32x32.mat"
        savemat(file, {"X": pixels, "y": labels[:, None]})
        md5 = hashlib.md5(file.read_bytes()).hexdigest()
        known[split] = [f"https://nowhere.invalid/{file.name}", file.name, md5]
    monkeypatch.setattr(SVHN, "split_list", known)


def write_cifar(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from torchvision.datasets import CIFAR10

    batches = folder / CIFAR10.base_folder
    batches.mkdir(parents=True)
    data = np.repeat(np.arange(4, dtype=np.uint8)[:, None], 3072, axis=1)
    data[:, :1024] += 100  # the first plane is red
    for name in ("data_batch_1", "test_batch"):
        (batches / name).write_bytes(pickle.dumps({"data": data, "labels": [3, 2, 1, 0]}))
    (batches / "batches.meta").write_bytes(pickle.dumps({"label_names": list(CATEGORY.classes)}))
    monkeypatch.setattr(CIFAR10, "train_list", [["data_batch_1", None]])
    monkeypatch.setattr(CIFAR10, "test_list", [["test_batch", None]])
    monkeypatch.setattr(CIFAR10, "meta", {**CIFAR10.meta, "md5": None})


def test_svhn_says_zero_for_the_digit_zero(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_svhn(tmp_path, monkeypatch)
    store = prepare(SvhnSource(root=tmp_path), tmp_path / "cache")
    assert store.manifest.shape == (3, 32, 32)
    assert store.manifest.columns[0].name == "digit"
    for name in ("train", "test"):
        split = store.split(name, tmp_path / "cache")
        assert split.labels[:, 0].tolist() == [1, 2, 3, 4, 5, 6, 7, 8, 9, 0]
        assert split.images[:, 0, 0, 0].tolist() == list(range(1, 11))


def test_cifar10_planes_and_labels(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write_cifar(tmp_path, monkeypatch)
    store = prepare(Cifar10Source(root=tmp_path, size=16), tmp_path / "cache")
    assert store.manifest.shape == (3, 16, 16)
    assert store.manifest.columns == (CATEGORY,)
    split = store.split("train", tmp_path / "cache")
    assert split.labels[:, 0].tolist() == [3, 2, 1, 0]
    assert split.images[:, :, 7, 7].tolist() == [[100 + i, i, i] for i in range(4)]


@pytest.mark.parametrize(
    ("source", "file"),
    [(SvhnSource, r"train_32x32\.mat, test_32x32\.mat"), (Cifar10Source, "cifar-10-batches-py")],
)
def test_missing_files_name_the_override(
    tmp_path: Path, source: type[SvhnSource] | type[Cifar10Source], file: str
) -> None:
    with pytest.raises(BadInput, match=rf"{file} not found in .*data\.source\.download=true"):
        prepare(source(root=tmp_path), tmp_path / "cache")


def test_svhn_is_downloaded_through_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import svhn

    origin, root = tmp_path / "origin", tmp_path / "root"
    origin.mkdir()
    write_svhn(origin, monkeypatch)
    asked: list[str] = []

    def fetch(url: str, folder: str, filename: str, md5: str) -> None:
        if not (Path(folder) / filename).exists():
            asked.append(url)
            (Path(folder) / filename).write_bytes((origin / filename).read_bytes())

    monkeypatch.setattr(svhn, "download_url", fetch)
    source = SvhnSource(root=root, download=True)
    store = prepare(source, tmp_path / "cache")
    assert store.manifest.splits["judge"].count == 10
    assert [url.rsplit("/")[-1] for url in asked] == ["train_32x32.mat", "test_32x32.mat"]
    assert prepare(source, tmp_path / "cache") == store
    assert len(asked) == 2


def test_cifar10_is_downloaded_through_torchvision(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import cifar

    def fetch(url: str, folder: str, filename: str, md5: str) -> None:
        assert url.endswith("cifar-10-python.tar.gz")
        write_cifar(Path(folder), monkeypatch)

    monkeypatch.setattr(cifar, "download_and_extract_archive", fetch)
    source = Cifar10Source(root=tmp_path / "root", download=True)
    assert prepare(source, tmp_path / "cache").manifest.splits["train"].count == 4


def test_failed_download_is_explained(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from urllib.error import URLError

    from torchvision.datasets import svhn

    def fetch(*args: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(svhn, "download_url", fetch)
    with pytest.raises(BadInput, match=r"could not be downloaded.*no network.*root=FOLDER"):
        SvhnSource(root=tmp_path, download=True).open()


def test_file_that_is_not_the_published_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_svhn(tmp_path, monkeypatch)
    (tmp_path / "test_32x32.mat").write_bytes(b"cut short")
    with pytest.raises(BadInput, match="not the published one"):
        prepare(SvhnSource(root=tmp_path), tmp_path / "cache")


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torchvision_sets, "IDX_COUNTS", COUNTS)


def write_idx(folder: Path, pack: bool, counts: tuple[int, int] = (6, 4), size: int = 28) -> None:
    folder.mkdir(parents=True)
    opened: Callable[..., gzip.GzipFile] = gzip.open if pack else open
    for name in IDX_FILES:
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
    digit, angle = source.columns
    assert digit.name == "digit"
    assert (angle.name, angle.kind, angle.low, angle.high) == ("angle", "continuous", -45.0, 45.0)
    assert source.provenance["turned"] == "each by its own angle, at most 45 degrees"
    for split, count in COUNTS.items():
        ((_, labels),) = list(source.splits()[split])
        assert labels[:, 0].tolist() == list(range(count))
        assert np.abs(labels[:, 1]).max() <= 45
    assert config.fingerprint() != MnistSource(root=tmp_path).fingerprint()


@pytest.mark.parametrize("kind", [MnistSource, FashionMnistSource])
def test_missing_idx_files_name_the_override(
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
        if len(asked) == len(IDX_FILES):
            folder.rmdir()
            write_idx(folder, False)

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    source = MnistSource(root=tmp_path, download=True)
    assert source.open().counts == COUNTS
    assert sorted(asked) == sorted(f"{name}.gz" for name in IDX_FILES)
    source.open()
    assert len(asked) == len(IDX_FILES)


def test_failed_download_of_idx_files_is_explained(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from urllib.error import URLError

    from torchvision.datasets import mnist

    def fetch(*args: object, **kwargs: object) -> None:
        raise URLError("no network")

    monkeypatch.setattr(mnist, "download_and_extract_archive", fetch)
    with pytest.raises(BadInput, match=r"could not be downloaded.*data\.source\.root=FOLDER"):
        MnistSource(root=tmp_path, download=True).open()


def test_truncated_archive_is_noticed(tmp_path: Path) -> None:
    write_idx(tmp_path / "raw", True)
    archive = tmp_path / "raw" / f"{IDX_FILES[0]}.gz"
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
    (tmp_path / "MNIST/raw" / IDX_FILES[2]).write_bytes(b"\x00\x00\x08\x03 not an idx file")
    with pytest.raises(CorruptFile, match=r"test files.*fetch them again"):
        MnistSource(root=tmp_path).open()


def slope(image: np.ndarray) -> float:
    """Return the angle in degrees, counterclockwise, of a bar's longer axis with the vertical."""
    y, x = np.nonzero(image > 100)
    (a, b), (_, c) = np.cov(x, y)
    return float(np.degrees(0.5 * np.arctan2(2 * b, c - a)))


def test_the_label_is_the_angle_of_the_picture() -> None:
    digits = np.arange(50, dtype=np.float32)[:, None]
    images, labels = turn(BAR.repeat(50, axis=0), digits, 60.0, "train")
    assert (images.shape, images.dtype) == ((50, 1, 29, 29), np.uint8)
    assert (labels.shape, labels.dtype) == ((50, 2), np.float32)
    assert labels[:, 0].tolist() == digits[:, 0].tolist()
    assert np.abs(labels[:, 1]).max() <= 60
    assert labels[:, 1].min() < -30
    assert labels[:, 1].max() > 30
    # A bar that is turned counterclockwise leans left: its upper end, at smaller y, has smaller x.
    measured = [slope(image[0]) for image in images]
    np.testing.assert_allclose(measured, labels[:, 1], atol=2.0)


def test_the_same_split_is_turned_alike_and_another_differently() -> None:
    labels = np.zeros((8, 1), dtype=np.float32)
    first, again, other = (
        turn(BAR.repeat(8, axis=0), labels, 30.0, split) for split in ("train", "train", "test")
    )
    np.testing.assert_array_equal(first[0], again[0])
    np.testing.assert_array_equal(first[1], again[1])
    assert (first[1] != other[1]).any()
