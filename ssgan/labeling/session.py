"""A session of asking: what is asked next, what an answer does, and what is shown meanwhile.

Page and terminal are two faces of it. It keeps nothing: who starts another one on the same file
goes on where this one was.
"""

import threading
from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, NamedTuple

from ssgan.base.errors import BadInput
from ssgan.data.sources.cells import as_number
from ssgan.labeling.answers import NOT_SURE, Answers
from ssgan.labeling.column import Column
from ssgan.labeling.estimate import Estimates, advise
from ssgan.labeling.heap import Heap
from ssgan.labeling.names import are_numbers, check_class, find_class, give_keys
from ssgan.labeling.ranking import Ranking
from ssgan.method.codes import NONE_OF_THESE

Kind = Literal["class", "new", "number", "none", "unsure"]

_RECENT = 12  # answers that are shown
_NEIGHBORS = 6  # pictures beside the one that is asked about
_NOTES = 5  # words to the user that are kept


class Question(NamedTuple):
    """A picture, and what is asked about it."""

    picture: int
    column: Column


class _Change(NamedTuple):
    """An answer that can be taken back."""

    column: str
    before: dict[int, str | None]
    after: str


@dataclass
class Session:
    """Asks about a heap of pictures, column by column, picture by picture.

    All methods may be called from several threads.
    """

    heap: Heap
    answers: Answers
    columns: Sequence[Column]
    ranking: Ranking
    estimates: Estimates
    check: Callable[[], object] = lambda: None
    """Called before anything is written; raises where it must not be."""
    notes: list[str] = field(default_factory=list)
    """What the user has to be told, the newest last."""
    given: int = 0
    """Answers that were given in this session and not taken back."""
    _order: list[int] = field(default_factory=list)
    _none: set[int] = field(default_factory=set)
    _changes: list[_Change] = field(default_factory=list)
    _again: list[Question] = field(default_factory=list)
    _gone: set[int] = field(default_factory=set)
    _added: dict[str, list[str]] = field(default_factory=dict)
    _lock: threading.RLock = field(default_factory=threading.RLock)

    def __post_init__(self) -> None:
        self._estimate()

    def question(self) -> Question | None:
        """Return what is asked next; None when there is nothing left to ask.

        A picture that cannot be read any more is skipped, with a note.
        """
        with self._lock:
            if self._again:
                return self._again[0]
            asked = {column.name: self.answers.all(column.name).keys() for column in self.columns}
            known = dict.fromkeys(row for rows in asked.values() for row in rows)
            answered = [row for row in known if row < len(self.heap)]
            none = self._find_none()
            if none != self._none:
                self._none, self._order = none, []
            candidates = [*answered, *self._order]
            while True:
                for picture in candidates:
                    column = self._open_column(picture, asked)
                    if column is not None and self._is_there(picture):
                        return Question(picture, column)
                candidates = self.ranking.after([*answered, *self._order], none)
                if not candidates:
                    return None
                self._order += candidates

    def _find_none(self) -> set[int]:
        """Return the pictures that some answer calls none of the classes."""
        return {
            row
            for column in self.columns
            for row, cell in self.answers.all(column.name).items()
            if cell == NONE_OF_THESE and row < len(self.heap)
        }

    def answer(self, picture: int, column: str, kind: Kind, value: str = "") -> str:
        """Answer a question; the answer is in the file when this returns.

        Args:
            picture: The picture that was shown; copies of it get the same answer.
            column: The question that was asked.
            kind: A class that is known, a ``new`` one, a number, or neither.
            value: The class or the number.

        Returns:
            What was written.

        Raises:
            BadInput: The answer makes no sense, another question is asked by now, or the file was
                changed and cannot be read. Nothing was written.
        """
        with self._lock:
            asked = self.question()
            if asked is None or (asked.picture, asked.column.name) != (picture, column):
                raise BadInput(
                    "this question has been answered, perhaps in another window; here is the next"
                )
            cell = self._cell(asked.column, kind, value)
            expected = self.answers.get(picture, column)
            cells = dict.fromkeys([picture, *self.heap.copies[picture]], cell)
            before = {row: self.answers.get(row, column) for row in cells}
            self._put(cells, column, expected)
            self._changes.append(_Change(column, before, cell))
            self.given += 1
            if self._again:
                self._again.pop(0)
            return cell

    def undo(self) -> str:
        """Take the last answer of this session back; return what it was about.

        Raises:
            BadInput: There is none, or another program has changed it meanwhile.
        """
        with self._lock:
            if not self._changes:
                raise BadInput(
                    "there is no answer of this session to take back; choose a picture among the "
                    "last answers to answer it again"
                )
            column, before, after = self._changes[-1]
            self._put(before, column, after)
            self._changes.pop()
            self._again.clear()
            self.given -= 1
            return self.heap.names[next(iter(before))]

    def ask_again(self, picture: int) -> None:
        """Ask all questions about a picture once more; its answers stay until there are others."""
        if not 0 <= picture < len(self.heap):
            raise BadInput(f"there is no picture {picture}")
        with self._lock:
            if self._is_there(picture):
                self._again = [Question(picture, column) for column in self.columns]

    def classes(self, column: Column) -> list[str]:
        """Return the classes of a column, in the order of their keys."""
        seen = [name for name in self.answers.counts(column.name) if name != NONE_OF_THESE]
        return list(dict.fromkeys([*column.classes, *seen, *self._added.get(column.name, [])]))

    def keys(self, column: Column) -> dict[str, str]:
        """Return the keys of a column's classes."""
        return give_keys(self.classes(column))

    def refresh(self) -> None:
        """Take up what another program has written into the file."""
        with self._lock:
            try:
                if self.answers.refresh():
                    self._tell_of_change()
                    self._estimate()
            except BadInput as error:
                self.note(f"{error}; nothing can be written until it is mended")

    def note(self, text: str) -> None:
        """Tell the user something."""
        if text not in self.notes[-1:]:
            self.notes.append(text)
            del self.notes[:-_NOTES]

    def state(self) -> dict[str, Any]:
        """Return all that is shown, as JSON has it."""
        with self._lock:
            self.refresh()
            asked = self.question()
            column = self.columns[0] if asked is None else asked.column
            counts, keys = self.answers.counts(column.name), self.keys(column)
            cells = self.answers.all(column.name)
            estimate = self.estimates.get(column.name)
            return {
                "file": self.answers.path.name,
                "pictures": len(self.heap),
                "question": None if asked is None else self._question(asked, cells),
                "column": self._column(column, counts),
                "classes": [
                    {"name": name, "key": keys.get(name, ""), "count": counts[name]}
                    for name in self.classes(column)
                ],
                "answers": counts.total(),
                "none": counts[NONE_OF_THESE],
                "unsure": sum(cell == NOT_SURE for cell in cells.values()),
                "estimate": None if estimate is None else estimate.as_json(),
                "pending": self.estimates.pending,
                "advice": self.advice(column),
                "recent": self._recent(),
                "notes": self.notes[-_NOTES:],
                "undo": bool(self._changes),
            }

    def advice(self, column: Column) -> str:
        """Say in a sentence whether there are answers enough."""
        counts = self.answers.counts(column.name)
        return advise(column, counts, len(self.heap), self.estimates.get(column.name))

    def summary(self) -> str:
        """Say in a line what there is in the file by now."""
        parts = []
        for column in self.columns:
            counts = self.answers.counts(column.name)
            seen = [f"{name}: {count}" for name, count in counts.items()]
            what = f"{counts.total()} answers" if column.is_number else ", ".join(seen) or "none"
            parts.append(f"{column.name}: {what}")
        return f"{self.answers.path.name}: {'; '.join(parts)}"

    def _put(self, cells: Mapping[int, str | None], column: str, expected: str | None) -> None:
        self.check()
        try:
            changed = self.answers.put(cells, column, expected)
        except OSError as error:
            raise BadInput(
                f"{self.answers.path} cannot be written: {error.strerror or error}; the answer "
                "is not kept"
            ) from error
        if changed:
            self._tell_of_change()
        self._estimate()

    def _tell_of_change(self) -> None:
        there = self.answers.path.exists()
        what = "was changed by another program, and read again" if there else "was removed"
        more = "" if there else "; the next answer writes it again, with all answers"
        self.note(f"{self.answers.path.name} {what}{more}")

    def _estimate(self) -> None:
        for column in self.columns:
            if not column.is_number:
                inside = {
                    row: cell
                    for row, cell in self.answers.all(column.name).items()
                    if row < len(self.heap) and cell != NOT_SURE
                }
                self.estimates.update(column.name, inside)

    def _cell(self, column: Column, kind: Kind, value: str) -> str:
        """Return what an answer writes.

        Raises:
            BadInput: It makes no sense.
        """
        if kind == "unsure":
            return NOT_SURE
        if kind == "none":
            if column.none_refused:
                raise BadInput(column.none_refused)
            return NONE_OF_THESE
        if column.is_number:
            number = as_number(value.strip().replace(",", "."))
            if kind != "number" or number is None or not abs(number) < 1e30:
                raise BadInput(f"{value[:40]!r} is not a number; {column.name} takes one")
            return f"{number:.10g}"
        if kind == "number":
            raise BadInput(f"{column.name} takes a class, not a number")
        known = find_class(value, self.classes(column))
        if kind == "class" or (known is None and column.fixed):
            if known is None:
                raise BadInput(f"{value[:40]!r} is not a class of {column.name}")
            return known
        if known is not None:
            if known != value.strip():
                self.note(f"{value.strip()!r} is taken for the class {known!r}")
            return known
        name = check_class(value, column.unknown)
        self._added.setdefault(column.name, []).append(name)
        if not column.declared and are_numbers(self.classes(column)):
            self.note(
                f"all classes of {column.name} are numbers: let data.source.kinds.{column.name} be "
                "categorical, or training may take them for values"
            )
        return name

    def _open_column(self, picture: int, asked: Mapping[str, Collection[int]]) -> Column | None:
        """Return the first column that has not been asked about a picture, nor about a copy."""
        if picture in self._gone:
            return None
        copies = self.heap.copies[picture]
        for column in self.columns:
            if not any(copy in asked[column.name] for copy in copies):
                return column
        return None

    def _is_there(self, picture: int) -> bool:
        if self.heap.is_there(picture):
            return True
        self._gone.add(picture)
        self.note(f"{self.heap.names[picture]} cannot be read any more and is skipped")
        return False

    def _question(self, asked: Question, cells: Mapping[int, str]) -> dict[str, Any]:
        picture = asked.picture
        return {
            "picture": picture,
            "name": self.heap.names[picture],
            "column": asked.column.name,
            "copies": len(self.heap.copies[picture]) - 1,
            "again": bool(self._again),
            "before": cells.get(picture),
            "neighbors": [
                {"picture": row, "name": self.heap.names[row], "answer": cells.get(row)}
                for row in self.ranking.neighbors(picture, _NEIGHBORS)
            ],
        }

    def _column(self, column: Column, counts: Mapping[str, int]) -> dict[str, Any]:
        numbers = [number for cell in counts if (number := as_number(cell)) is not None]
        return {
            "name": column.name,
            "number": column.is_number,
            "low": min([0.0, *numbers]) if column.low is None else column.low,
            "high": max([100.0, *numbers]) if column.high is None else column.high,
            "fixed": column.fixed,
            "takes_none": not column.none_refused,
        }

    def _recent(self) -> list[dict[str, Any]]:
        cells: dict[int, list[str]] = {}
        for column in self.columns:
            for row, cell in self.answers.all(column.name).items():
                cells.setdefault(row, []).append("not sure" if cell == NOT_SURE else cell)
        inside = [row for row in self.answers.pictures if row in cells and row < len(self.heap)]
        return [
            {"picture": row, "name": self.heap.names[row], "answer": ", ".join(cells[row])}
            for row in inside[: -_RECENT - 1 : -1]
        ]
