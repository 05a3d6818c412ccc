"""Label columns: what cells become, and which cells are refused."""

import math
import unicodedata
from collections.abc import Mapping
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.data.sources.base import FOREIGN
from ssgan.data.sources.cells import Cell, RawColumn
from ssgan.data.sources.columns import ColumnsConfig, ReadColumns, read_columns
from ssgan.method.codes import Code

ALL_WORDS = ColumnsConfig(unknown=())


class Column(NamedTuple):
    code: Code
    values: np.ndarray
    notes: tuple[str, ...]


def read_all(table: Mapping[str, RawColumn], config: ColumnsConfig | None = None) -> ReadColumns:
    mask = np.ones(len(next(iter(table.values())).cells), dtype=np.bool_)
    return read_columns(config or ColumnsConfig(), table, mask, "table", lambda row: f"row {row}")


def read(
    cells: list[Cell] | RawColumn,
    config: ColumnsConfig | None = None,
    train: list[bool] | None = None,
) -> Column:
    raw = cells if isinstance(cells, RawColumn) else RawColumn(cells)
    mask = np.array([True] * len(raw.cells) if train is None else train)
    (code,), labels, notes = read_columns(
        config or ColumnsConfig(), {"x": raw}, mask, "table", lambda row: f"row {row}"
    )
    return Column(code, labels[:, 0], notes)


def text(*cells: str | None, comma: bool = False) -> RawColumn:
    """Cells of a CSV."""
    return RawColumn(cells, is_text=True, comma=comma)


def words(column: Column) -> list[str | None]:
    return [None if np.isnan(v) else column.code.classes[int(v)] for v in column.values]


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30))
def test_text_comes_back_through_its_classes(cells: list[Cell]) -> None:
    cells = [cell and unicodedata.normalize("NFC", cell) for cell in cells]
    distinct = {cell for cell in cells if cell is not None}
    if len(distinct) < 2:
        with pytest.raises(BadInput, match="two classes or more"):
            read(cells, ALL_WORDS)
        return
    column = read(cells, ALL_WORDS)
    assert words(column) == cells
    assert set(column.code.classes) == distinct


@given(
    st.lists(st.one_of(st.none(), st.floats(-1e6, 1e6, width=32)), min_size=2, max_size=30),
)
def test_numbers_come_back_and_give_the_range(cells: list[Cell]) -> None:
    known = [cell for cell in cells if isinstance(cell, float)]
    if len(set(known)) < 2:
        with pytest.raises(BadInput):
            read(cells)
        return
    column = read(cells, ColumnsConfig(kinds={"x": "continuous"}))
    assert column.code.kind == "continuous"
    assert len(set(known)) == 2 or read(cells).code == column.code
    assert (column.code.low, column.code.high) == (min(known), max(known))
    expected = [math.nan if cell is None else cell for cell in cells]
    np.testing.assert_array_equal(column.values, np.array(expected, dtype=np.float32))


def test_kinds_are_guessed_from_types() -> None:
    assert read([3, 1, None]).code.classes == ("1", "3")
    assert read([True, False]).code.classes == ("no", "yes")
    assert read(["b", "a"]).code.classes == ("a", "b")
    assert read([0.5, 1.0, 2.0]).code.kind == "continuous"
    assert read(["10", "2", "x"]).code.classes == ("2", "10", "x")


def test_kind_and_classes_are_the_users_to_say() -> None:
    numbers = ColumnsConfig(kinds={"x": "categorical"})
    column = read([1.0, 0.0, math.nan, 2.0], numbers)
    assert column.code.classes == ("0", "1", "2")
    np.testing.assert_array_equal(column.values, [1, 0, np.nan, 2])
    named = read([0, 1, 1], ColumnsConfig(classes={"x": ("no", "yes")}))
    assert named.code.classes == ("no", "yes")
    assert named.values.tolist() == [0, 1, 1]
    assert read([False, True], ColumnsConfig(classes={"x": ("off", "on")})).values.tolist() == [
        0,
        1,
    ]
    ordered = read(["low", "high"], ColumnsConfig(classes={"x": ("low", "mid", "high")}))
    assert ordered.values.tolist() == [0, 2]
    by_name = read([3, 5], ColumnsConfig(classes={"x": ("5", "3")}))
    assert by_name.values.tolist() == [1, 0]
    assert read([1, 2], ColumnsConfig(kinds={"x": "continuous"})).code.high == 2


def test_range_is_taken_over_the_train_split() -> None:
    column = read([0.0, 1.0, 9.0], train=[True, True, False])
    assert (column.code.low, column.code.high) == (0, 1)
    assert column.values.tolist() == [0, 1, 9]


