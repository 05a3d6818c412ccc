"""The documentation's notebook runs, and shows what is kept of it."""

from pathlib import Path

import nbformat
import pytest

from tests.helpers.notebook import NOTEBOOK, execute

pytestmark = [pytest.mark.integration, pytest.mark.slow]


def forms(notebook: nbformat.NotebookNode) -> dict[str, list[list[str]]]:
    """Return in which forms each cell shows what it makes."""
    return {
        cell.id: [sorted(one.get("data", {one.get("name"): ""})) for one in cell.outputs]
        for cell in notebook.cells
        if cell.cell_type == "code"
    }


def test_the_notebook_trains_shows_and_reads_a_generator(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(NOTEBOOK.parents[1]), prepend=":")
    made = execute(tmp_path)  # raises where a cell does
    assert [cell.source for cell in made.cells if "generator.grid(" in cell.source]
    kept = nbformat.read(NOTEBOOK, as_version=4)
    assert forms(made) == forms(kept)
    assert ["text/html", "text/plain"] in [form for cell in forms(made).values() for form in cell]
    assert ["image/png", "text/plain"] in [form for cell in forms(made).values() for form in cell]
    lines = "".join(
        one.text for cell in made.cells for one in cell.get("outputs", []) if "text" in one
    ).splitlines()
    assert lines[0] == "(10, 16, 16, 1) uint8"
    read = [line.split()[2:5:2] for line in lines[1:11]]  # asked for 3, read 3 (0.97)
    assert sum(asked.strip(",") == found for asked, found in read) >= 8
    assert 0 <= float(lines[11].removeprefix("0-1 loss: ")) < 0.2


def test_what_is_kept_is_small_and_names_no_place() -> None:
    text = NOTEBOOK.read_text()
    assert len(text) < 200_000
    assert str(Path.home()) not in text
    assert "site-packages" not in text
    assert '"output_type": "error"' not in text
