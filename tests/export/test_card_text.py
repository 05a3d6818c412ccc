"""The model card says what a generator draws, from what, how well, and its limits."""

import html
import re
from html.parser import HTMLParser
from pathlib import Path

import pytest

from ssgan.data.labels import LabelBudget
from ssgan.export import NamedGenerator
from ssgan.export.card import Card, read_card
from ssgan.export.card_text import is_card, to_html, to_markdown
from ssgan.export.strips import strip_files
from ssgan.method.codes import Code, LatentSpace
from ssgan.networks.dcgan import DcganConfig
from ssgan.records.rundir import RunDir
from tests.helpers.exports import save_untrained
from tests.helpers.searchdirs import fill_search, make_search
from tests.helpers.tracking import finish_run, make_run

HOSTILE = "<img src=x onerror=alert(1)> | **b** `c` [d](javascript:e)"


def read(run: RunDir) -> Card:
    card = read_card(run)
    assert card is not None
    return card


@pytest.fixture
def card(tmp_path: Path) -> Card:
    run = make_run(tmp_path, "card")
    finish_run(run)
    return read(run)


def named(card: Card, *codes: Code) -> Card:
    """Call a card's codes otherwise."""
    space = LatentSpace(supervised=codes, unsupervised=(), noise=3)
    return card._replace(manifest=card.manifest.model_copy(update={"space": space}))


def test_a_card_says_what_it_draws_from_what_how_well_and_how_far(card: Card) -> None:
    written = to_markdown(card)
    for said in (
        "Images of 16 x 16 pixels (gray) like those of shapes",
        "| `5 shapes` | circle, a&#124;b | given by labels |",
        "| `angle` | -45 to 45 | given by labels |",
        "| `style` | -1 to 1 | found without labels |",
        "7 numbers of noise",
        "**`angle`** from left to right: -45, -22.5, 0, 22.5, 45.",
        "![angle: -45, -22.5, 0, 22.5, 45](strips/2-angle.png)",
        "1,200 images to train, 400 in the test split",
        f"Hash of the manifest: `{'d' * 64}`",
        "Labels that were used: 12 (`data.labels=10%`, `data.balanced=true`, `data.label_seed=0`)",
        "Labels by `5 shapes`: circle (9), a&#124;b (3).",
        "after 400 updates, in which 12,800 real images were seen.",
        "| 0-1 loss of G's EMA | 0.0215 |",
        "| RMSE of angle | 4.5000 |",
        "One run (n = 1): how much these figures vary with the seed is not known.",
        "takes 2.1% of its images for another class",
        "itself errs on 1.2% of real images",
        "Most often taken for another class: `5 shapes` = a&#124;b (4%).",
        "Fewest labels were of `5 shapes` = a&#124;b: 3.",
        "No label says what `style` mean",
        "The last evaluation warns: code 'style' is dead",
        "generator.sample(codes={'5 shapes': 'a|b'}, n=16, seed=0)",
        "ssgan sample FOLDER -n 16 '5 shapes=a|b'",
        f"from run first, update 400. Their SHA-256: `{card.manifest.weights_sha256}`.",
    ):
        assert said in written
    for unsaid in ("loss/L_I", "gained labels", "models serve", "None"):
        assert unsaid not in written


def test_equal_records_make_equal_bytes(tmp_path: Path) -> None:
    texts = set()
    for place in ("a", "b"):
        run = make_run(tmp_path / place, "card")
        finish_run(run, run_id="f" * 32)
        texts.add(to_markdown(read(run), title=True))
    assert len(texts) == 1


def test_a_card_tells_of_labels_that_were_spread(tmp_path: Path) -> None:
    run = make_run(tmp_path, "card")
    finish_run(run, labels_gained=1040, labels_spread="neighbors=10, share=0.6")
    written = to_markdown(read(run))
    assert "From these 1,040 more images gained labels by their neighbors" in written
    assert "(`data.spread`: neighbors=10, share=0.6)" in written


def test_figures_say_over_how_many_seeds_they_vary_how_much(tmp_path: Path) -> None:
    search = make_search(tmp_path)
    again = [r for r in fill_search(search, trials=2, epochs=2, finals=1) if r.stage == "final"]
    for row, loss in zip(again, (0.01, 0.02, 0.06), strict=True):
        finish_run(search.run(row), loss)
    written = to_markdown(read(search.run(again[0])))
    assert "| 0-1 loss of G's EMA | 0.0100 | 0.0300 ± 0.0265 (n = 3) |" in written
    assert "| C's own error | 0.0125 |  |" in written  # one judge for all
    assert "The search lambdas ran this configuration n = 3 times, each with a seed." in written
    assert re.search(r"By 0-1 loss of G's EMA this run is number [123] of them", written)


