"""SVHN and CIFAR-10: torchvision's own files, small ones of the same layout."""

import hashlib
import pickle
from pathlib import Path

import numpy as np
import pytest

from ssgan.base.errors import BadInput
from ssgan.data.sources.torchvision_sets import CATEGORY, Cifar10Source, SvhnSource
from ssgan.data.store import prepare


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
    for name in ("train", "judge"):
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
