"""Known labels that answer in place of a person, and what came of it: for experiments."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, NamedTuple

from ssgan.base.errors import BadInput
from ssgan.labeling.place import Place, known_answers
from ssgan.labeling.session import Kind, Session
from ssgan.method.codes import NONE_OF_THESE


class Told(NamedTuple):
    """What is said at the end."""

    lines: list[str]
    facts: Mapping[str, Any]


def answer_known(session: Session, place: Place, spec: str, own: Path | None, count: int) -> Told:
    """Answer so many questions by known labels; those of pictures without one are *not sure*.

    The label *none of these* is that answer.

    Args:
        session: What is asked.
        place: Where it came from; one column.
        spec: The known labels, see `ssgan.labeling.place.known_answers`.
        own: The source's own CSV, where answers go to another one.
        count: Questions to answer.

    Raises:
        BadInput: There are several columns, or no such labels.
    """
    if len(place.columns) > 1:
        named = ", ".join(column.name for column in place.columns)
        raise BadInput(f"--answers answers one question; choose it by --label, of {named}")
    heap, (column,) = session.heap, place.columns
    known = known_answers(place, [*heap.names, *heap.others], spec, own)
    asked = 0
    while asked < count and (question := session.question()) is not None:
        label = known.get(question.picture)
        kind: Kind = "unsure" if label is None else "number" if column.is_number else "new"
        kind = "none" if label == NONE_OF_THESE else kind
        session.answer(question.picture, column.name, kind, label or "")
        asked += 1
    facts: dict[str, Any] = {"asked": asked}
    lines = [f"{asked} questions answered"]
    if not column.is_number:
        session.estimates.wait()
        if (estimate := session.estimates.get(column.name)) is not None:
            facts["estimate"] = estimate.as_json()
            lines.append(f"read right, by estimate: {estimate}")
    return Told(lines, facts)
