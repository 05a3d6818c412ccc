"""What `ssgan init` proposes for a column is what the source then makes of it."""

import csv
import re
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.inspect import inspect_folder

COUNT = 12
CELLS = st.one_of(
    st.sampled_from(["", "cat", "dog", "10", "2", "0", "1", "0.5", "nan", "inf", "1e3"]),
    st.text("abc", max_size=2),
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("photos")
    for name in ("left", "right"):
        (folder / name).mkdir()
        for i in range(COUNT // 2):
            Image.new("L", (8, 8), 9 * i).save(folder / name / f"{i}.png")
    return folder


def write(folder: Path, cells: list[str]) -> None:
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.png"))
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "x"), *zip(names, cells, strict=True)])


@settings(max_examples=150, deadline=None)
@given(st.lists(CELLS, min_size=COUNT, max_size=COUNT))
def test_a_proposal_is_what_the_source_reads(folder: Path, cells: list[str]) -> None:
    write(folder, cells)
    try:
        found = inspect_folder(folder, None)
    except BadInput as refused:  # the source refuses it as well, with the same words
        with pytest.raises(BadInput, match=re.escape(str(refused))):
            FolderSource(root=folder, csv=folder / "labels.csv").open()
        return
    assert found.folders is not None
    assert found.folders.found == "left: 6, right: 6"
    (column,) = found.columns
    if column.kind is None:
        return
    source = FolderSource(
        root=folder,
        csv=folder / "labels.csv",
        channels=1,
        kinds={"x": column.kind} if column.declared else {},
    ).open()
    (code,) = source.columns
    labels = np.concatenate([labels for _, labels in source.splits()["train"]])[:, 0]
    known = labels[~np.isnan(labels)]
    assert (code.kind, len(known)) == (column.kind, column.known)
    if code.kind == "continuous":
        assert column.found == f"{code.low:g} to {code.high:g}"
    else:
        counts = [int((known == k).sum()) for k in range(code.size)]
        listed = [f"{name}: {count}" for name, count in zip(code.classes, counts, strict=True)]
        assert column.found == ", ".join(listed)


@pytest.mark.parametrize(
    ("cells", "kind", "declared", "found"),
    [
        (["a", "b"] * 6, "categorical", False, "a: 6, b: 6"),
        (["2", "1", "3"] * 4, "categorical", True, "1: 4, 2: 4, 3: 4"),
        (["2", "3", "4"] * 4, "continuous", False, "2 to 4"),
        (
            ["1", "2", "x", "3", "3", "3"] * 2,
            None,
            False,
            "numbers, but also 'x' (line 4), 'x' (line 10); correct the cells, or list them in "
            "data.source.unknown",
        ),
        (["1", "-1"] * 6, "categorical", False, "no: 6, yes: 6"),
        (["1", "2", "NA"] * 4, "categorical", False, "1: 4, 2: 4"),
        (["1", "NA", "2", "7"] * 3, "continuous", False, "1 to 7"),
        (["a", ""] * 6, None, False, "only 'a' in it, which tells no picture from another"),
        ([""] * 12, None, False, "nothing in it, which tells no picture from another"),
        ([f"id {i}" for i in range(12)], None, False, "12 different texts in 12 cells"),
    ],
)
def test_columns(
    folder: Path, cells: list[str], kind: str | None, declared: bool, found: str
) -> None:
    write(folder, cells)
    (column,) = inspect_folder(folder, None).columns
    assert (column.kind, column.declared, column.found) == (kind, declared, found)


@pytest.mark.parametrize("cell", ["inf", "-1e+308"])
def test_numbers_without_a_place_are_refused_by_line_and_column(folder: Path, cell: str) -> None:
    write(folder, ["1", cell] * 6)
    with pytest.raises(BadInput, match=rf"column 'x': 6 of 12 cells.*{re.escape(cell)} \(line 3\)"):
        inspect_folder(folder, None)


def test_exclusive_columns_are_proposed_as_one_code(folder: Path) -> None:
    names = sorted(file.relative_to(folder).as_posix() for file in folder.rglob("*.png"))
    rows = [[name, *(str(int(i % 3 == k)) for k in range(3))] for i, name in enumerate(names)]
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "a", "b", "c"), *rows])
    (one,) = inspect_folder(folder, None).columns
    assert (one.name, one.kind, one.spread) == ("class", "categorical", ("a", "b", "c"))
    assert one.found == "a: 4, b: 4, c: 4"
    rows[0][1:] = ["1", "1", "0"]  # now a picture may be of two kinds
    with (folder / "labels.csv").open("w", newline="") as stream:
        csv.writer(stream).writerows([("file", "a", "b", "c"), *rows])
    assert [column.name for column in inspect_folder(folder, None).columns] == ["a", "b", "c"]


def test_deep_gray_is_said(tmp_path: Path) -> None:
    for i in range(3):
        Image.fromarray(np.full((8, 8), 500 * i, dtype=np.uint16)).save(tmp_path / f"{i}.png")
    found = inspect_folder(tmp_path, None)
    assert found.gray
    assert found.notes == (
        "3 pictures have more than 8 bits of gray: the lowest value in the whole set becomes "
        "black, the highest white, unless data.source.levels says which",
    )
