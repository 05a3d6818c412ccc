"""What a notebook shows of a generator: names as they are, and never as markup."""

import base64
import io
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest
from PIL import Image

from ssgan.export import NamedGenerator
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from tests.helpers.exports import save_untrained

HOSTILE = '<img src=x onerror="alert(1)">&amp;'
SPACE = LatentSpace(
    supervised=(
        Code(name=HOSTILE, kind="categorical", classes=("</td><script>", "\x1b[31m", "שלום 🙂")),
        Code(name="angle", kind="continuous", low=-30, high=60),
    ),
    unsupervised=(Code(name="style_1", kind="continuous"),),
    noise=4,
)


class Reader(HTMLParser):
    """Collects the tags of a text, the text of its cells, and where its pictures come from."""

    def __init__(self, text: str) -> None:
        super().__init__()
        self.tags: set[str] = set()
        self.cells: list[str] = []
        self.pictures: list[dict[str, str | None]] = []
        self.feed(text)

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.tags.add(tag)
        if tag == "td":
            self.cells.append("")
        if tag == "img":
            self.pictures.append(dict(attrs))

    def handle_data(self, data: str) -> None:
        if self.cells:
            self.cells[-1] += data


def load(folder: Path, space: LatentSpace, channels: int = 1) -> NamedGenerator:
    save_untrained(folder, DcganConfig(width=4, hidden=16), space, (channels, 8, 8))
    return NamedGenerator.load(folder)


def test_the_text_names_the_codes_and_their_values(tmp_path: Path) -> None:
    assert repr(load(tmp_path, SPACE)) == (
        f"<NamedGenerator of 8×8 pixels: {HOSTILE}: </td><script>, '\\x1b[31m', שלום 🙂; "
        "angle from -30 to 60; style_1 from -1 to 1>"
    )


def test_the_text_of_many_codes_stays_short(tmp_path: Path) -> None:
    classes = tuple(map(str, range(500)))
    codes = [Code(name=f"c{k}", kind="categorical", classes=classes) for k in range(40)]
    shown = repr(load(tmp_path, LatentSpace(supervised=tuple(codes), unsupervised=(), noise=1), 3))
    assert shown.startswith("<NamedGenerator of 8×8 pixels, 3 channels: c0: 0, 1, 2")
    assert "11 ...; c1: 0" in shown
    assert shown.endswith("11 ...; 34 more>")


def test_the_html_shows_names_as_text_and_samples_as_a_picture(tmp_path: Path) -> None:
    generator = load(tmp_path, SPACE)
    page = Reader(generator._repr_html_())
    assert page.tags == {"p", "b", "table", "thead", "tbody", "tr", "th", "td", "img"}
    assert page.cells == [
        *(HOSTILE, "</td><script>, '\\x1b[31m', שלום 🙂", "from labels"),
        *("angle", "from -30 to 60", "from labels"),
        *("style_1", "from -1 to 1", "found by itself"),
    ]
    (picture,) = page.pictures
    assert set(picture) == {"alt", "src"}
    kind, comma, data = str(picture["src"]).partition(",")
    assert (kind, comma) == ("data:image/png;base64", ",")
    with Image.open(io.BytesIO(base64.b64decode(data))) as shown:
        expected = generator.grid(codes={HOSTILE: "all"}, n=8)
        assert shown.convert("RGB").tobytes() == expected.tobytes()


@pytest.mark.parametrize(
    ("code", "rows"),
    [
        (Code(name="n", kind="continuous", low=0, high=1e-9), 5),
        (Code(name="n", kind="categorical", classes=tuple(map(str, range(300)))), 10),
    ],
)
def test_the_grid_is_small_whatever_the_first_code_is(
    tmp_path: Path, code: Code, rows: int
) -> None:
    generator = load(tmp_path, LatentSpace(supervised=(), unsupervised=(code,), noise=1))
    text = generator._repr_html_()
    assert len(text) < 200_000
    data = re.findall(r"base64,([^\"]+)", text)
    with Image.open(io.BytesIO(base64.b64decode(data[0]))) as shown:
        assert rows * 56 < shown.height < (rows + 2) * 58 + 60
        assert shown.width > 8 * 56
