"""The contact sheet: every trial's samples for the same latents, on one self-contained page."""

import base64
import html
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any, NamedTuple

from ssgan.base.formatting import number, short_names, spell, spell_all
from ssgan.drawing.sheet import thumbnail
from ssgan.evaluation import catalog
from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir

_BUDGET = 24_000_000  # bytes of a page: what a browser and MLflow's viewer still open at once
_WORST_CASE = 2_000  # bytes that a trial takes besides its pictures, plus a page's frame
_PICTURE = "samples_ema"  # the one that is shown: equal latents in every run and every epoch
_WIDTHS = (640, 480, 320, 200)  # pixels, tried from the largest
_QUALITY = 80
_SHARE = 0.5  # of the budget for each trial's last picture; the rest is for earlier epochs


class _Selection(NamedTuple):
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

    def select(self, histories: Sequence[History], budget: int) -> _Selection:
        """Choose and shrink pictures such that their data URIs fit a budget.

        Every trial keeps its last picture. Of the epochs before, as many are kept as fit, evenly
        spread, the same ones for all trials. Where even the last ones do not fit, pictures become
        smaller, and in the end trials far down in the list go without.
        """
        pictured = [
            {record.epoch for record in one.records if _PICTURE in record.images}
            for one in histories
        ]
        epochs = sorted({epoch for one in pictured for epoch in one})
        for width in _WIDTHS:
            last = [
                {max(one): self._uri(history, max(one), width)} if one else {}
                for history, one in zip(histories, pictured, strict=True)
            ]
            if _size(last) <= _SHARE * budget:
                break
        without = _cut(last, budget)
        shown = sum(map(len, last))
        if not shown or not epochs:
            return _Selection([], last, len(epochs), without, width)
        each = _size(last) / shown
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
            if _size(pictures) <= budget:
                return _Selection(kept, pictures, len(epochs), without, width)
        return _Selection(epochs[-1:], last, len(epochs), without, width)

    def _uri(self, history: History, epoch: int, width: int) -> str:
        record = next(record for record in history.records if record.epoch == epoch)
        assert history.run is not None
        key = (history.run.location, epoch, record.timestamp_ms, width)
        if key not in self._known:
            png = history.run.read_bytes(record.images[_PICTURE])
            webp = thumbnail(png, width, _QUALITY)
            self._known[key] = f"data:image/webp;base64,{base64.b64encode(webp).decode()}"
        return self._known[key]


def contact_sheet(
    search: SearchDir,
    histories: Sequence[History] | None = None,
    *,
    thumbnails: Thumbnails | None = None,
    budget: int = _BUDGET,
) -> str:
    """Draw a search's contact sheet as an HTML page.

    The page needs nothing but itself, and works from a file and inside MLflow's artifact viewer.
    A slider goes through the epochs; trials are sorted by metric, name, status or any searched
    field. Equal directories make equal pages. What does not fit into the budget of bytes is left
    out, which the page says. Histories that were read already, and thumbnails made before, spare
    time.

    Raises:
        CorruptFile: The search's files cannot be read.
    """
    info = read_search_info(search)
    histories = Histories().read(search) if histories is None else histories
    ranked = sorted(histories, key=lambda one: (info.rank(one.row.metric), one.row.run))
    left = budget - _WORST_CASE * (len(ranked) + 30)
    selection = (thumbnails or Thumbnails()).select(ranked, left)
    data = {
        "name": info.name,
        "metric": info.metric,
        "label": catalog.title(info.metric),
        "mode": info.mode,
        "created": search.info.created[:16].replace("T", " "),
        "fields": _fields(ranked),
        "epochs": selection.epochs,
        "note": _note(selection),
        "trials": [
            _trial(history, info, pictures)
            for history, pictures in zip(ranked, selection.pictures, strict=True)
        ],
    }
    return _page(f"{info.name}: contact sheet", data)


def _page(title: str, data: Any) -> str:
    parts = files("ssgan.report")
    # The data stands in a script element, where "<" could begin a tag or a comment.
    text = json.dumps(data, ensure_ascii=False, separators=(",", ":")).replace("<", "\\u003c")
    page = parts.joinpath("contact.html").read_text(encoding="utf-8")
    for mark, content in (
        ("TITLE", html.escape(title)),
        ("CSS", parts.joinpath("contact.css").read_text(encoding="utf-8")),
        ("JS", parts.joinpath("contact.js").read_text(encoding="utf-8")),
        ("DATA", text),
    ):
        page = page.replace(f"<!--{mark}-->", content, 1)
    return page


def _fields(histories: Sequence[History]) -> list[dict[str, str]]:
    configurations = [history.row.values for history in histories]
    short = short_names(configurations)
    roots = dict.fromkeys(root for values in configurations for root in values)
    return [{"key": root, "label": short[root]} for root in roots]


def _trial(history: History, info: SearchInfo, pictures: dict[int, str]) -> dict[str, Any]:
    row = history.row
    sortable = {key: number(value) for key, value in row.values.items()}
    shown = {key: spell(value) for key, value in row.values.items()}
    return {
        "run": row.run,
        "name": row.trial,
        "stage": row.stage,
        "status": row.status,
        "reason": row.reason,
        "seed": row.seed,
        "epoch": row.epoch,
        "metric": row.metric,
        "speed": row.images_per_second,
        "lineage": [_exploit(one.epoch, one.source_trial, one.values) for one in row.lineage],
        "values": {key: shown[key] if value is None else value for key, value in sortable.items()},
        "shown": shown,
        "curve": [[record.epoch, value] for record, value in history.curve(info.metric)],
        "pictures": pictures,
    }


def _exploit(epoch: int, source: str, values: dict[str, Any]) -> str:
    if changed := spell_all(values):
        return f"after epoch {epoch} from {source}: {changed}"
    return f"epoch {epoch}: {source}"


def _note(selection: _Selection) -> str | None:
    """Say what did not fit into the page."""
    said = []
    missing = selection.all_epochs - len(selection.epochs)
    if missing > 0:
        said.append(
            f"{missing} of {selection.all_epochs} epochs are left out so that this page opens fast"
        )
    if selection.without:
        said.append(f"the pictures of the last {selection.without} trials are left out")
    if not said:
        return None
    return f"{'; '.join(said)}. The trials' run directories hold all of them, in full size."


def _size(pictures: Sequence[dict[int, str]]) -> int:
    return sum(len(uri) for one in pictures for uri in one.values())


def _cut(pictures: list[dict[int, str]], budget: int) -> int:
    """Empty entries from the end until the rest fits; return how many that took."""
    cut = 0
    for one in reversed(pictures):
        if _size(pictures) <= budget:
            break
        cut += bool(one)
        one.clear()
    return cut
