"""The file of answers: written at once, read as training reads it, merged with others' changes."""

import csv
from pathlib import Path

import pytest

from ssgan.base.errors import BadInput
from ssgan.labeling.answers import NOT_SURE, Answers, Conflict

NAMES = ["a.png", "b.png", "round/c.png", "d, e.png"]


def rows(file: Path) -> list[list[str]]:
    with file.open(newline="") as stream:
        return list(csv.reader(stream))


def opened(folder: Path, *columns: str) -> Answers:
    return Answers(folder / "answers.csv", folder / "heap", NAMES, columns or ("shape",))


def test_an_answer_is_in_the_file_when_put_returns(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({2: "circle"}, "shape", None)
    assert rows(answers.path) == [["file", "shape"], ["round/c.png", "circle"]]
    answers.put({3: "square"}, "shape", None)
    assert rows(answers.path)[2] == ["d, e.png", "square"]
    assert opened(tmp_path).all("shape") == {2: "circle", 3: "square"}
    assert [file.name for file in tmp_path.iterdir()] == ["answers.csv"]


def test_an_answer_that_is_taken_back_leaves_no_row(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle", 1: "circle"}, "shape", None)
    answers.put({0: None, 1: None}, "shape", "circle")
    assert rows(answers.path) == [["file", "shape"]]
    assert opened(tmp_path).all("shape") == {}


def test_not_sure_is_remembered_and_is_no_label(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: NOT_SURE}, "shape", None)
    again = opened(tmp_path)
    assert again.get(0, "shape") == NOT_SURE
    assert again.get(1, "shape") is None
    assert again.counts("shape").total() == 0


def test_rows_columns_and_form_of_the_users_own_file_stay(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_bytes("\ufefffile;place;shape\r\na;Köln;\r\nb.png;;circle\r\n".encode())
    file.chmod(0o640)
    answers = opened(tmp_path, "shape", "angle")
    assert answers.all("shape") == {1: "circle"}
    answers.put({0: "ring"}, "shape", None)
    answers.put({2: "0.5"}, "angle", None)
    assert file.read_bytes().decode("utf-8-sig").split("\r\n") == [
        "file;place;shape;angle",
        "a;Köln;ring;",
        "b.png;;circle;",
        "round/c.png;;;0.5",
        "",
    ]
    assert file.read_bytes().startswith(b"\xef\xbb\xbf")
    assert file.stat().st_mode & 0o777 == 0o640
    answers.put({0: None}, "shape", "ring")
    assert file.read_text(encoding="utf-8-sig").splitlines()[1] == "a;Köln;;"  # it was there before


def test_what_another_program_writes_meanwhile_is_kept(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle"}, "shape", None)
    with answers.path.open("a") as stream:
        stream.write("b.png,square\n")
    assert answers.put({2: "ring"}, "shape", None)
    assert opened(tmp_path).all("shape") == {0: "circle", 1: "square", 2: "ring"}
    assert not answers.put({3: "ring"}, "shape", None)


def test_the_same_question_answered_otherwise_is_a_conflict(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle"}, "shape", None)
    answers.path.write_text("file,shape\na.png,circle\nb.png,square\n")
    with pytest.raises(Conflict, match=r"says 'square' about b\.png by now"):
        answers.put({1: "ring"}, "shape", None)
    assert rows(answers.path)[2] == ["b.png", "square"]


def test_a_file_that_cannot_be_read_any_more_is_left_as_it_is(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle"}, "shape", None)
    answers.path.write_text("file,shape\na.png,circle,more\n")
    with pytest.raises(BadInput, match="line 2: 3 cells where the header has 2"):
        answers.put({1: "ring"}, "shape", None)
    assert answers.path.read_text() == "file,shape\na.png,circle,more\n"
    answers.path.write_text("file,shape\na.png,circle\n")
    answers.put({1: "ring"}, "shape", None)
    assert opened(tmp_path).all("shape") == {0: "circle", 1: "ring"}


def test_a_file_that_was_removed_is_written_again_whole(tmp_path: Path) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle"}, "shape", None)
    answers.path.unlink()
    assert answers.put({1: "ring"}, "shape", None)
    assert opened(tmp_path).all("shape") == {0: "circle", 1: "ring"}


def test_a_file_that_cannot_be_written_keeps_what_it_has(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = opened(tmp_path)
    answers.put({0: "circle"}, "shape", None)

    def full(self: Path, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(Path, "write_bytes", full)
    with pytest.raises(OSError, match="No space"):
        answers.put({1: "ring"}, "shape", None)
    assert answers.all("shape") == opened(tmp_path).all("shape") == {0: "circle"}


def test_what_a_killed_process_left_half_written_goes_with_the_next_answer(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = opened(tmp_path)
    with monkeypatch.context() as patch:
        patch.setattr(
            Path, "replace", lambda self, target: (_ for _ in ()).throw(KeyboardInterrupt)
        )
        patch.setattr("ssgan.base.storage._remove", lambda path: None)  # as if it were killed
        with pytest.raises(KeyboardInterrupt):
            answers.put({0: "circle"}, "shape", None)
    assert [file.suffix for file in tmp_path.iterdir()] == [".tmp"]
    opened(tmp_path).put({1: "ring"}, "shape", None)
    assert [file.name for file in tmp_path.iterdir()] == ["answers.csv"]


def test_classes_that_differ_in_case_or_spaces_are_found_and_merged(tmp_path: Path) -> None:
    file = tmp_path / "answers.csv"
    file.write_text("file,shape\na.png,Red  ring\nb.png,red ring\nround/c.png,red ring\n")
    answers = opened(tmp_path)
    assert answers.find_doubles() == {"shape": [["red ring", "Red  ring"]]}
    answers.merge_doubles()
    assert opened(tmp_path).counts("shape") == {"red ring": 3}


def test_rows_about_no_picture_are_refused_before_anything_is_asked(tmp_path: Path) -> None:
    (tmp_path / "answers.csv").write_text("file,shape\nzz.png,circle\n")
    with pytest.raises(BadInput, match=r"zz\.png"):
        opened(tmp_path)


@pytest.mark.parametrize("content", ["", "file,shape\n", "\n\n"])
def test_an_empty_file_is_a_beginning(tmp_path: Path, content: str) -> None:
    (tmp_path / "answers.csv").write_text(content)
    answers = opened(tmp_path)
    answers.put({1: "ring"}, "shape", None)
    assert rows(answers.path) == [["file", "shape"], ["b.png", "ring"]]