@pytest.mark.parametrize(
    ("cells", "config", "message"),
    [
        (["1.5", "tall"], {"kinds": {"x": "continuous"}}, r"not finite numbers: 'tall' \(row 1\)"),
        ([1.0, math.inf], {}, r"not finite numbers: inf \(row 1\)"),
        (
            [1e308, -1e308],
            {},
            r"2 of 2 cells are beyond .*float32.*: 1e\+308 \(row 0\), -1e\+308 \(",
        ),
        ([1e30, 1e30 * (1 + 1e-9)], {"kinds": {"x": "continuous"}}, "only the value 1e\\+30"),
        ([0, 1, 7], {"classes": {"x": ("a", "b")}}, r"none of the classes a, b: 7 \(row 2\)"),
        ([2, 2, None], {}, "only the class '2'"),
        ([None, None], {}, "no label"),
        ([1.0, 1.0], {"kinds": {"x": "continuous"}}, "only the value 1 in the train split"),
        (list(range(1001)), {}, "1001 distinct values are too many"),
    ],
)
def test_cells_that_cannot_be_labels(
    cells: list[Cell], config: dict[str, object], message: str
) -> None:
    with pytest.raises(BadInput, match=message) as error:
        read(cells, ColumnsConfig(**config))
    assert "table, column 'x'" in str(error.value)


@pytest.mark.parametrize(
    ("config", "columns", "message"),
    [
        ({}, ["agne"], "no column 'agne'; did you mean 'angle'"),
        ({"names": {"hue": "h"}}, ["angle"], "no column 'hue'"),
        ({"kinds": {"angel": "continuous"}}, ["angle"], "'angel'.*did you mean 'angle'"),
        ({"classes": {"a": ("x", "y")}}, ["angle"], "data.source.classes names the code 'a'"),
        ({"names": {"angle": "c", "color": "c"}}, ["angle", "color"], "make the code 'c'"),
        (
            {"kinds": {"angle": "continuous"}, "classes": {"angle": ("x", "y")}},
            ["angle"],
            "takes no classes",
        ),
    ],
)
def test_names_are_checked(config: dict[str, object], columns: list[str], message: str) -> None:
    with pytest.raises(BadInput, match=message):
        ColumnsConfig(**config).check(columns, ["angle", "color"], "table")


def test_words_for_nothing_are_unknown_and_counted() -> None:
    cells = ["circle", "NA", "square", "nan", "None", "na", None]
    column = read(text(*cells))
    assert words(column) == ["circle", None, "square", None, None, "na", None]
    (note,) = column.notes
    assert note.startswith("x: 3 cells are unknown (1 NA, 1 nan, 1 None); data.source.unknown=[]")
    assert words(read(text(*cells), ALL_WORDS)) == cells
    own = read(text(*cells), ColumnsConfig(unknown=("na",)))
    assert words(own) == ["circle", "NA", "square", "nan", "None", None, None]
    named = ColumnsConfig(classes={"x": ("circle", "square", "NA", "na")})
    assert words(read(text(*cells), named)) == ["circle", "NA", "square", None, None, "na", None]
    # Among numbers too; names of folders are no spreadsheet's.
    assert read(text("1.5", "N/A", "2", "7")).code.high == 7
    assert read(RawColumn(["NA", "EU"], words=False)).code.classes == ("EU", "NA")


def test_a_marker_that_is_a_number_stands_for_all_ways_to_write_it() -> None:
    marked = ColumnsConfig(unknown=(-1, "?"))
    for cells in ([-1, 0, 1, 2], [-1.0, 0.0, 1.0, 2.0]):
        assert np.isnan(read(cells, marked).values).tolist() == [True, False, False, False]
    assert words(read(text("-1.0", "?", "a", "b", "NA"), marked)) == [None, None, "a", "b", "NA"]
    asked = read([-1, 0, 1, 2])
    assert asked.code.classes == ("-1", "0", "1", "2")
    assert "-1 (1 cells) is read as a class; if it means unknown" in asked.notes[0]
    assert "is read as a value" in read(text("-1", "0", "1", "2")).notes[0]


@pytest.mark.parametrize(
    ("cells", "classes"),
    [
        (("-1", "1"), ("no", "yes")),
        (("0", "1.0"), ("no", "yes")),
        (("2", "1"), ("2", "1")),
        (("0.5", "10"), ("0.5", "10")),
    ],
)
def test_two_numbers_make_two_classes(cells: tuple[str, str], classes: tuple[str, str]) -> None:
    column = read(text(*cells, None))
    assert words(column) == [*classes, None]
    assert "data.source.kinds.x=continuous makes them values" in column.notes[0]
    values = read(text(*cells, None), ColumnsConfig(kinds={"x": "continuous"}))
    assert values.values[:2].tolist() == [float(cell) for cell in cells]
    # Who declared classes of numbers keeps the numbers as names.
    declared = read(text("0", "1"), ColumnsConfig(kinds={"x": "categorical"}))
    assert declared.code.classes == ("0", "1")