def test_shares_have_the_interval_that_their_images_leave(card: Card) -> None:
    assert "n = 1,000, the 0-1 loss of this run lies between 1.4% and 3.2% (95 %)" in to_markdown(
        card._replace(samples=1000)
    )


def test_raw_weights_are_not_given_the_figures_of_the_moving_average(card: Card) -> None:
    assert card.record is not None
    metrics = {**card.metrics, "zero_one_loss": 0.4, "recall": 0.7}
    record = card.record.model_copy(update={"metrics": metrics})
    manifest = card.manifest.model_copy(update={"copy_of": "raw"})
    written = to_markdown(card._replace(record=record, manifest=manifest))
    assert "| 0-1 loss of raw G | 0.4000 |" in written
    assert "| C's own error | 0.0125 |" in written
    for of_ema in ("0.0215", "0.7000", "RMSE of angle |"):
        assert of_ema not in written


def test_a_generator_that_was_not_evaluated_has_no_figures(card: Card) -> None:
    written = to_markdown(card._replace(record=None))
    assert "No evaluation of it is in the record." in written
    assert "0-1 loss" not in written


def test_without_labels_classes_are_numbers_and_given_by_none(card: Card) -> None:
    assert isinstance(card.budget, LabelBudget)
    written = to_markdown(
        card._replace(budget=None, manifest=card.manifest.model_copy(update={"provenance": {}}))
    )
    assert "given by labels" not in written
    assert "**`5 shapes`** from left to right: 0, 1." in written


NAMES = (HOSTILE, "</code></pre><script>alert(1)</script>", "ספרה", "👩‍👧 😀", "a\nb\u202e", "```")


@pytest.mark.parametrize("name", NAMES)
def test_names_come_out_as_text(card: Card, name: str) -> None:
    code = Code.model_construct(name=name, kind="categorical", classes=(name, f"{name} too"))
    page = to_html(named(card, code), dict.fromkeys(strip_files_of(card, code), b"png"))
    tags = Tags()
    tags.feed(page)
    assert tags.found <= {
        *("h1", "h2", "p", "table", "thead", "tbody", "tr", "th", "td", "ul", "li"),
        *("strong", "code", "pre", "img"),
    }
    assert tags.attributes <= {"src", "alt", "class"}
    assert all(address.startswith("data:image/png;base64,") for address in tags.sources)
    shown = name.replace("\n", r"\n").replace("\u202e", r"\u202e")
    assert f"{shown} too" in html.unescape(re.sub("<[^>]*>", "", page))


def strip_files_of(card: Card, code: Code) -> list[str]:
    return list(strip_files(named(card, code).manifest.space).values())


class Tags(HTMLParser):
    def __init__(self) -> None:
        super().__init__()
        self.found: set[str] = set()
        self.attributes: set[str] = set()
        self.sources: list[str] = []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.found.add(tag)
        self.attributes |= {name for name, _ in attrs}
        self.sources += [value or "" for name, value in attrs if name in ("src", "href")]


@pytest.mark.parametrize("name", ["digit", "class", "n", "5 shapes", "ספרה", "it's", "-x", "é"])
def test_what_it_says_of_loading_works(card: Card, tmp_path: Path, name: str) -> None:
    code = Code(name=name, kind="categorical", classes=("a", "it's ס"))
    written = to_markdown(named(card, code))
    program = re.search("```python\n(.*?)```", written, flags=re.DOTALL)
    assert program is not None
    space = LatentSpace(supervised=(code,), unsupervised=(), noise=3)
    networks = DcganConfig(width=4, hidden=16, q_hidden=8)
    save_untrained(tmp_path / "made", networks, space, (1, 16, 16))
    names: dict[str, object] = {}
    exec(program[1].replace("FOLDER", str(tmp_path / "made")), names)
    expected = NamedGenerator.load(tmp_path / "made").sample(codes={name: "it's ס"}, n=16)
    assert (names["images"] == expected).all()


def test_a_card_that_is_too_long_loses_pictures_first_and_says_so(card: Card) -> None:
    whole = to_markdown(card)
    assert to_markdown(card, longest=len(whole)) == whole
    cut = to_markdown(card, longest=len(whole) - 1)
    assert len(cut) < len(whole)
    assert "strips/3-style.png" not in cut
    assert "## Origin" in cut
    assert cut.endswith("it is in `README.md` of the export.")
    assert len(to_markdown(card, longest=1000)) <= 1000


def test_a_card_is_told_from_a_text_of_somebodys_own(card: Card) -> None:
    assert is_card(to_markdown(card))
    assert is_card(to_markdown(card, title=True))
    assert is_card("**What it draws.** as it once began")
    assert is_card("")
    assert is_card(None)
    assert not is_card("# Mine\n\n## Notes\n\n## What it draws\n")
