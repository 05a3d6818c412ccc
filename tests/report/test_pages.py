"""The report of a search is a folder of pages and charts."""

from pathlib import Path

import pytest

from ssgan.report import pages as pages_module
from ssgan.report.pages import SearchPages, write_report
from tests.helpers.searchdirs import fill_search, make_search


def test_a_report_is_written_whole(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    fill_search(search, trials=6, epochs=5, finals=1)
    names = write_report(search)
    assert names == [
        "report/contact-sheet.html",
        "report/heat-map.png",
        "report/curves.png",
        "report/curves-finals.png",
    ]
    drawn = SearchPages().draw(search)
    assert {f"report/{name}": content for name, content in drawn.items()} == {
        name: search.read_bytes(name) for name in names
    }
    assert all(content.startswith(b"\x89PNG") for name, content in drawn.items() if "png" in name)


def test_a_search_without_trials_has_a_page_only(tmp_path: Path) -> None:
    assert list(SearchPages().draw(make_search(tmp_path))) == ["contact-sheet.html"]


def test_the_heat_map_is_of_the_two_lambdas_or_else_of_the_first_two_numbers(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked = []
    monkeypatch.setattr(pages_module, "heat_map", lambda _, __, x, y: asked.append((x, y)))
    search = make_search(tmp_path)
    rows = fill_search(search, trials=4, epochs=2)
    SearchPages().draw(search)
    search.write_rows(
        row.model_copy(update={"values": {"a": i, "word": "w", "b.c": 2 * i, "d": i}})
        for i, row in enumerate(rows)
    )
    SearchPages().draw(search)
    search.write_rows(row.model_copy(update={"values": {"a": i}}) for i, row in enumerate(rows))
    SearchPages().draw(search)
    assert asked == [("objective.lambda1", "objective.lambda2"), ("a", "b.c")]
