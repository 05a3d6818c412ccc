"""Rows of a table find their pictures, or an error that says what is there."""

from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import RawColumn
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.matching import Matched, fits, match_pictures

ROOT = Path("photos")


def table(folder: Path = ROOT, **columns: list[str]) -> LabelTable:
    count = len(next(iter(columns.values())))
    raws = {name: RawColumn(cells, is_text=True) for name, cells in columns.items()}
    places = tuple(f"line {row + 2}" for row in range(count))
    return LabelTable("labels.csv", raws, places, (folder,) * count)


def match(names: list[str], folder: Path = ROOT, **columns: list[str]) -> Matched:
    return match_pictures(table(folder, **columns), names, ROOT)


@pytest.mark.parametrize(
    ("cells", "names", "how"),
    [
        (["b.png", "./a.png"], ["a.png", "b.png"], None),
        (["sub\\b.png", "a.png"], ["a.png", "sub/b.png"], None),
        (["b", "a"], ["a.png", "b.jpg"], "without their ending"),
        (["b.jpg", "a.jpg"], ["a.png", "b.png"], "without their ending"),
        (["/home/me/b.png", "old/a.png"], ["a.png", "new/b.png"], "the last part of their paths:"),
        (["b", "a"], ["new/a.png", "new/b.png"], "without its ending"),
        (
            ["/data/upload/1/5c1e9a00-b.png", "/data/local-files/?d=x/a.png"],
            ["a.png", "b.png"],
            "without the prefix of an upload",
        ),
        (["b.png", "cafe\u0301.png"], ["caf\u00e9.png", "b.png"], None),
    ],
)
def test_names_are_compared_in_several_ways(
    cells: list[str], names: list[str], how: str | None
) -> None:
    found = match(names, file=cells)
    picture = {name.rpartition("/")[2][0]: row for row, name in enumerate(names)}
    assert found.rows == (picture["b"], picture[{"b", *picture}.difference("b").pop()])
    assert [how in note for note in found.notes] == ([True] if how else [])


def test_names_are_relative_to_the_tables_own_folder_too() -> None:
    below = ["test/a.png", "train/a.png", "train/b.png"]
    assert match(below, ROOT / "train", file_name=["b.png", "a.png"]).rows == (2, 1)
    assert match(["a.png", "b.png"], Path(), file_name=["photos/b.png"]).rows == (1,)


def test_the_column_is_file_or_the_first_or_the_one_that_names_pictures() -> None:
    names = ["1.png", "2.png", "3.png"]
    exact = ["3.png", "1.png"]
    assert match(names, file=exact, other=["1.png", "2.png"]).column == "file"
    assert match(names, other=["1.png", "2.png"], file=exact).column == "file"
    first = match(names, photo=exact, copy=["1.png", "2.png"])
    assert (first.column, first.notes) == ("photo", ())
    found = match(names, id=["7", "8"], choice=["x", "y"], image=exact)
    assert (found.column, found.rows) == ("image", (2, 0))
    assert found.notes == ("the column 'image' names the pictures",)
    # A number may be a picture's name without its ending; the name itself says more.
    assert match(names, id=["1", "2"], image=exact).column == "image"
    told = match_pictures(table(id=["1", "2"], image=exact), names, ROOT, "id")
    assert (told.column, told.rows) == ("id", (0, 1))
    with pytest.raises(BadInput, match=r"no column 'imag' \(data.source.file_column\); did you"):
        match_pictures(table(image=exact), names, ROOT, "imag")


@pytest.mark.parametrize(
    ("cells", "message"),
    [
        (["a.png", "c.png"], r"1 in all: c\.png \(line 3\)"),
        (["a.png", "x/d.png", "b"], r"\(x/b\.png is there: names .*ending\?\)"),
        (["a.png", "x/c.pig.pgn"], r"\(x/c\.pig\.png is there\)"),
        (["a.png", "./a.png"], r"labels a\.png twice, in line 2 and line 3"),
        (["x/d", "x/e"], r"line 2: x/d may be x/d\.jpg or x/d\.png"),
    ],
)
def test_rows_without_a_picture_of_their_own_are_refused(cells: list[str], message: str) -> None:
    names = ["a.png", "x/b.png", "x/c.pig.png", "x/d.jpg", "x/d.png", "x/e.jpg", "x/e.png"]
    with pytest.raises(BadInput, match=message):
        match(names, file=cells)


def test_a_table_of_other_things_does_not_fit() -> None:
    assert fits(table(name=["x", "a.png"]), ["a.png"], ROOT)
    assert not fits(table(name=["x", "y", "a.png"], n=["1", "2", "3"]), ["a.png"], ROOT)
