"""Tables of partial labels: cells come back, whatever they are written in."""

import csv
import json
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ssgan.base.errors import BadInput
from ssgan.data.sources.label_table import LabelTable

TEXT = st.text(st.characters(exclude_categories=("Cs", "Cc"), exclude_characters=" \u2028\u2029"))


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.tuples(TEXT, TEXT), min_size=1, max_size=12),
    st.sampled_from([",", ";", "\t"]),
    st.booleans(),
)
def test_cells_come_back(
    tmp_path_factory: pytest.TempPathFactory,
    rows: list[tuple[str, str]],
    delimiter: str,
    bom: bool,
) -> None:
    path = tmp_path_factory.mktemp("csv") / "labels.csv"
    with path.open("w", encoding="utf-8-sig" if bom else "utf-8", newline="") as stream:
        writer = csv.writer(stream, delimiter=delimiter)
        writer.writerow(["first", "file", "last"])
        for number, (first, last) in enumerate(rows):
            writer.writerow([first, f"sub/{number}.png", last])
    table = LabelTable.read([path])
    assert [*table.columns] == ["first", "file", "last"]
    assert table.columns["file"].cells == [f"sub/{number}.png" for number in range(len(rows))]
    assert table.columns["first"].cells == [first.strip() or None for first, _ in rows]
    assert table.columns["last"].cells == [last.strip() or None for _, last in rows]
    assert all(raw.comma == (delimiter != ",") and raw.is_text for raw in table.columns.values())
    assert table.places[0] == "line 2"


def write(folder: Path, name: str, content: str) -> Path:
    file = folder / name
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(content, encoding="utf-8")
    return file


def test_the_column_of_pandas_row_numbers_gets_a_name(tmp_path: Path) -> None:
    table = LabelTable.read([write(tmp_path, "l.csv", ",file,shape\n0,a.png,round\n1,b.png,\n")])
    assert [*table.columns] == ["index", "file", "shape"]
    assert table.index == "index"
    assert table.notes == ("the first column has no name and is called index",)
    taken = LabelTable.read([write(tmp_path, "l.csv", ",index\n0,a\n")])
    assert [*taken.columns] == ["row", "index"]


def test_a_separator_at_the_end_of_lines_is_no_column(tmp_path: Path) -> None:
    table = LabelTable.read([write(tmp_path, "l.csv", "file,x,,\na.png,1,,\n")])
    assert [*table.columns] == ["file", "x"]
    with pytest.raises(BadInput, match="distinct column names"):
        LabelTable.read([write(tmp_path, "l.csv", "file,x,\na.png,1,2\n")])


def test_json_lines_keep_their_types(tmp_path: Path) -> None:
    rows = [
        {"file_name": "a.png", "n": 3, "objects": {"bbox": []}},
        {"file_name": "b.png", "n": float("nan")},
    ]
    table = LabelTable.read(
        [write(tmp_path, "metadata.jsonl", "\n".join(map(json.dumps, rows)) + "\n\n")]
    )
    assert table.columns["n"].cells == [3, None]
    assert not table.columns["n"].is_text
    assert table.notes == ("objects is left out: its values have parts of their own",)
    for text, message in [
        ('{"file_name": "a.png"}\n[1]\n', "line 2: not an object"),
        ("{\n", "cannot be read as JSON: line 1"),
        ('{"n": 1}\n{"n": 1e999}\n', "line 2: the number 1e999 is too large"),
        ('{"n": ' + "9" * 5000 + "}", "5000 digits"),
        ("[" * 100_000, "nested deeper"),
        ("", "no line with names and values"),
    ]:
        with pytest.raises(BadInput, match=message) as error:
            LabelTable.read([write(tmp_path, "metadata.jsonl", text)])
        assert len(str(error.value)) < 400


def test_stylegans_dataset_json_is_read(tmp_path: Path) -> None:
    content = json.dumps({"labels": [["00000/img0.png", 3], ["00000/img1.png", None]]})
    table = LabelTable.read([write(tmp_path, "dataset.json", content)])
    assert table.columns["file"].cells == ["00000/img0.png", "00000/img1.png"]
    assert table.columns["label"].cells == [3, None]
    for other in ({"labels": None}, [1], {"labels": [["a.png", [0, 1]]]}, {"labels": []}):
        with pytest.raises(BadInput, match=r"dataset\.json"):
            LabelTable.read([write(tmp_path, "dataset.json", json.dumps(other))])


def test_files_of_one_name_are_one_table(tmp_path: Path) -> None:
    files = [
        write(tmp_path, f"{split}/metadata.csv", f"file_name,x\n{split}.png,1\n")
        for split in ("train", "test")
    ]
    table = LabelTable.read(files)
    assert table.columns["file_name"].cells == ["train.png", "test.png"]
    assert table.places == ("train/metadata.csv line 2", "test/metadata.csv line 2")
    assert table.folders == (tmp_path / "train", tmp_path / "test")
    write(tmp_path, "test/metadata.csv", "file_name,y\ntest.png,1\n")
    with pytest.raises(BadInput, match="has other columns than"):
        LabelTable.read(files)


def test_class_files_of_pictures_are_one_table(tmp_path: Path) -> None:
    contents = {"0.cls": "3", "1.cls": " 10\n", "2.cls": "", "sub/0.cls": "cat"}
    files = [write(tmp_path, name, text) for name, text in contents.items()]
    table = LabelTable.read(files)
    assert table.columns["class"].cells == [3, 10, None, "cat"]
    assert table.columns["file"].cells == ["0", "1", "2", "0"]
    assert table.folders[-1] == tmp_path / "sub"
    with pytest.raises(BadInput, match="more than one line"):
        LabelTable.read([write(tmp_path, "3.cls", "a\nb")])


def test_what_divides_cells_is_not_looked_for_within_quotes(tmp_path: Path) -> None:
    path = tmp_path / "labels.csv"
    path.write_text('file,"a;b;c;""d;e""",f\n1.png,x;y,z\n')
    table = LabelTable.read([path])
    assert [*table.columns] == ["file", 'a;b;c;"d;e"', "f"]
    assert table.columns["f"].cells == ["z"]


def test_files_of_one_picture_each_make_one_row(tmp_path: Path) -> None:
    contents = {
        "0.cls": "3",
        "0.json": '{"class": "x", "angle": 1.5, "box": [1]}',
        "0.txt": "a cat\n",
        "1.json": '{"angle": NaN, "by": "me"}',
        "sub/0.txt": "a dog",
    }
    files = [write(tmp_path, name, text) for name, text in contents.items()]
    table = LabelTable.read(files)
    assert {name: raw.cells for name, raw in table.columns.items()} == {
        "file": ["0", "1", "0"],
        "class": [3, None, None],
        "class.json": ["x", None, None],
        "angle": [1.5, None, None],
        "text": ["a cat", None, "a dog"],
        "by": [None, "me", None],
    }
    assert table.folders == (tmp_path, tmp_path, tmp_path / "sub")
    assert table.notes == ("box is left out: its values have parts of their own",)
    for text, message in (("[1]", "not an object"), ("{", "cannot be read as JSON")):
        with pytest.raises(BadInput, match=rf"2\.json .*{message}"):
            LabelTable.read([*files, write(tmp_path, "2.json", text)])
