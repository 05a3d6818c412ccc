"""Markdown in which names from outside stay text: no markup, no emoji code, no turned order.

What is written here reads the same in CommonMark with tables (GitHub, markdown-it) and in
Showdown, which MLflow's pages use.
"""

import re
import unicodedata
from collections.abc import Iterable, Sequence

_MARKUP = re.compile(
    r"[&<>\\`*\[\]|~:!#$@]|(?<![^\W_])_|_(?![^\W_])|(?<=www)\.", flags=re.IGNORECASE
)
_JOINERS = "\u200c\u200d"  # of emoji and of Persian words
_TURNED = ("R", "AL", "AN")


def text(name: object) -> str:
    """Write any text so that it comes out as it is, in one line.

    What has a meaning in Markdown or HTML becomes a character reference, what cannot be seen an
    escape as Python's, and what is read from right to left turns nothing beside it.
    """
    seen = "".join(map(_visible, str(name)))
    return _isolated(_MARKUP.sub(lambda found: f"&#{ord(found[0])};", seen))


def code(name: str) -> str:
    """Write a name as code where that can say it, else as `text`."""
    seen = "".join(map(_visible, name))
    return _isolated(f"`{seen}`") if seen.strip() and not set(seen) & set("`|") else text(name)


def block(lines: str, language: str) -> str:
    """Fence lines of a program, whatever they hold."""
    longest = max((len(run) for run in re.findall("`+", lines)), default=0)
    fence = "`" * max(3, longest + 1)
    return f"{fence}{language}\n{lines}\n{fence}"


def table(head: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Write a table of cells that are Markdown; a pipe in one parts no cells."""

    def line(cells: Iterable[str]) -> str:
        return f"| {' | '.join(cell.replace('|', chr(92) + '|') for cell in cells)} |"

    return "\n".join([line(head), f"|{' --- |' * len(head)}", *map(line, rows)])


def to_html(markdown: str) -> str:
    """Render Markdown as HTML that may stand in a page: tags in the text come out as text."""
    from markdown_it import MarkdownIt  # of the extra `train`

    rendered: str = MarkdownIt("commonmark", {"html": False}).enable("table").render(markdown)
    return rendered


def is_turned(name: str) -> bool:
    """Whether a name has letters that are read from right to left."""
    return any(unicodedata.bidirectional(one) in _TURNED for one in name)


def _isolated(markdown: str) -> str:
    """Let the order of what is read from right to left end with it."""
    return f"\u2068{markdown}\u2069" if is_turned(markdown) else markdown


def _visible(one: str) -> str:
    kind = unicodedata.category(one)
    is_seen = one in _JOINERS or (kind[0] != "C" and kind not in ("Zl", "Zp"))
    return one if is_seen else one.encode("unicode_escape").decode()
