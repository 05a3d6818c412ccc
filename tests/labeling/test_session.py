"""What is asked, and what an answer does."""

from pathlib import Path

import pytest
from PIL import Image

from ssgan.base.errors import BadInput
from ssgan.labeling.answers import NOT_SURE
from ssgan.labeling.column import Column
from ssgan.labeling.opening import open_session
from ssgan.labeling.place import place_of_folder
from tests.helpers.pictures import draw_heap
from tests.labeling.conftest import Open, answer


def test_answers_go_on_where_another_session_has_ended(opened: Open) -> None:
    whole = opened()
    for _ in range(6):
        answer(whole, "new", "circle")
    order = whole.answers.pictures
    whole.answers.path.unlink()
    for _ in range(6):
        answer(opened(), "new", "circle")  # each is a new one
    assert opened().answers.pictures == order
    assert len({*order}) == 6


def test_undo_takes_back_answer_after_answer_and_asks_again(opened: Open) -> None:
    session = opened()
    first = session.question()
    answer(session, "new", "circle")
    second = session.question()
    answer(session, "unsure")
    assert session.answers.get(second.picture, "shape") == NOT_SURE
    assert session.undo() == session.heap.names[second.picture]
    assert session.question() == second
    session.undo()
    assert session.question() == first
    assert session.answers.all("shape") == {}
    with pytest.raises(BadInput, match="no answer of this session to take back"):
        session.undo()


def test_what_was_not_sure_is_not_asked_again(opened: Open) -> None:
    session = opened()
    asked = session.question()
    answer(session, "unsure")
    assert opened().question() != asked


def test_an_answer_to_another_question_than_is_asked_is_refused(opened: Open) -> None:
    session = opened()
    asked = session.question()
    answer(session, "new", "circle")
    with pytest.raises(BadInput, match="has been answered, perhaps in another window"):
        session.answer(asked.picture, "shape", "new", "square")
    assert session.answers.all("shape") == {asked.picture: "circle"}


def test_a_picture_can_be_answered_again_and_that_taken_back(opened: Open) -> None:
    session = opened()
    asked = session.question()
    answer(session, "new", "circle")
    following = session.question()
    session.ask_again(asked.picture)
    assert session.state()["question"]["before"] == "circle"
    answer(session, "new", "square")
    assert session.answers.get(asked.picture, "shape") == "square"
    assert session.question() == following
    session.undo()
    assert session.answers.get(asked.picture, "shape") == "circle"


def test_a_new_class_that_is_an_old_one_is_taken_for_it_with_a_word(opened: Open) -> None:
    session = opened()
    answer(session, "new", "circle")
    assert answer(session, "new", " Circle") == "circle"
    assert session.notes == ["'Circle' is taken for the class 'circle'"]
    with pytest.raises(BadInput, match="'square' is not a class of shape"):
        answer(session, "class", "square")
    assert [one["name"] for one in session.state()["classes"]] == ["circle"]


def test_classes_that_are_numbers_get_a_word_unless_the_file_declares_them(opened: Open) -> None:
    session = opened()
    answer(session, "new", "7")
    assert "data.source.kinds.shape" in session.notes[0]
    declared = opened(Column("shape", declared=True))
    answer(declared, "new", "3")
    assert declared.notes == []


def test_columns_are_asked_one_after_the_other_of_each_picture(opened: Open) -> None:
    session = opened(Column("shape"), Column("angle", is_number=True, low=-60, high=60))
    first = session.question()
    answer(session, "new", "circle")
    second = session.question()
    assert (second.picture, second.column.name) == (first.picture, "angle")
    with pytest.raises(BadInput, match="'round' is not a number"):
        answer(session, "number", "round")
    assert answer(session, "number", "12,50") == "12.5"
    assert session.question().picture != first.picture
    assert session.state()["recent"][0]["answer"] == "circle, 12.5"


def test_a_column_that_is_added_later_is_asked_about_all_answered_pictures(opened: Open) -> None:
    session = opened()
    for _ in range(3):
        answer(session, "new", "circle")
    more = opened(Column("shape"), Column("size"))
    asked = []
    for _ in range(3):
        question = more.question()
        asked.append(question.picture)
        assert question.column.name == "size"
        answer(more, "new", "small")
    assert {*asked} == {*session.answers.pictures}
    assert more.question().column.name == "shape"


