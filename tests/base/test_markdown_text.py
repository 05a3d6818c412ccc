"""Names from outside stay text in Markdown and in the HTML that is made of it."""

import html
import re
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ssgan.base.markdown_text import block, code, table, text, to_html

NAMES = [
    "style_1",
    "_a_ and __b__",
    "<script>alert(1)</script>",
    "<img src=x onerror=alert(1)>",
    "&lt;",
    "a|b",
    "`x`",
    "**b** [a](javascript:x) ![i](http://example.org)",
    "https://example.org www.example.org @who :smile: ~~no~~ $x$",
    r"back\slash\\",
    "👩‍👧 😀",
    "日本語",
]


def shown(rendered: str) -> str:
    return html.unescape(re.sub("<[^>]*>", "", rendered)).strip()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("write", [text, code])
def test_a_name_comes_out_as_it_is_and_brings_no_tag(
    name: str, write: Callable[[str], str]
) -> None:
    rendered = to_html(f"A {write(name)} b")
    assert shown(rendered) == f"A {name} b"
    assert set(re.findall("<([a-z]+)", rendered)) <= {"p", "code"}
    cells = to_html(table(("one", "two"), [(write(name), "end")]))
    assert [shown(cell) for cell in re.findall("<td>(.*?)</td>", cells)] == [name, "end"]


def test_what_is_read_from_right_to_left_turns_nothing_beside_it() -> None:
    assert text("ספרה") == "\u2068ספרה\u2069"
    assert code("رقم") == "\u2068`رقم`\u2069"
    assert text("é") == "é"


def test_what_cannot_be_seen_is_written_as_an_escape() -> None:
    assert shown(to_html(text("a\nb\u202ec\x1b"))) == r"a\nb\u202ec\x1b"
    assert shown(to_html(code("a\u2028b"))) == r"a\u2028b"


@given(st.text(min_size=1))
def test_no_text_makes_a_tag_or_a_second_line(name: str) -> None:
    written = text(name)
    assert len(written.splitlines()) <= 1
    assert set(re.findall("<([a-z]+)", to_html(f"x{written}x"))) == {"p"}


@pytest.mark.parametrize("lines", ["plain", "```\n<b>", "a ````` b"])
def test_a_block_holds_any_lines(lines: str) -> None:
    rendered = to_html(block(lines, "python"))
    assert rendered.count("<code") == 1
    assert shown(rendered) == lines
