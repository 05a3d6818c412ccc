"""The pictures of a contact sheet: small, and no more of them than a page should carry."""

import base64
from collections.abc import Sequence
from typing import NamedTuple

from ssgan.drawing.encoding import thumbnail
from ssgan.records.histories import History

PICTURE = "samples_ema"
"""The record's picture that is shown: equal latents in every run and every epoch."""
_WIDTHS = (640, 480, 320, 200)  # pixels, tried from the largest
_QUALITY = 80
_SHARE = 0.5  # of the budget for each trial's last picture; the rest is for earlier epochs


class Selection(NamedTuple):
    """The pictures that a page carries."""

    epochs: list[int]
    """Epochs that can be looked at, ascending."""
    pictures: list[dict[int, str]]
    """By trial: epochs to data URIs. A trial's last picture is there whatever its epoch."""
    all_epochs: int
    """How many epochs have pictures."""
    without: int
    """Trials whose pictures had to be left out."""
    width: int
    """Maximum pixels of a picture's longer side."""


class Thumbnails:
    """Makes small copies of pictures, and remembers them for the next page."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def select(self, histories: Sequence[History], budget: int) -> Selection:
        """Choose and shrink pictures such that their data URIs fit a budget.

        Every trial keeps its last picture. Of the epochs before, as many are kept as fit, evenly
        spread, the same ones for all trials. Where even the last ones do not fit, pictures become
        smaller, and in the end trials far down in the list go without.

        Args:
            histories: The trials, those first that matter most.
            budget: Bytes of all data URIs together.
        """
        pictured = [_pictured(history) for history in histories]
        epochs = sorted({epoch for one in pictured for epoch in one})
        for width in _WIDTHS:
            last = [
                {max(one): self._uri(history, max(one), width)} if one else {}
                for history, one in zip(histories, pictured, strict=True)
            ]
            if _bytes(last) <= _SHARE * budget:
                break
        without = _cut(last, budget)
        shown = sum(map(len, last))
        if not shown or not epochs:
            return Selection([], last, len(epochs), without, width)
        each = _bytes(last) / shown
        for stride in range(1, len(epochs) + 1):
            kept = epochs[::-1][::stride][::-1]
            count = sum(len(one & set(kept)) for one in pictured)
            if count * each > budget and len(kept) > 1:
                continue
            pictures = last
            if not without:
                pictures = [
                    {e: self._uri(history, e, width) for e in kept if e in there} | final
                    for history, there, final in zip(histories, pictured, last, strict=True)
                ]
            if _bytes(pictures) <= budget:
                return Selection(kept, pictures, len(epochs), without, width)
        return Selection(epochs[-1:], last, len(epochs), without, width)

    def _uri(self, history: History, epoch: int, width: int) -> str:
        record = next(record for record in history.records if record.epoch == epoch)
        assert history.run is not None
        key = (history.run.location, epoch, record.timestamp_ms, width)
        if key not in self._known:
            png = history.run.read_bytes(record.images[PICTURE])
            webp = thumbnail(png, width, _QUALITY)
            self._known[key] = f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
        return self._known[key]


def _pictured(history: History) -> set[int]:
    return {record.epoch for record in history.records if PICTURE in record.images}


def _bytes(pictures: Sequence[dict[int, str]]) -> int:
    return sum(len(uri) for one in pictures for uri in one.values())


def _cut(pictures: list[dict[int, str]], budget: int) -> int:
    """Empty entries from the end until the rest fits; return how many that took."""
    cut = 0
    for index in range(len(pictures) - 1, -1, -1):
        if _bytes(pictures) <= budget:
            break
        cut += bool(pictures[index])
        pictures[index] = {}
    return cut
