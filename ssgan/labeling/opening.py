"""How a session begins: pictures are read, features found, and the answers so far."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from ssgan.base.config import nearest
from ssgan.base.errors import BadInput
from ssgan.base.progress import Advance
from ssgan.data.features import pixel_features
from ssgan.labeling.answers import Answers
from ssgan.labeling.estimate import Estimates
from ssgan.labeling.heap import Heap, open_heap
from ssgan.labeling.place import Place
from ssgan.labeling.ranking import Ranking
from ssgan.labeling.session import Session

if TYPE_CHECKING:
    from ssgan.export.generator import NamedGenerator

_CHUNK = 5_000  # images that are read at a time


def open_session(
    place: Place,
    reader: NamedGenerator | None = None,
    *,
    merge: bool = False,
    progress: Advance | None = None,
) -> Session:
    """Start asking, or go on.

    Args:
        place: What is asked.
        reader: A trained model, to ask where it is least sure; or None.
        merge: Make one class of those in the CSV that differ only in case or spaces.
        progress: Told how many pictures have been decoded.

    Raises:
        BadInput: The pictures or the CSV cannot be read, or the model reads other images; or
            classes differ only in case or spaces.
    """
    heap = open_heap(place.source, progress)
    names = [*heap.names, *heap.others]
    columns = [column.name for column in place.columns]
    answers = Answers(place.csv, place.source.root, names, columns, place.source.file_column)
    if merge:
        answers.merge_doubles()
    for column, groups in answers.find_doubles().items():
        counts = answers.counts(column)
        found = " and ".join(f"{name!r} ({counts[name]})" for name in groups[0])
        raise BadInput(
            f"{place.csv}, column {column!r}: {found} differ only in case or spaces; --merge makes "
            f"them one class, {groups[0][0]!r}, or rename one of them"
        )
    features = pixel_features(heap.images.take, len(heap), heap.images.shape)
    weights = None if reader is None else _doubts(reader, heap, place)
    return Session(
        heap, answers, place.columns, Ranking(heap, features, weights), Estimates(features)
    )


def _doubts(reader: NamedGenerator, heap: Heap, place: Place) -> Tensor:
    """Return how unsure Q_ss is of each image: one minus its confidence, float32 (N,)."""
    shape = tuple(reader.manifest.shape)
    if shape != heap.images.shape:
        raise BadInput(
            f"the model of --run reads images of {shape}, the pictures here become "
            f"{heap.images.shape}; give a run on the same pictures"
        )
    known = {code.name for code in reader.codes}
    asked = [
        place.source.names.get(one.name, one.name) for one in place.columns if not one.is_number
    ]
    for name in asked:
        if name not in known:
            raise BadInput(f"the model of --run has no code {name!r}{nearest(name, known)}")
    if not asked:
        raise BadInput("--run tells how sure a model is of classes, and only numbers are asked for")
    doubts = []
    for rows in torch.arange(len(heap)).split(_CHUNK):
        images = heap.images.take(rows).permute(0, 2, 3, 1).numpy()
        readings = reader.read(images)
        sure = torch.stack([torch.as_tensor(readings[name].confidence) for name in asked])
        doubts.append(1 - sure.float().mean(dim=0))
    return torch.cat(doubts)
