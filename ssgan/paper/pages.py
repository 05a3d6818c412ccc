"""The report as pages: one self-contained HTML file, and Markdown with its pictures next to it."""

import base64
from html import escape
from importlib.resources import files
from typing import NamedTuple

from ssgan.base.markdown_text import table as markdown_table
from ssgan.base.markdown_text import to_html

_CURVES = "curves.csv"
_VERDICTS = {"holds": "holds", "does not hold": "fails", "not decided": "open"}


class Figure(NamedTuple):
    """One picture of the report."""

    name: str
    """File name without its suffix."""
    caption: str
    """What it shows, and to which figure of the paper it compares."""
    png: bytes
    """The picture."""


class Table(NamedTuple):
    """A table of text."""

    title: str
    head: tuple[str, ...]
    """Names of its columns."""
    rows: tuple[tuple[str, ...], ...]
    note: str = ""
    """A paragraph below it."""


class Report(NamedTuple):
    """One experiment's report."""

    title: str
    about: tuple[str, ...]
    """Paragraphs before everything: how it was made."""
    tables: tuple[Table, ...]
    """The claims and their verdicts, figures in numbers, and what the report rests on."""
    figures: tuple[Figure, ...]
    curves: bytes = b""
    """What every run measured at every epoch, as CSV; empty for none."""


def html_page(report: Report) -> str:
    """Write the report as one HTML file without links, for a mail or a shared folder."""
    text = markdown_page(report._replace(curves=b""), "")
    body = to_html(text)
    for figure in report.figures:
        data = base64.b64encode(figure.png).decode()
        body = body.replace(f'src="/{figure.name}.png"', f'src="data:image/png;base64,{data}"')
    for verdict, kind in _VERDICTS.items():
        body = body.replace(f"<td>{verdict}</td>", f'<td class="{kind}">{verdict}</td>')
    page = (files("ssgan.paper") / "report.html").read_text(encoding="utf-8")
    return page.replace("<!--TITLE-->", escape(report.title)).replace("<!--BODY-->", body)


def markdown_page(report: Report, pictures: str) -> str:
    """Write the report as Markdown; `pictures` is their folder, relative to the page."""
    parts = [f"# {report.title}", *report.about]
    for table in report.tables:
        rows = markdown_table(table.head, table.rows)
        parts += [f"## {table.title}", rows, *filter(None, [table.note])]
    if report.curves:
        parts.append(f"What each run measured at each epoch: [{_CURVES}]({pictures}/{_CURVES}).")
    parts.append("## Figures")
    for figure in report.figures:
        parts += [f"![{figure.caption}]({pictures}/{figure.name}.png)", f"*{figure.caption}*"]
    return "\n\n".join(parts) + "\n"


def files_of(report: Report, name: str, shared: Report | None = None) -> dict[str, bytes]:
    """Return the report's files by name: NAME.html, NAME.md, NAME/PICTURE.png, NAME/curves.csv.

    The Markdown page, which may be committed where the HTML page may not, is of `shared` if given.
    """
    shared = shared or report
    return {
        f"{name}.html": html_page(report).encode(),
        f"{name}.md": markdown_page(shared, name).encode(),
        **{f"{name}/{figure.name}.png": figure.png for figure in shared.figures},
        **({f"{name}/{_CURVES}": shared.curves} if shared.curves else {}),
    }
