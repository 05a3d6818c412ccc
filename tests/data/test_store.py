"""The store: equal data gives equal hashes, what is written comes back, damage is noticed."""

import multiprocessing
import os
import shutil
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput, CorruptFile
from ssgan.data import memmap
from ssgan.data import store as store_module
from ssgan.data.sources import DigitsSource
from ssgan.data.sources.base import ArraySource, Chunk
from ssgan.data.store import MANIFEST, Split, Store, prepare, write_store
from ssgan.method.codes import Code

COLUMNS = (
    Code(name="letter", kind="categorical", classes=("a", "b", "c")),
    Code(name="angle", kind="continuous", low=-45, high=45),
)


@dataclass
class FakeSource:
    """Random pictures in memory, handed out in chunks of a chosen length."""

    rows: int = 25
    shape: tuple[int, int, int] = (3, 4, 5)
    chunk: int = 7
    seed: int = 0
    judge: bool = True
    columns: tuple[Code, ...] = COLUMNS
    name: str = "fake"
    broken: tuple[str, ...] = ()
    provenance: Mapping[str, str] = field(default_factory=lambda: {"origin": "a test"})

    @property
    def counts(self) -> Mapping[str, int]:
        return {"train": self.rows, "test": 4} if self.judge else {"train": self.rows}

    def arrays(self, split: str) -> Chunk:
        random = np.random.default_rng([self.seed, len(split)])
        n = self.counts[split]
        images = random.integers(0, 256, (n, *self.shape), dtype=np.uint8)
        labels = random.integers(0, 3, (n, len(self.columns))).astype(np.float32)
        labels[random.random(labels.shape) < 0.3] = np.nan
        return images, labels

    def splits(self) -> dict[str, Iterable[Chunk]]:
        return {split: self._chunks(split) for split in self.counts}

    def _chunks(self, split: str) -> Iterable[Chunk]:
        images, labels = self.arrays(split)
        for start in range(0, len(images), self.chunk):
            yield images[start : start + self.chunk], labels[start : start + self.chunk]


def assert_holds(split: Split, arrays: Chunk) -> None:
    assert split.images.dtype == torch.uint8
    assert split.labels.dtype == torch.float32
    np.testing.assert_array_equal(split.images.numpy(), arrays[0])
    np.testing.assert_array_equal(split.labels.numpy(), arrays[1])


