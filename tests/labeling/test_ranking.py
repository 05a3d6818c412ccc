"""Which picture next: coverage, and where a model is unsure."""

from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from ssgan.base.errors import BadInput
from ssgan.data.features import pixel_features
from ssgan.labeling.column import Column
from ssgan.labeling.heap import Heap, open_heap
from ssgan.labeling.opening import open_session
from ssgan.labeling.place import place_of_folder
from ssgan.labeling.ranking import Ranking


@pytest.fixture(scope="module")
def heap(drawn: Path) -> Heap:
    return open_heap(place_of_folder(drawn, None, []).source)


def test_every_picture_is_asked_about_once_whatever_the_steps(heap: Heap) -> None:
    ranking = Ranking(heap, pixel_features(heap.images.take, len(heap), heap.images.shape))
    whole = ranking.after([])
    assert sorted(whole) == list(range(40))
    steps: list[int] = []
    while more := ranking.after(steps)[:7]:
        steps += more
    assert steps == whole


def test_what_is_like_a_picture_of_no_class_comes_last() -> None:
    of = torch.arange(3).repeat_interleave(torch.tensor([40, 30, 20]))
    draw = torch.Generator().manual_seed(0)
    features = 20 * torch.eye(3)[of] + torch.randn(90, 3, generator=draw)
    heap: Any = SimpleNamespace(firsts=torch.arange(90))
    ranking = Ranking(heap, features, torch.where(of == 2, 0.5, 1.0))
    first = ranking.after([])[:3]
    assert of[first].tolist() == [0, 1, 2]
    assert set(of[ranking.after(first)].tolist()) == {0, 1, 2}
    steps = list(first)
    for _ in range(40):
        steps += ranking.after(steps, none=first[:1])
    assert set(of[steps[3:50]].tolist()) == {1, 2}
    while more := ranking.after(steps, none=first[:1]):
        steps += more
    assert sorted(steps) == list(range(90))


def test_the_nearest_are_told_from_the_pictures_themselves(heap: Heap) -> None:
    features = torch.arange(40.0)[:, None]
    ranking = Ranking(heap, features)
    assert ranking.neighbors(0, 3) == [1, 2, 3]
    assert ranking.neighbors(20, 2) == [19, 21]


class Reader:
    """A model that is sure of the first half of all images."""

    def __init__(self, shape: tuple[int, int, int] = (1, 16, 16), name: str = "shape") -> None:
        self.manifest = SimpleNamespace(shape=shape)
        self.codes = [SimpleNamespace(name=name)]

    def read(self, images: np.ndarray) -> dict[str, Any]:
        sure = (np.arange(len(images)) < 20).astype(np.float32)
        return {"shape": SimpleNamespace(confidence=sure)}


def test_a_model_is_asked_for_where_it_is_unsure(drawn: Path, tmp_path: Path) -> None:
    place = place_of_folder(drawn, tmp_path / "a.csv", [Column("shape")])
    session = open_session(place, Reader())
    asked = []
    for _ in range(5):
        question = session.question()
        asked.append(question.picture)
        session.answer(question.picture, "shape", "new", "circle")
    assert min(asked) >= 20


@pytest.mark.parametrize(
    ("reader", "message"),
    [
        (Reader(shape=(3, 16, 16)), r"reads images of \(3, 16, 16\)"),
        (Reader(name="form"), "has no code 'shape'"),
    ],
)
def test_a_model_of_other_images_or_codes_is_refused(
    drawn: Path, tmp_path: Path, reader: Reader, message: str
) -> None:
    place = place_of_folder(drawn, tmp_path / "a.csv", [Column("shape")])
    with pytest.raises(BadInput, match=message):
        open_session(place, reader)
