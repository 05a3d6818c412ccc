"""The folder `report` of a search: its contact sheet and its charts."""

from collections.abc import Sequence

from ssgan.drawing.sheet import png
from ssgan.records.histories import Histories, History
from ssgan.records.search_info import read_search_info
from ssgan.records.searchdir import SearchDir
from ssgan.report.charts import heat_map, loss_curves, numeric_fields
from ssgan.report.contact import Thumbnails, contact_sheet

FOLDER = "report"
_LAMBDAS = ("objective.lambda1", "objective.lambda2")


class SearchPages:
    """Draws a search's pages and charts, again and again while it runs."""

    def __init__(self) -> None:
        self._thumbnails = Thumbnails()

    def draw(
        self, search: SearchDir, histories: Sequence[History] | None = None
    ) -> dict[str, bytes]:
        """Draw everything that there is something to draw of; histories may be read already.

        Returns:
            File names to contents: ``contact-sheet.html``, ``heat-map.png``, ``curves.png``,
            ``curves-finals.png``. Equal directories give equal bytes.
        """
        info = read_search_info(search)
        histories = Histories().read(search) if histories is None else histories
        fields = numeric_fields(histories)
        axes = _LAMBDAS if set(_LAMBDAS) <= set(fields) else fields[:2]
        charts = {
            "heat-map": heat_map(histories, info, *axes) if len(axes) == 2 else None,
            "curves": loss_curves(histories, info),
            "curves-finals": loss_curves(histories, info, "final"),
        }
        page = contact_sheet(search, histories, thumbnails=self._thumbnails)
        drawn = {f"{name}.png": png(chart) for name, chart in charts.items() if chart is not None}
        return {"contact-sheet.html": page.encode(), **drawn}


def write_report(search: SearchDir) -> list[str]:
    """Draw a search's report and write it to its directory; return the files' names in there."""
    drawn = SearchPages().draw(search)
    for name, content in drawn.items():
        search.write_bytes(f"{FOLDER}/{name}", content)
    return [f"{FOLDER}/{name}" for name in drawn]
