"""The union of sources, and the real data sets where they are on this machine."""

from pathlib import Path

import pyarrow.parquet as pq
import pytest
from pydantic import TypeAdapter, ValidationError

from ssgan.data.sources import (
    DigitsSource,
    FashionMnistSource,
    MnistSource,
    ParquetSource,
    SourceConfig,
)
from ssgan.data.store import Store, prepare

FASHION = Path("/usr/share/datasets/fashion-mnist")
UNION: TypeAdapter[SourceConfig] = TypeAdapter(SourceConfig)


def class_counts(store: Store, split: str, cache: Path) -> list[int]:
    labels = store.split(split, cache).labels[:, 0].long()
    return labels.bincount(minlength=10).tolist()


def test_kind_tells_sources_apart_and_all_survive_json() -> None:
    assert UNION.validate_python({"kind": "digits", "size": 32}) == DigitsSource(size=32)
    sources: list[SourceConfig] = [
        DigitsSource(),
        MnistSource(root=Path("x")),
        ParquetSource(train="x", train_rows=(0, 6), classes={"label": ("a", "b")}),
    ]
    for source in sources:
        assert UNION.validate_json(UNION.dump_json(source)) == source
    with pytest.raises(ValidationError, match="fashion-mnist"):
        UNION.validate_python({"kind": "fashion"})


def test_fingerprints_differ_between_kinds(tmp_path: Path) -> None:
    kinds = [DigitsSource(size=28), MnistSource(root=tmp_path), FashionMnistSource(root=tmp_path)]
    assert len({source.fingerprint() for source in kinds}) == len(kinds)
    assert kinds[0].fingerprint() == DigitsSource(size=28).fingerprint()


def test_mnist(shared_data: Path, tmp_path: Path) -> None:
    store = prepare(MnistSource(root=shared_data), tmp_path)
    train = [5923, 6742, 5958, 6131, 5842, 5421, 5918, 6265, 5851, 5949]
    judge = [980, 1135, 1032, 1010, 982, 892, 958, 1028, 974, 1009]
    assert class_counts(store, "train", tmp_path) == train
    assert class_counts(store, "test", tmp_path) == judge
    assert store.split("train", tmp_path).labels[:5, 0].tolist() == [5, 0, 4, 1, 9]


def test_fashion_mnist(tmp_path: Path) -> None:
    if not FASHION.is_dir():
        pytest.skip("apt-get install dataset-fashion-mnist brings the files")
    store = prepare(FashionMnistSource(root=FASHION), tmp_path)
    assert class_counts(store, "train", tmp_path) == [6000] * 10
    assert class_counts(store, "test", tmp_path) == [1000] * 10
    assert store.manifest.columns[0].classes[9] == "ankle_boot"


def test_svhn_divided_by_position(shared_data: Path, tmp_path: Path) -> None:
    source = ParquetSource(
        train=str(shared_data / "svhn/test_first10000.parquet"),
        names={"label": "digit"},
        train_rows=(0, 300),
        test_rows=(9800, 10000),
    )
    store = prepare(source, tmp_path)
    assert store.manifest.shape == (3, 32, 32)
    first = store.split("train", tmp_path).labels[:10, 0].tolist()
    assert first == [5, 2, 1, 0, 6, 1, 9, 1, 1, 8]
    assert store.manifest.splits["judge"].count == 200


def test_cifar10_with_class_names(shared_data: Path, tmp_path: Path) -> None:
    source = ParquetSource(
        train=str(shared_data / "cifar10/train.parquet"),
        test=str(shared_data / "cifar10/test.parquet"),
        labels=("class_name",),
        names={"class_name": "category"},
        train_rows=(0, 300),
        test_rows=(0, 100),
    )
    store = prepare(source, tmp_path)
    assert store.manifest.columns[0].classes[:2] == ("airplane", "automobile")
    assert class_counts(store, "train", tmp_path) == [30] * 10
    assert class_counts(store, "test", tmp_path) == [10] * 10


def test_celeba_divided_by_identity(shared_data: Path, tmp_path: Path) -> None:
    attributes = ("Smiling", "Male", "Mouth_Slightly_Open", "Attractive")
    file = shared_data / "celeba/align_first10000.parquet"
    source = ParquetSource(
        train=str(file),
        labels=attributes,
        classes=dict.fromkeys(attributes, ("no", "yes")),
        train_rows=(0, 600),
        test_share=0.2,
        split_by="identity",
        crop=(0, 10 / 109, 1, 99 / 109),
        size=32,
    )
    store = prepare(source, tmp_path)
    assert store.manifest.shape == (3, 32, 32)
    assert [code.name for code in store.manifest.columns] == list(attributes)
    judge = store.manifest.splits["judge"].count
    assert 60 < judge < 180
    assert store.manifest.splits["train"].count == 600 - judge
    # Without regard to order, no label is lost or changed.
    known = pq.read_table(file, columns=["Smiling"]).slice(0, 600).column(0).to_pylist()
    smiles = sum(store.split(split, tmp_path).labels[:, 0].sum() for split in ("train", "test"))
    assert float(smiles) == sum(known)
