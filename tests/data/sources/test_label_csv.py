"""CSVs of partial labels: cells come back, whatever divides them."""

import csv

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.data.sources.label_csv import LabelCsv

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=" \u2028\u2029"))


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