def test_names_in_the_table_are_classes_and_minus_one_is_none_of_them() -> None:
    raw = RawColumn([1, 0, -1, -1, 1], classes=("3", "1", "never"))
    column = read(raw)
    assert column.code.classes == ("3", "1", "never")
    assert words(column) == ["1", "3", None, None, "1"]
    assert "2 cells are unknown (2 -1)" in column.notes[0]
    with pytest.raises(BadInput, match=r"none of the classes.*number 5"):
        read(RawColumn([0, 5], classes=("a", "b")))
    with pytest.raises(BadInput, match="none of the classes"):
        read(raw, ALL_WORDS)
    own = ColumnsConfig(classes={"x": ("a", "b", "c")})
    assert words(read(raw, own)) == ["b", "a", None, None, "b"]


def test_one_word_in_two_unicode_forms_is_one_class() -> None:
    column = read(["caf\u00e9", "cafe\u0301", "bar"])
    assert column.code.classes == ("bar", "caf\u00e9")
    assert column.values.tolist() == [1, 1, 0]
    assert column.notes == ("x: two Unicode forms of 'caf\u00e9' are one class",)


def test_decimal_commas_are_numbers() -> None:
    column = read(text("0,43", "1", "-2,5", "NA", comma=True))
    assert (column.code.kind, column.values[:3].tolist()) == (
        "continuous",
        [np.float32(0.43), 1, -2.5],
    )
    assert "x: decimal commas are read as points" in column.notes
    assert read(text("1,234", "2,345", "3,456", comma=True)).code.high == 3.456
    # In a file whose cells are divided by commas these may be thousands, and stay words.
    assert read(text("1,234", "2,345", "3,456")).code.kind == "categorical"
    assert read(text("1,23", "2,345", "3,456")).code.kind == "continuous"
    kept = ColumnsConfig(kinds={"x": "categorical"})
    assert read(text("0,5", "1,5", comma=True), kept).code.classes == ("0,5", "1,5")


def test_columns_of_which_one_is_1_are_one_code() -> None:
    flags = {
        "a": text("1", "0", None, "0"),
        "b": text("0", "1", None, "0"),
        "c": text("0", "0", None, "1"),
    }
    table = {"size": text("5", "6", "7", "8"), **flags}
    config = ColumnsConfig(one_hot={"class": ("a", "b", "c")})
    read = read_all(table, config)
    assert [code.name for code in read.codes] == ["size", "class"]
    assert read.codes[1].classes == ("a", "b", "c")
    np.testing.assert_array_equal(read.labels[:, 1], [0, 1, np.nan, 2])
    renamed = config.model_copy(update={"classes": {"class": ("x", "y", "z")}})
    assert read_all(table, renamed).codes[1].classes == ("x", "y", "z")
    # Without it they are codes of their own.
    assert [code.size for code in read_all(flags).codes] == [2, 2, 2]
    for wrong in ("1", "2"):
        with pytest.raises(BadInput, match=r"1 of 2 rows do not have one 1.*'1 [12]' \(row 0\)"):
            read_all(
                {"a": text("1", "0"), "b": text(wrong, "1")},
                ColumnsConfig(one_hot={"k": ("a", "b")}),
            )
    with pytest.raises(BadInput, match="'a' stands in two codes"):
        ColumnsConfig(one_hot={"k": ("a", "b")}).check(["a"], ["a", "b"], "table")


def test_words_among_numbers_need_a_declaration() -> None:
    with pytest.raises(BadInput, match=r"1 of 3 cells are not numbers: 'high' \(row 3\).*unknown"):
        read(text("1", "2", None, "high"))
    declared = read(text("1", "2", None, "high"), ColumnsConfig(kinds={"x": "categorical"}))
    assert declared.code.classes == ("1", "2", "high")


def test_none_of_these_is_a_label_of_classes_and_unknown_among_numbers() -> None:
    told = ColumnsConfig(foreign=("none of these", "?"))
    column = read(text("a", "none of these", None, "b", "?", "NA"), told)
    assert column.code.classes == ("a", "b")
    np.testing.assert_array_equal(column.values, [0, FOREIGN, np.nan, 1, FOREIGN, np.nan])
    assert "2 cells (none of these, ?) are none of the classes" in column.notes[-1]
    numbers = read(text("0.5", "?", "1", "2"), told)
    np.testing.assert_array_equal(numbers.values, [0.5, np.nan, 1, 2])
    assert "1 cells (?) are unknown" in numbers.notes[-1]
    named = told.model_copy(update={"classes": {"x": ("a", "?")}})
    assert read(text("a", "?", "none of these"), named).values.tolist() == [0, 1, FOREIGN]
    assert read([math.nan, 0, 1, 2], ColumnsConfig(foreign=(2,))).values[3] == FOREIGN
    assert math.isnan(read([math.nan, 0, 1, 2], ColumnsConfig(foreign=(2,))).values[0])


def test_a_source_without_foreign_words_is_known_by_what_it_was() -> None:
    assert "foreign" not in ColumnsConfig().parameters()
    assert ColumnsConfig(foreign=("x",)).parameters()["foreign"] == ["x"]
