"""Cells: what reads as a number, and what an empty one is."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan.data.sources.cells import Cell, RawColumn, drop_markers, is_number


@pytest.mark.parametrize(
    ("cell", "expected"),
    [("1e3", True), ("-.5", True), ("", False), ("1,5", False), ("1_000", False), (None, False)],
)
def test_numbers_are_told_from_words(cell: str, expected: bool) -> None:
    assert is_number(cell) is expected


@given(st.lists(st.one_of(st.none(), st.integers(-3, 3), st.sampled_from(["a", "NA", "-1", ""]))))
def test_each_cell_is_kept_or_counted(cells: list[Cell]) -> None:
    read, dropped = drop_markers(cells, (-1, "NA", ""), kept=("a",))
    gone = sum(cell is not None for cell in cells) - sum(cell is not None for cell in read)
    assert gone == dropped.total()
    assert all(new in (None, old) for new, old in zip(read, cells, strict=True))
    assert not {-1, "NA", "-1", ""} & {*read}


def test_a_column_is_spread_over_more_rows() -> None:
    assert RawColumn(["a", "b"], is_text=True).spread([3, 1], 4) == RawColumn(
        [None, "b", None, "a"], is_text=True
    )
