"""The table of metrics, ``{metrics}``: written from the catalog, so that it cannot go stale."""

from typing import Any

from docutils import nodes
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

from ssgan.evaluation.catalog import METRICS, Metric

_BETTER = {"min": "less", "max": "more", None: ""}


class Metrics(SphinxDirective):
    """Every metric: its names in records, its title, its meaning, its direction, its needs."""

    has_content = False

    def run(self) -> list[nodes.Node]:
        """Write the table as MyST and parse that."""
        rows = [
            "| name | title | meaning | better | needs |",
            "| --- | --- | --- | --- | --- |",
            *map(_row, METRICS.values()),
        ]
        return self.parse_text_to_nodes("\n".join(rows))


def _row(metric: Metric) -> str:
    names = [metric.name] if metric.is_total else []
    names += [f"{metric.name}/<code>"] if metric.per else []
    names += [f"{metric.name}/<code>.<class>"] if metric.per == "class" else []
    cells = (
        ", ".join(f"`{name}`" for name in names),
        metric.title.format("<code>").replace("<", "\\<"),
        metric.meaning,
        _BETTER[metric.better],
        ", ".join(metric.needs),
    )
    return f"| {' | '.join(cells)} |"


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directive."""
    app.add_directive("metrics", Metrics)
    return {"parallel_read_safe": True}
