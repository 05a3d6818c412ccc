"""A small heap of drawn shapes, and sessions that ask about it."""

from collections.abc import Callable
from pathlib import Path

import pytest

from ssgan.labeling.column import Column
from ssgan.labeling.opening import open_session
from ssgan.labeling.place import place_of_folder
from ssgan.labeling.session import Session
from tests.helpers.pictures import draw_heap

Open = Callable[..., Session]


@pytest.fixture(scope="session")
def drawn(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of 40 shapes of 16x16 pixels."""
    folder = tmp_path_factory.mktemp("heap") / "shapes"
    draw_heap(folder, 40, size=16)
    return folder


@pytest.fixture
def opened(drawn: Path, tmp_path: Path) -> Open:
    """Open a session on the heap; its answers go to answers.csv."""

    def start(*columns: Column, merge: bool = False) -> Session:
        asked = columns or (Column("shape"),)
        place = place_of_folder(drawn, tmp_path / "answers.csv", asked)
        return open_session(place, merge=merge)

    return start


def answer(session: Session, kind: str, value: str = "") -> str:
    """Answer what is asked now."""
    asked = session.question()
    assert asked is not None
    return session.answer(asked.picture, asked.column.name, kind, value)