@settings(max_examples=25, deadline=None)
@given(
    rows=st.integers(1, 40),
    chunk=st.integers(1, 50),
    shard_rows=st.integers(1, 50),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 6),
    width=st.integers(1, 6),
    seed=st.integers(0, 99),
)
def test_what_is_written_comes_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: int,
    chunk: int,
    shard_rows: int,
    channels: int,
    height: int,
    width: int,
    seed: int,
) -> None:
    folder = tmp_path_factory.mktemp("store")
    source = FakeSource(rows, (channels, height, width), chunk, seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(store_module, "SHARD_ROWS", shard_rows)
        write_store(folder / "a", source)
    store = Store.open(folder / "a")
    assert len(store.manifest.splits["train"].shards) == -(-rows // shard_rows)
    assert store.manifest.splits["train"].count == rows
    for split in ("train", "test"):
        assert_holds(store.split(split, folder), source.arrays(split))
    # However the same data is cut and described, its hash is the same; other data differs.
    again = FakeSource(rows, (channels, height, width), 3, seed, provenance={"origin": "else"})
    assert write_store(folder / "b", again).manifest.hash == store.manifest.hash
    other = FakeSource(rows, (channels, height, width), chunk, seed + 1)
    assert write_store(folder / "c", other).manifest.hash != store.manifest.hash


def test_manifest_counts_known_labels(tmp_path: Path) -> None:
    source = FakeSource()
    manifest = write_store(tmp_path / "store", source).manifest
    known = (~np.isnan(source.arrays("train")[1])).sum(axis=0)
    assert manifest.splits["train"].known == tuple(known)
    assert 0 < known[0] < source.rows


@pytest.mark.parametrize(("spread", "warned"), [(1, True), (16, True), (60, False)])
def test_images_that_are_nearly_constant_are_warned_of(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, spread: int, warned: bool
) -> None:
    images = np.random.default_rng(1).integers(0, spread, (20, 1, 4, 4), dtype=np.uint8)
    labels = np.zeros((20, 0), dtype=np.float32)
    source = ArraySource("flat", (), {"train": (images, labels)}, {"origin": "a test"})
    manifest = write_store(tmp_path / "store", source).manifest
    assert ("nearly constant: pixels of" in manifest.provenance.get("warning", "")) == warned
    assert ("nearly constant" in caplog.text) == warned


@pytest.mark.parametrize("change", [{"columns": COLUMNS[::-1]}, {"judge": False}])
def test_hash_covers_columns_and_splits(tmp_path: Path, change: dict[str, object]) -> None:
    first = write_store(tmp_path / "a", FakeSource()).manifest.hash
    assert write_store(tmp_path / "b", FakeSource(**change)).manifest.hash != first  # type: ignore[arg-type]


def test_flipped_byte_in_a_shard_is_noticed(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", FakeSource())
    shard = tmp_path / "store" / store.manifest.splits["train"].shards[0].file
    content = bytearray(shard.read_bytes())
    content[len(content) // 2] ^= 1
    shard.write_bytes(content)
    with pytest.raises(CorruptFile, match=rf"{shard.name} was changed.*prepare"):
        store.split("train", tmp_path / "cache")
    assert not list((tmp_path / "cache").rglob("*.tmp"))
    assert len(store.split("test", tmp_path / "cache")) == 4


def test_missing_shard_is_noticed(tmp_path: Path) -> None:
    store = write_store(tmp_path / "store", FakeSource())
    shard = tmp_path / "store" / store.manifest.splits["train"].shards[0].file
    shard.unlink()
    with pytest.raises(CorruptFile, match=rf"{shard.name} is missing.*prepare"):
        store.split("train", tmp_path / "cache")


@pytest.mark.parametrize("damage", ["{", "[]", '{"manifest": {}, "sha256": ""}'])
def test_damaged_manifest_is_noticed(tmp_path: Path, damage: str) -> None:
    write_store(tmp_path, FakeSource())
    (tmp_path / MANIFEST).write_text(damage)
    with pytest.raises(CorruptFile, match="prepare"):
        Store.open(tmp_path)


def test_edited_manifest_is_noticed(tmp_path: Path) -> None:
    write_store(tmp_path, FakeSource())
    text = (tmp_path / MANIFEST).read_text()
    (tmp_path / MANIFEST).write_text(text.replace('"letter"', '"litter"'))
    with pytest.raises(CorruptFile, match="changed after it was written"):
        Store.open(tmp_path)


def test_opening_and_overwriting_are_refused(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"is not a store.*data prepare"):
        Store.open(tmp_path)
    store = write_store(tmp_path, FakeSource(judge=False))
    assert not store.has_test_split
    with pytest.raises(BadInput, match="no test split, only train"):
        store.split("test", tmp_path)
    with pytest.raises(BadInput, match="already holds a store"):
        write_store(tmp_path, FakeSource())
    clash = FakeSource(columns=(Code(name="image", kind="continuous"),))
    with pytest.raises(BadInput, match="cannot be called 'image'"):
        write_store(tmp_path / "clash", clash)


def test_store_lives_on_any_pyarrow_file_system(tmp_path: Path) -> None:
    location = f"file://{tmp_path}/store"
    source = FakeSource()
    written = write_store(location, source)
    store = Store.open(location)
    assert store.manifest == written.manifest
    assert_holds(store.split("train", tmp_path / "cache"), source.arrays("train"))


def test_decoded_copy_is_made_once_and_mapped_privately(tmp_path: Path) -> None:
    source = FakeSource()
    store = write_store(tmp_path / "store", source)
    first = store.split("train", tmp_path / "cache")
    for shard in (tmp_path / "store").glob("*.parquet"):
        shard.unlink()
    # A stray write in one holder reaches neither the file nor any other holder.
    first.images.fill_(7)
    assert_holds(store.split("train", tmp_path / "cache"), source.arrays("train"))


def test_truncated_decoded_copy_is_made_again(tmp_path: Path) -> None:
    source = FakeSource()
    store = write_store(tmp_path / "store", source)
    store.split("train", tmp_path / "cache")
    (decoded,) = (tmp_path / "cache").rglob("train.images.u8")
    decoded.chmod(0o644)
    decoded.write_bytes(b"short")
    assert_holds(store.split("train", tmp_path / "cache"), source.arrays("train"))


@pytest.mark.parametrize("file", ["train.images.u8", "train.labels.f32"])
def test_a_decoded_copy_that_was_changed_is_made_again(
    tmp_path: Path, file: str, caplog: pytest.LogCaptureFixture
) -> None:
    source = FakeSource()
    store = write_store(tmp_path / "store", source)
    store.split("train", tmp_path / "cache")
    (decoded,) = (tmp_path / "cache").rglob(file)
    before = decoded.stat()
    content = bytearray(decoded.read_bytes())
    content[0] ^= 1
    decoded.chmod(0o644)
    decoded.write_bytes(content)
    os.utime(decoded, ns=(before.st_atime_ns, before.st_mtime_ns))
    assert_holds(store.split("train", tmp_path / "cache"), source.arrays("train"))
    assert "was changed after it was made" in caplog.text


def test_a_decoded_copy_is_hashed_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    source = FakeSource()
    store = write_store(tmp_path / "store", source)
    hashed: list[Path] = []
    digest = memmap._digest
    monkeypatch.setattr(memmap, "_digest", lambda file: hashed.append(file) or digest(file))
    store.split("train", tmp_path / "cache")
    assert len(hashed) == 2
    store.split("train", tmp_path / "cache")
    assert len(hashed) == 2
    # One that was copied, or that an older version made, is looked at again and kept.
    shutil.copytree(tmp_path / "cache", tmp_path / "copy")
    for shard in (tmp_path / "store").glob("*.parquet"):
        shard.unlink()
    assert_holds(store.split("train", tmp_path / "copy"), source.arrays("train"))
    assert len(hashed) == 4


def test_progress_reaches_the_total(tmp_path: Path) -> None:
    calls: list[tuple[int, int]] = []
    write_store(tmp_path, FakeSource(), lambda done, total: calls.append((done, total)))
    assert calls[0] == (7, 29)
    assert calls[-1] == (29, 29)


def test_prepare_builds_once(tmp_path: Path) -> None:
    calls: list[int] = []
    first = prepare(DigitsSource(size=8), tmp_path, lambda done, total: calls.append(done))
    built = len(calls)
    second = prepare(DigitsSource(size=8), tmp_path, lambda done, total: calls.append(done))
    assert built > 0
    assert len(calls) == built
    assert first == second
    assert prepare(DigitsSource(size=9), tmp_path).location != first.location


def test_prepare_replaces_a_damaged_store_and_the_rest_of_a_killed_build(tmp_path: Path) -> None:
    first = prepare(DigitsSource(size=8), tmp_path)
    (Path(first.location) / MANIFEST).write_text("{")
    rest = Path(f"{first.location}.tmp")
    rest.mkdir()
    (rest / MANIFEST).write_text("left by a killed build")
    assert prepare(DigitsSource(size=8), tmp_path) == first
    assert not rest.exists()


def test_failed_build_leaves_nothing(tmp_path: Path) -> None:
    def disk_full(done: int, total: int) -> None:
        raise OSError(28, "No space left on device")

    with pytest.raises(OSError, match="No space left"):
        prepare(DigitsSource(size=8), tmp_path, disk_full)
    assert not list((tmp_path / "stores").glob("digits-*/"))
    assert prepare(DigitsSource(size=8), tmp_path).manifest.splits["train"].count == 1297


def test_cache_that_cannot_be_written_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(BadInput, match=r"cannot be written.*SSGAN_CACHE"):
        prepare(DigitsSource(size=8), tmp_path / "file")


def _prepare_and_sum(cache: Path) -> tuple[str, int]:
    store = prepare(DigitsSource(size=8), cache)
    return store.manifest.hash, int(store.split("train", cache).images.sum())


def test_processes_that_start_together_share_one_build(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    with context.Pool(3) as pool:
        results = pool.map(_prepare_and_sum, [tmp_path] * 3)
    assert len(set(results)) == 1
    assert len(list((tmp_path / "stores").glob("digits-*/"))) == 1


def test_digits_store_fixture(digits_store: Store) -> None:
    assert digits_store.has_test_split
    assert digits_store.split("train").images.shape == (1297, 1, 16, 16)
    assert digits_store.split("test").images.shape == (500, 1, 16, 16)