def test_one_answer_counts_for_all_identical_pictures(tmp_path: Path) -> None:
    folder = tmp_path / "heap"
    draw_heap(folder, 8, size=16)
    for name in ("copy-1.png", "copy-2.png"):
        (folder / name).write_bytes((folder / "0003.png").read_bytes())
    with Image.open(folder / "0003.png") as picture:
        picture.save(folder / "copy-3.bmp")
    session = open_session(place_of_folder(folder, tmp_path / "a.csv", [Column("shape")]))
    asked = 0
    while session.question() is not None:
        copies = session.state()["question"]["copies"]
        answer(session, "new", f"class {copies}")
        asked += 1
    assert asked == 8
    assert session.answers.counts("shape") == {"class 0": 7, "class 3": 4}
    session.undo()
    assert session.answers.counts("shape").total() in (7, 10)


def test_a_picture_that_disappears_is_skipped_with_a_word(tmp_path: Path) -> None:
    folder = tmp_path / "heap"
    draw_heap(folder, 8, size=16)
    session = open_session(place_of_folder(folder, tmp_path / "a.csv", [Column("shape")]))
    name = session.heap.names[session.question().picture]
    (folder / name).unlink()
    assert session.heap.names[session.question().picture] != name
    assert session.notes == [f"{name} cannot be read any more and is skipped"]
    while session.question() is not None:
        answer(session, "new", "circle")
    assert session.answers.counts("shape").total() == 7


@pytest.mark.parametrize("count", [2, 3])
def test_fewer_pictures_than_neighbors_are_asked_about_all_the_same(
    tmp_path: Path, count: int
) -> None:
    folder = tmp_path / "heap"
    draw_heap(folder, count, size=16)
    session = open_session(place_of_folder(folder, tmp_path / "a.csv", [Column("shape")]))
    assert len(session.state()["question"]["neighbors"]) == count - 1
    for number in range(count):
        answer(session, "new", f"class {number}")
    assert session.state()["question"] is None


def test_a_heap_of_one_class_is_told_so(opened: Open) -> None:
    session = opened()
    for _ in range(20):
        answer(session, "new", "circle")
    assert session.state()["advice"].startswith("20 answers, and all are circle")
    session.estimates.wait()
    assert session.state()["estimate"] is None


def test_none_of_these_needs_a_file_that_knows_it(opened: Open) -> None:
    refused = opened(Column("shape", none_refused="write unknown: there"))
    with pytest.raises(BadInput, match="write unknown: there"):
        answer(refused, "none")
    session = opened()
    assert answer(session, "none") == "none of these"
    assert session.classes(session.columns[0]) == []


def test_pictures_like_one_of_no_class_come_last_and_first_again_when_that_is_taken_back(
    opened: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = opened()
    told: list[set[int]] = []
    after = session.ranking.after

    def follow(asked: list[int], none: set[int]) -> list[int]:
        told.append(none)
        return after(asked, none)

    monkeypatch.setattr(session.ranking, "after", follow)
    answer(session, "new", "circle")
    second = session.question().picture
    answer(session, "none")
    session.question()
    session.undo()
    assert session.question().picture == second
    assert told == [set(), {second}, set()]


def test_a_file_that_others_change_is_taken_up_with_a_word(opened: Open) -> None:
    session = opened()
    answer(session, "new", "circle")
    other = session.heap.names[session.question().picture]
    with session.answers.path.open("a") as stream:
        stream.write(f"{other},square\n")
    state = session.state()
    assert state["question"]["name"] != other
    assert {one["name"] for one in state["classes"]} == {"circle", "square"}
    assert state["notes"] == ["answers.csv was changed by another program, and read again"]


def test_nothing_is_written_once_another_process_holds_the_file(opened: Open) -> None:
    session = opened()

    def lost() -> None:
        raise RuntimeError("lost")

    session.check = lost
    with pytest.raises(RuntimeError, match="lost"):
        answer(session, "new", "circle")
    assert not session.answers.path.exists()


def test_doubled_classes_of_a_file_are_asked_about_first(opened: Open) -> None:
    session = opened()
    for _ in range(3):
        answer(session, "new", "circle")
    text = session.answers.path.read_text()
    session.answers.path.write_text(text.replace("circle", "Circle", 1))
    with pytest.raises(BadInput, match=r"'circle' \(2\) and 'Circle' \(1\) differ only in case"):
        opened()
    assert opened(merge=True).answers.counts("shape") == {"circle": 3}
