"""Label columns: what cells become, and which cells are refused."""

import csv
import math
from pathlib import Path
from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.data.sources.columns import Cell, ColumnsConfig, LabelCsv, is_number, read_columns
from ssgan.method.codes import Code

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=" \u2028\u2029"))


class Column(NamedTuple):
    code: Code
    values: np.ndarray


def read(
    cells: list[Cell], config: ColumnsConfig | None = None, train: list[bool] | None = None
) -> Column:
    mask = np.array([True] * len(cells) if train is None else train)
    (code,), labels = read_columns(
        config or ColumnsConfig(), {"x": cells}, mask, "table", lambda row: f"row {row}"
    )
    return Column(code, labels[:, 0])


@given(st.lists(st.one_of(st.none(), st.text(max_size=3)), max_size=30))
def test_text_comes_back_through_its_classes(cells: list[Cell]) -> None:
    distinct = {cell for cell in cells if cell is not None}
    if len(distinct) < 2:
        with pytest.raises(BadInput, match="two classes or more"):
            read(cells)
        return
    column = read(cells)
    back = [None if np.isnan(v) else column.code.classes[int(v)] for v in column.values]
    assert back == cells
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
    column = read(cells)
    assert column.code.kind == "continuous"
    assert (column.code.low, column.code.high) == (min(known), max(known))
    expected = [math.nan if cell is None else cell for cell in cells]
    np.testing.assert_array_equal(column.values, np.array(expected, dtype=np.float32))


def test_kinds_are_guessed_from_types() -> None:
    assert read([3, 1, None]).code.classes == ("1", "3")
    assert read([True, False]).code.classes == ("no", "yes")
    assert read(["b", "a"]).code.classes == ("a", "b")
    assert read([0.5, 1.0]).code.kind == "continuous"
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


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
)
def test_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    delimiter: str,
    bom: bool,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["first", "file", "last"])
        for number, (first, last) in enumerate(rows):
            writer.writerow([first, f"sub/{number}.png", last])
    read = LabelCsv.read(path)
    assert read.files == tuple(f"sub/{number}.png" for number in range(len(rows)))
    assert read.table == {
        "first": [first.strip() for first, _ in rows],
        "last": [last.strip() for _, last in rows],
    }
    assert read.lines[0] == 2


@given(st.lists(st.one_of(st.none(), st.floats(allow_nan=False)), max_size=20))
def test_numbers_are_floats_and_empty_cells_unknown(values: list[float | None]) -> None:
    text = ["" if value is None else repr(value) for value in values]
    table = LabelCsv(Path("x.csv"), (), tuple(range(len(text))), {"x": text})
    assert table.cells("x", None) == values


def test_words_among_numbers_need_a_declaration() -> None:
    text = ["1", "2", "", "n/a"]
    table = LabelCsv(Path("x.csv"), (), (2, 3, 4, 5), {"x": text})
    with pytest.raises(BadInput, match=r"1 of 3 cells are not numbers: 'n/a' \(line 5\)"):
        table.cells("x", None)
    assert table.cells("x", "categorical") == ["1", "2", None, "n/a"]


@pytest.mark.parametrize(
    ("cell", "expected"), [("1e3", True), ("-.5", True), ("", False), ("1,5", False)]
)
def test_numbers_are_told_from_words(cell: str, expected: bool) -> None:
    assert is_number(cell) is expected
