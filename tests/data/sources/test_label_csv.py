"""The CSV of partial labels: whatever a spreadsheet writes is read back."""

import csv
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.data.sources.label_csv import LabelCsv, is_number

CELLS = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=" \u2028\u2029"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(CELLS, CELLS), min_size=1, max_size=12),
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
    with pytest.raises(BadInput, match=r"1 of 3 cells are no numbers: 'n/a' \(line 5\)"):
        table.cells("x", None)
    assert table.cells("x", "categorical") == ["1", "2", None, "n/a"]


@pytest.mark.parametrize(
    ("cell", "expected"), [("1e3", True), ("-.5", True), ("", False), ("1,5", False)]
)
def test_numbers_are_told_from_words(cell: str, expected: bool) -> None:
    assert is_number(cell) is expected
