"""The report as pages: one self-contained HTML file, and Markdown with its pictures beside it."""

import base64
from collections.abc import Iterable
from html import escape
from typing import NamedTuple

from markdown_it import MarkdownIt

from ssgan.paper.claims import Claim
from ssgan.paper.findings import Finding

CURVES = "curves.csv"
"""File of all measurements, beside the pictures."""


class Figure(NamedTuple):
    """One picture of the report."""

    name: str
    """File name without its suffix."""
    caption: str
    """What it shows, and which figure of the paper it stands beside."""
    png: bytes
    """The picture."""


class Table(NamedTuple):
    """A table of text."""

    title: str
    """Its heading."""
    head: tuple[str, ...]
    """Names of its columns."""
    rows: tuple[tuple[str, ...], ...]
    """Its cells."""
    note: str = ""
    """A paragraph below it."""


class Report(NamedTuple):
    """One experiment's report."""

    title: str
    """Its heading."""
    about: tuple[str, ...]
    """Paragraphs before everything: how it was made."""
    findings: tuple[tuple[Claim, Finding], ...]
    """The paper's claims and what became of them."""
    tables: tuple[Table, ...]
    """Figures in numbers, and what the report rests on."""
    figures: tuple[Figure, ...]
    """Its pictures."""
    curves: bytes = b""
    """What every run measured at every epoch, as CSV; empty for none."""


def html_page(report: Report) -> str:
    """Write the report as one HTML file without links, for a mail or a shared folder."""
    text = markdown_page(report._replace(curves=b""), "")
    body = MarkdownIt("commonmark", {"html": False}).enable("table").render(text)
    for figure in report.figures:
        data = base64.b64encode(figure.png).decode()
        body = body.replace(f'src="/{figure.name}.png"', f'src="data:image/png;base64,{data}"')
    for verdict, kind in _VERDICTS.items():
        body = body.replace(f"<td>{verdict}</td>", f'<td class="{kind}">{verdict}</td>')
    return _PAGE.format(title=escape(report.title), body=body)


def markdown_page(report: Report, pictures: str) -> str:
    """Write the report as Markdown.

    Args:
        report: The report.
        pictures: Folder of the pictures, relative to the page.
    """
    lines = [f"# {report.title}", ""]
    for text in report.about:
        lines += [text, ""]
    for table in (_claims(report), *report.tables):
        lines += [f"## {table.title}", "", *_markdown_table(table), ""]
        lines += [table.note, ""] if table.note else []
    if report.curves:
        lines += [f"What each run measured at each epoch: [{CURVES}]({pictures}/{CURVES}).", ""]
    lines += ["## Figures", ""]
    for figure in report.figures:
        lines += [
            f"![{figure.caption}]({pictures}/{figure.name}.png)",
            "",
            f"*{figure.caption}*",
            "",
        ]
    return "\n".join(lines)


def _claims(report: Report) -> Table:
    rows = [
        (claim.section, claim.text, finding.verdict, claim.measure, finding.measured, finding.why)
        for claim, finding in report.findings
    ]
    head = ("section", "claim", "verdict", "measured as", "value", "why")
    return Table("Claims", head, tuple(rows), _LEGEND)


_LEGEND = (
    "A claim holds, or does not, where a one-sided test over seeds rejects the opposite at 5 % and "
    "the difference exceeds C's own error; else this budget does not decide it. Values are mean ± "
    "standard deviation over n runs."
)


def _markdown_table(table: Table) -> list[str]:
    return [_row(table.head), _row(["---"] * len(table.head)), *map(_row, table.rows)]


def _row(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"


def files_of(report: Report, name: str, shared: Report | None = None) -> dict[str, bytes]:
    """Return the report's files by name: NAME.html, NAME.md, NAME/PICTURE.png, NAME/curves.csv.

    Args:
        report: The report, for the HTML page.
        name: Name of the pages, and of the folder of pictures.
        shared: Another one for the Markdown page, which may be committed where the HTML page may
            not; the same by default.
    """
    shared = shared or report
    return {
        f"{name}.html": html_page(report).encode(),
        f"{name}.md": markdown_page(shared, name).encode(),
        **{f"{name}/{figure.name}.png": figure.png for figure in shared.figures},
        **({f"{name}/{CURVES}": shared.curves} if shared.curves else {}),
    }


_VERDICTS = {"holds": "holds", "does not hold": "fails", "not decided": "open"}

_PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="default-src 'none'; img-src data:; \
style-src 'unsafe-inline'">
<title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; color: #1f2328; background: #fff;
  max-width: 70rem; margin: 2rem auto; padding: 0 1rem; }}
h1, h2 {{ line-height: 1.2; }}
h2 {{ margin-top: 2.5rem; }}
table {{ border-collapse: collapse; font-size: 0.85rem; display: block; overflow-x: auto; }}
th, td {{ border-bottom: 1px solid #d0d7de; padding: 0.4rem 0.6rem; text-align: left;
  vertical-align: top; }}
td.holds {{ color: #1a7f37; font-weight: 600; white-space: nowrap; }}
td.fails {{ color: #cf222e; font-weight: 600; white-space: nowrap; }}
td.open {{ color: #6e7781; white-space: nowrap; }}
img {{ max-width: 100%; height: auto; margin-top: 2rem; }}
em {{ color: #57606a; font-size: 0.9rem; font-style: normal; }}
code {{ background: #f6f8fa; padding: 0.1rem 0.3rem; }}
</style>
</head>
<body>
{body}
</body>
</html>
"""
