"""CelebA: attributes by name, partitions, crops; small files of the published layout."""

from pathlib import Path

import pytest
from PIL import Image
from pydantic import ValidationError

from ssgan.base.errors import BadInput
from ssgan.data.sources.celeba import ATTRIBUTES, CelebaSource
from ssgan.data.store import prepare


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Six faces: picture i has attribute number i alone; partitions 0 0 0 1 2 2."""
    from torchvision.datasets import CelebA

    folder = tmp_path / "root" / "celeba"
    (folder / "img_align_celeba").mkdir(parents=True)
    names = [f"{i:06d}.jpg" for i in range(6)]
    for i, name in enumerate(names):
        face = Image.new("RGB", (178, 218), "white")
        face.paste((i * 20, 0, 0), (0, 20, 178, 198))
        face.save(folder / "img_align_celeba" / name, quality=95)
    rows = [" ".join(["1" if j == i else "-1" for j in range(40)]) for i in range(6)]
    lists = {
        "list_attr_celeba.txt": ["6", " ".join(ATTRIBUTES), *_named(names, rows)],
        "list_eval_partition.txt": _named(names, "000122"),
        "identity_CelebA.txt": _named(names, "123456"),
        "list_bbox_celeba.txt": ["6", "image_id x_1 y_1 w h", *_named(names, ["1 1 1 1"] * 6)],
        "list_landmarks_align_celeba.txt": ["6", "points", *_named(names, ["1 " * 10] * 6)],
    }
    for name, lines in lists.items():
        (folder / name).write_text("\n".join(line.strip() for line in lines) + "\n")
    known = [(file_id, None, name) for file_id, _, name in CelebA.file_list]
    monkeypatch.setattr(CelebA, "file_list", known)
    return tmp_path / "root"


def _named(names: list[str], rows: list[str] | str) -> list[str]:
    return [f"{name} {row}" for name, row in zip(names, rows, strict=True)]


def test_partitions_attributes_and_crop(tmp_path: Path, root: Path) -> None:
    chosen = (ATTRIBUTES[4], ATTRIBUTES[1])
    store = prepare(CelebaSource(root=root, attributes=chosen, size=16), tmp_path / "cache")
    assert store.manifest.shape == (3, 16, 16)
    assert [code.name for code in store.manifest.columns] == list(chosen)
    assert {code.classes for code in store.manifest.columns} == {("no", "yes")}
    train = store.split("train", tmp_path / "cache")
    judge = store.split("test", tmp_path / "cache")
    assert train.labels.tolist() == [[0, 0], [0, 1], [0, 0]]
    assert judge.labels.tolist() == [[1, 0], [0, 0]]
    # The white above and below the central square is cut off.
    assert train.images[:, 1:].max() < 10
    assert judge.images[:, 0].float().mean(dim=(1, 2)).tolist() == pytest.approx([80, 100], abs=2)


def test_missing_files_name_the_override(tmp_path: Path) -> None:
    with pytest.raises(BadInput, match=r"img_align_celeba.*data\.source\.download=true"):
        CelebaSource(root=tmp_path).open()


def test_unknown_attributes_are_refused_before_any_download() -> None:
    with pytest.raises(ValidationError, match="no attribute 'Smilng'; did you mean 'Smiling'"):
        CelebaSource(attributes=("Smilng",), download=True)
    with pytest.raises(ValidationError, match="named twice"):
        CelebaSource(attributes=("Male", "Male"))


def test_download_goes_through_torchvision(
    tmp_path: Path, root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from torchvision.datasets import celeba

    asked: list[str] = []
    monkeypatch.setattr(
        celeba,
        "download_file_from_google_drive",
        lambda file_id, folder, name, md5: asked.append(name),
    )

    def extract(archive: str) -> None:
        (tmp_path / "new" / "celeba").rmdir()
        (root / "celeba").rename(tmp_path / "new" / "celeba")

    monkeypatch.setattr(celeba, "extract_archive", extract)
    (tmp_path / "new" / "celeba").mkdir(parents=True)
    source = CelebaSource(root=tmp_path / "new", download=True)
    assert source.open().counts == {"train": 3, "test": 2}
    assert "img_align_celeba.zip" in asked
    assert "list_attr_celeba.txt" in asked
