"""`ssgan data`: what a store holds, on stdout; a contact sheet; errors before work."""

import json
from pathlib import Path

import pytest
from PIL import Image

from ssgan.data.store import Store


def test_show_prints_splits_classes_and_place(ssgan, digits_store: Store) -> None:
    done = ssgan("data", "show", "digits")
    assert done.code == 0, done.err
    assert "16x16 pixels, gray" in done.out
    splits = [line.split()[:2] for line in done.out.splitlines() if line.split()]
    assert ["train", "1,297"] in splits
    assert ["test", "500"] in splits
    assert "judge" not in done.out
    assert "0: 128, 1: 131" in done.out
    assert digits_store.location in done.out


def test_prepare_as_json_is_all_on_stdout(ssgan, digits_store: Store) -> None:
    done = ssgan("data", "prepare", "digits", "--json")
    described = json.loads(done.out)
    assert described["hash"] == digits_store.manifest.hash
    assert described["splits"]["test"]["count"] == 500
    assert sum(described["classes"]["digit"].values()) == 1297


def test_show_takes_the_folder_of_a_store(ssgan, digits_store: Store) -> None:
    assert "1,297" in ssgan("data", "show", digits_store.location).out
    refused = ssgan("data", "show", digits_store.location, "data.source.size=8")
    assert refused.code == 2
    assert "data.source.size=8 has no effect" in refused.err


def test_contact_sheet_has_a_row_a_class(ssgan, digits_store: Store) -> None:
    assert ssgan("data", "show", "digits", "--sheet", "sheet.png").code == 0
    with Image.open("sheet.png") as sheet:
        assert sheet.height > 10 * 56
        assert sheet.width > 12 * 56


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["digitz"], "did you mean 'digits'?"),
        (["digits", "data.sorce.size=8"], "did you mean 'source'?"),
        (["digits", "data.source.size=2"], "data.source.size=2"),
        (["digits", "--sheet", "sheet.gif"], "must end in .png"),
        (["nowhere.yaml"], "cannot read the experiment file nowhere.yaml"),
        (["mnist"], "data.source.download=true"),
    ],
)
def test_bad_input(ssgan, arguments: list[str], message: str) -> None:
    done = ssgan("data", "show", *arguments)
    assert done.code == 2
    assert message in done.err
    assert done.out == ""


def test_broken_images_are_counted_and_listed(ssgan, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    for number in range(3):
        Image.new("L", (16, 16), 40 * number).save(folder / f"{number}.png")
    (folder / "broken.png").write_bytes(b"no picture")
    arguments = ["data.source.kind=folder", f"data.source.root={folder}", "codes.supervised=[]"]
    done = ssgan("data", "show", "digits", *arguments)
    assert done.code == 0, done.err
    assert "broken.png" in done.err
    strict = ssgan("data", "show", "digits", *arguments, "data.source.strict=true")
    assert strict.code == 2
    assert "broken.png" in strict.err


def test_show_says_how_many_images_gain_labels(ssgan, digits_store: Store) -> None:
    spread = "data.spread={neighbors: 5, steps: 20}"
    done = ssgan("data", "show", "digits", "data.labels=20", spread, "--json")
    assert done.code == 0, done.err
    facts = json.loads(done.out)
    assert facts["given"] == 20
    assert 600 < facts["gained"] < 900  # the surest 60 % of 1,297
    shown = ssgan("data", "show", "digits", "data.labels=20", spread).out
    assert f"labels: 20 given, by data.labels; {facts['gained']} more images gain some" in shown
    assert "gain some" not in ssgan("data", "show", "digits", "data.labels=20").out
    later = ssgan(
        "data", "show", "digits", "data.labels=20", "data.spread={first: none, rebuild: 2}"
    )
    assert "0 more images gain some, by data.spread, before they are spread again" in later.out


def test_show_says_why_labels_cannot_be_spread_and_shows_the_rest(
    ssgan, digits_store: Store
) -> None:
    done = ssgan("data", "show", "digits", "data.labels=1", "data.balanced=false", "data.spread={}")
    assert done.code == 0, done.err
    assert "labels are not spread: data.spread cannot spread the labels of 'digit'" in done.err
    assert "0: 128, 1: 131" in done.out


def test_images_of_no_class_are_counted_beside_the_classes(ssgan, tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    words = ["ring", "disk", "ring", "none of these", ""]
    for number in range(len(words)):
        Image.new("L", (16, 16), 40 * number).save(folder / f"{number}.png")
    rows = [f"{number}.png,{word}" for number, word in enumerate(words)]
    (tmp_path / "photos.csv").write_text("\n".join(["file,shape", *rows]))
    assert ssgan("init", "photos").code == 0
    shown = ssgan("data", "show", "photos.yaml", "--json")
    assert shown.code == 0, shown.err
    facts = json.loads(shown.out)
    assert facts["classes"]["shape"] == {"disk": 1, "ring": 2, "none of these": 1}
    assert facts["splits"]["train"]["known"] == [4]
    assert "shares" not in facts


def test_shares_of_spread_labels_are_estimated(ssgan, digits_store: Store) -> None:
    overrides = ("data.labels=60", "data.label_seed=3", "data.spread={}")
    shown = ssgan("data", "show", "digits", *overrides)
    assert shown.code == 0, shown.err
    assert "estimated from the labels of the budget" in shown.out
    facts = json.loads(ssgan("data", "show", "digits", *overrides, "--json").out)
    shares, counts = facts["shares"]["digit"], facts["classes"]["digit"]
    assert list(shares) == list("0123456789")
    assert all(0 < of["high"] - of["low"] < 0.1 for of in shares.values())
    for name, of in shares.items():
        assert of["low"] < counts[name] / 1297 < of["high"], name
