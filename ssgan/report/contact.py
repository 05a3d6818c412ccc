"""The contact sheet: every trial's samples for the same latents, on one self-contained page."""

import base64
import html
import json
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.resources import files
from statistics import fmean
from typing import Any, NamedTuple, TypeVar

from ssgan.base.formatting import number, short_names, spell, spell_all
from ssgan.drawing.sheet import THUMBNAIL, thumbnail
from ssgan.evaluation import catalog
from ssgan.records.histories import Histories, History
from ssgan.records.rundir import Record, RunDir
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir

Item = TypeVar("Item")

_BUDGET = 24_000_000  # bytes of a page: what a browser and MLflow's viewer still open at once
_WORST_CASE = 2_000  # bytes that a trial takes besides its pictures, plus a page's frame
_MOST = 500  # trials of a page, the best ones
_PICTURE = "samples_ema"  # the one that is shown: equal latents in every run and every epoch
_WIDTHS = (640, 480, 320, THUMBNAIL)  # pixels, tried from the largest
_QUALITY = 80
_SHARE = 0.5  # of the budget for each trial's last picture; the rest is for earlier epochs
_MADE = 300  # pictures that are made for a page; where it has more, the records' thumbnails go in
_SAMPLE = 8  # pictures that tell how large the others will be
_THREADS = 16  # that read and shrink pictures; an object store answers each after a while


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
    """Maximum pixels of a last picture's longer side."""


class Thumbnails:
    """Makes small copies of pictures, and remembers those of the last page for the next one."""

    def __init__(self) -> None:
        self._known: dict[tuple[str, int, int, int], str] = {}

    def select(self, histories: Sequence[History], budget: int) -> _Selection:
        """Choose and shrink pictures such that their data URIs fit a budget.

        Every trial keeps its last picture. Of the epochs before, as many are kept as fit, evenly
        spread, the same ones for all trials. Where even the last ones do not fit, pictures become
        smaller, and in the end trials far down in the list go without.
        """
        before, self._known = self._known, {}
        pictured = [
            {record.epoch: record for record in one.records if _PICTURE in record.images}
            for one in histories
        ]

        def uri(i: int, epoch: int, width: int) -> str:
            run, record = histories[i].run, pictured[i][epoch]
            assert run is not None
            key = (run.location, epoch, record.timestamp_ms, width)
            if key not in self._known:
                self._known[key] = before.get(key) or _encode(run, record, width)
            return self._known[key]

        def uris(of: Sequence[tuple[int, int]], width: int) -> list[str]:
            with ThreadPoolExecutor(_THREADS, "thumbnails") as pool:
                return [*pool.map(lambda one: uri(one[0], one[1], width), of)]

        epochs = sorted({epoch for one in pictured for epoch in one})
        shown = [i for i, one in enumerate(pictured) if one]
        width = self._choose_width(shown, pictured, uri, budget)
        last: list[dict[int, str]] = [{} for _ in histories]
        spent = 0
        finals = [(i, max(pictured[i])) for i in shown]
        for at, ((i, final), picture) in enumerate(zip(finals, uris(finals, width), strict=True)):
            if spent + len(picture) > budget:
                return _Selection(epochs[-1:], last, len(epochs), len(shown) - at, width)
            last[i][final] = picture
            spent += len(picture)
        if not shown:
            return _Selection([], last, 0, 0, width)
        each: dict[int, float] = {}  # bytes of an earlier picture by its width, about
        for stride in range(1, len(epochs) + 1):
            kept = {*epochs[::stride], epochs[-1]}
            added = [(i, e) for i in shown for e in pictured[i] if e in kept and e not in last[i]]
            other = width if len(added) + len(shown) <= _MADE else THUMBNAIL
            if added and other not in each:
                each[other] = fmean(map(len, uris(_spread(added), other)))
            if added and spent + len(added) * each[other] > budget:
                continue
            pictures = [dict(one) for one in last]
            total = spent
            for (i, epoch), picture in zip(added, uris(added, other), strict=True):
                pictures[i][epoch] = picture
                total += len(pictures[i][epoch])
            if total <= budget:
                pictures = [dict(sorted(one.items())) for one in pictures]
                return _Selection(sorted(kept), pictures, len(epochs), 0, width)
        return _Selection(epochs[-1:], last, len(epochs), 0, width)

    @staticmethod
    def _choose_width(
        shown: Sequence[int],
        pictured: Sequence[Mapping[int, Record]],
        uri: Callable[[int, int, int], str],
        budget: int,
    ) -> int:
        """Return the largest width at which the last pictures should fit, by a few of them."""
        for width in _WIDTHS[:-1] if len(shown) <= _MADE else ():
            sample = [len(uri(i, max(pictured[i]), width)) for i in _spread(shown)]
            if not sample or len(shown) * fmean(sample) <= _SHARE * budget:
                return width
        return _WIDTHS[-1]


def _encode(run: RunDir, record: Record, width: int) -> str:
    stored = record.thumbnails.get(_PICTURE)
    if stored is not None and width == THUMBNAIL:
        webp = run.read_bytes(stored)
    else:
        png = run.read_bytes(record.images[_PICTURE])
        webp = thumbnail(png, width, _QUALITY, enlarge=False)
    return f"data:image/webp;base64,{base64.b64encode(webp).decode()}"


def _spread(items: Sequence[Item]) -> Sequence[Item]:
    """Return a few of some items, evenly spread; all where there are few."""
    return items[:: max(1, len(items) // _SAMPLE)]


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
    field. Equal directories make equal pages. What does not fit into the budget of bytes, and
    trials of stage one that are not among the best 500, are left out, which the page says.
    Histories that were read already, and thumbnails made before, spare time.

    Raises:
        CorruptFile: The search's files cannot be read.
    """
    info = read_search_info(search)
    histories = Histories().read(search) if histories is None else histories
    everyone = sorted(
        histories,
        key=lambda one: (one.row.stage == "search", info.rank(one.row.metric), one.row.run),
    )
    ranked = sorted(everyone[:_MOST], key=lambda one: (info.rank(one.row.metric), one.row.run))
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
        "note": _note(selection, len(everyone) - len(ranked)),
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


def _note(selection: _Selection, missing_trials: int) -> str | None:
    """Say what did not fit into the page."""
    said = []
    if missing_trials:
        said.append(f"the {missing_trials} worst trials are left out")
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
