"""The session in a terminal, or driven by a pipe: a line an answer."""

from collections.abc import Callable, Iterable, Iterator

from ssgan.base.errors import BadInput
from ssgan.labeling.names import find_class
from ssgan.labeling.session import Kind, Question, Session

HELP = (
    "a key or a class answers; n NAME makes a new class; x none of these; ? not sure; u takes the "
    "last answer back; q ends"
)
_WORDS: dict[str, Kind] = {"x": "none", "?": "unsure", "": "unsure"}


def ask(session: Session, lines: Iterable[str], say: Callable[[str], object]) -> None:
    """Ask until there is nothing left, the lines end, or one of them says ``q``.

    A line is a key or the name of a class, or as `HELP` says. What cannot be taken is said, and
    asked again.
    """
    say(HELP)
    reading: Iterator[str] = iter(lines)
    while (asked := session.question()) is not None:
        _tell_notes(session, say)
        for text in _describe(session, asked):
            say(text)
        line = next(reading, "q").strip()
        if line == "q":
            return
        try:
            say(_act(session, asked, line))
        except BadInput as error:
            say(str(error))
    _tell_notes(session, say)
    say("every picture has been asked about")


def _describe(session: Session, asked: Question) -> Iterator[str]:
    column = asked.column
    yield f"{column.name}? {session.heap.path(asked.picture)}"
    if not column.is_number:
        keys = session.keys(column)
        known = [f"{keys.get(name, '-')} {name}" for name in session.classes(column)]
        yield f"  {', '.join(known) or 'no class yet: n NAME'}"


def _act(session: Session, asked: Question, line: str) -> str:
    if line == "u":
        return f"taken back: {session.undo()}"
    kind, value = _read(session, asked, line)
    written = session.answer(asked.picture, asked.column.name, kind, value)
    return f"  {written.strip() or 'not sure'}"


def _read(session: Session, asked: Question, line: str) -> tuple[Kind, str]:
    """Return what a line answers.

    Raises:
        BadInput: It is neither a key nor a class.
    """
    column = asked.column
    if column.is_number:
        return (_WORDS[line], "") if line in ("?", "") else ("number", line)
    classes = session.classes(column)
    if (known := find_class(line, classes)) is not None:
        return "class", known
    if line in _WORDS:
        return _WORDS[line], ""
    if line.startswith("n "):
        return "new", line[2:].strip()
    by_key = {key: name for name, key in session.keys(column).items()}
    if line.casefold() in by_key:
        return "class", by_key[line.casefold()]
    raise BadInput(f"no key and no class: {line[:40]!r}; `n {line[:40]}` makes a class of it")


def _tell_notes(session: Session, say: Callable[[str], object]) -> None:
    while session.notes:
        say(session.notes.pop(0))
