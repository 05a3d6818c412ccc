"""Where questions and answers come from: an experiment file, or a folder."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.data.sources.base import SourceConfig
from ssgan.data.sources.digits import DigitsSource
from ssgan.data.sources.folder import FolderSource
from ssgan.labeling.column import Column, parse_label
from ssgan.labeling.place import check_answered, known_answers, place_of_file, place_of_folder
from tests.helpers.pictures import draw_heap

NONE = "none of these"


@pytest.fixture
def heap(tmp_path: Path) -> Path:
    draw_heap(tmp_path / "photos", 6, size=16)
    return tmp_path / "photos"


def test_an_experiment_file_asks_for_its_supervised_codes(heap: Path) -> None:
    source = FolderSource(
        root=heap,
        csv="photos.csv",
        names={"Shape of it": "shape"},
        kinds={"angle": "continuous"},
        classes={"shape": ("circle", "square")},
        unknown=(NONE, -1),
    )
    file = str(heap.parent / "photos.yaml")
    place = place_of_file(file, source, ["shape", "angle"], [parse_label("angle=0..90")])
    assert place.csv == heap.parent / "photos.csv"
    assert [column.name for column in place.columns] == ["angle"]
    shape, angle = place_of_file(file, source, ["shape", "angle"], []).columns
    assert (shape.name, shape.classes, shape.fixed) == ("Shape of it", ("circle", "square"), True)
    assert (angle.is_number, angle.low) == (True, None)
    assert shape.unknown == (NONE, "-1")
    assert shape.none_refused == ""


def test_cells_say_what_the_file_does_not(heap: Path) -> None:
    csv = heap.parent / "photos.csv"
    csv.write_text("file,size\n0000.png,1.5\n0001.png,\n")
    source = FolderSource(root=heap, csv=csv)
    (size,) = place_of_file("photos.yaml", source, ["size"], []).columns
    assert size.is_number
    assert 'foreign: ["none of these"]' in size.none_refused
    source = FolderSource(root=heap, csv=csv, foreign=(NONE,))
    (size,) = place_of_file("photos.yaml", source, ["size"], []).columns
    assert size.none_refused == ""


@pytest.mark.parametrize(
    ("source", "supervised", "message"),
    [
        (lambda heap: DigitsSource(), ["digit"], "data.source.kind=digits"),
        (lambda heap: FolderSource(root=heap), ["shape"], "names no CSV of answers"),
        (lambda heap: FolderSource(root=heap, csv="*/l.csv"), ["shape"], "names no CSV"),
        (lambda heap: FolderSource(root=heap, csv="l.csv", folders="k"), ["k"], "names no column"),
    ],
)
def test_files_that_cannot_take_answers_are_refused(
    heap: Path, source: Callable[[Path], SourceConfig], supervised: list[str], message: str
) -> None:
    with pytest.raises(BadInput, match=message):
        place_of_file("photos.yaml", source(heap), supervised, [])


def test_a_file_without_answers_yet_is_told_to_ask(heap: Path) -> None:
    source = FolderSource(root=heap, csv="answers.csv")
    with pytest.raises(
        BadInput, match=r"run `ssgan label 'my photos\.yaml'`, which writes them to"
    ):
        check_answered("my photos.yaml", source)
    (heap / "answers.csv").write_text("file,shape\n0000.png,ring\n")
    for answered in (source, FolderSource(root=heap), DigitsSource()):
        check_answered("my photos.yaml", answered)


def test_a_folder_has_its_answers_beside_it_where_init_finds_them(heap: Path) -> None:
    place = place_of_folder(heap, None, [])
    assert place.csv == heap.parent / "photos.csv"
    assert place.columns == (Column("class"),)
    place.csv.write_text("file,shape,size\n0000.png,circle,1.5\n0001.png,ring,2.5\n0002.png,,7\n")
    again = place_of_folder(heap, None, [])
    assert again.csv.samefile(place.csv)
    assert again.columns == (Column("shape"), Column("size", is_number=True))


def test_labels_are_names_or_ranges() -> None:
    assert parse_label("angle=-60..6.5") == Column("angle", is_number=True, low=-60, high=6.5)
    for wrong in ("angle=3", "angle=9..1", "=1..2", " ", "angle=1..2..3"):
        with pytest.raises(BadInput, match="--label"):
            parse_label(wrong)


def test_known_labels_are_those_of_a_column_or_of_folders(heap: Path, tmp_path: Path) -> None:
    known = tmp_path / "known.csv"
    known.write_text("file,shape\n0001.png,ring\n0002.png,\n")
    place = place_of_folder(heap, tmp_path / "answers.csv", [Column("shape")])
    names = [f"{number:04d}.png" for number in range(6)]
    assert known_answers(place, names, f"{known}:shape", None) == {1: "ring"}
    assert known_answers(place, names, "shape", known) == {1: "ring"}
    with pytest.raises(BadInput, match="has no column 'form'"):
        known_answers(place, names, f"{known}:form", None)
    with pytest.raises(BadInput, match="answers are written to that file"):
        known_answers(place._replace(csv=known), names, f"{known}:shape", None)
    by_folder = place._replace(source=place.source.model_copy(update={"folders": "kind"}))
    assert known_answers(by_folder, ["a/1.png", "2.png"], "kind", None) == {0: "a"}
