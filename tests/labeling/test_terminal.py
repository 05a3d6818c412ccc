"""The session as lines of a terminal."""

from ssgan.labeling.column import Column
from ssgan.labeling.terminal import ask
from tests.labeling.conftest import Open


def test_keys_words_and_new_classes_answer(opened: Open) -> None:
    session = opened()
    said: list[str] = []
    ask(session, ["n circle", "1", "CIRCLE", "square", "n square", "2", "?", "x", "q"], said.append)
    counts = session.answers.counts("shape")
    assert counts == {"circle": 3, "square": 2, "none of these": 1}
    assert "no key and no class: 'square'; `n square` makes a class of it" in said
    assert session.state()["unsure"] == 1
    assert said[1] == f"shape? {session.heap.path(session.answers.pictures[0])}"


def test_u_takes_back_and_the_end_of_the_lines_ends(opened: Open) -> None:
    session = opened()
    said: list[str] = []
    ask(session, ["n circle\n", "n square\n", "u\n"], said.append)
    assert session.answers.counts("shape") == {"circle": 1}
    assert any(line.startswith("taken back: ") for line in said)


def test_digits_are_classes_before_they_are_keys(opened: Open) -> None:
    session = opened()
    ask(session, ["n 7", "n cat", "7", "1"], lambda line: None)
    assert session.answers.counts("shape") == {"7": 2, "cat": 2}


def test_numbers_are_typed(opened: Open) -> None:
    session = opened(Column("angle", is_number=True))
    said: list[str] = []
    ask(session, ["1.5", "round", "-3", "?"], said.append)
    assert [*session.answers.counts("angle")] == ["1.5", "-3"]
    assert "'round' is not a number; angle takes one" in said


def test_it_ends_when_all_have_been_asked_about(opened: Open) -> None:
    session = opened()
    said: list[str] = []
    ask(session, ["n circle", *["1"] * 100], said.append)
    assert session.answers.counts("shape") == {"circle": 40}
    assert said[-1] == "every picture has been asked about"
