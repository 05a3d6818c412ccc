"""The contact sheet: every trial's samples for the same latents, on one self-contained page."""

import html
import json
from collections.abc import Sequence
from importlib.resources import files
from typing import Any

from ssgan.base.formatting import number, short_names, spell, spell_all
from ssgan.evaluation import catalog
from ssgan.records.histories import Histories, History
from ssgan.records.search_info import SearchInfo, read_search_info
from ssgan.records.searchdir import SearchDir
from ssgan.report.thumbnails import Selection, Thumbnails

BUDGET = 24_000_000
"""Maximum bytes of a page: what a browser and MLflow's viewer still open at once."""
_WORST_CASE = 2_000  # bytes that a trial takes besides its pictures, plus a page's frame


def contact_sheet(
    search: SearchDir,
    histories: Sequence[History] | None = None,
    *,
    thumbnails: Thumbnails | None = None,
    budget: int = BUDGET,
) -> str:
    """Draw a search's contact sheet.

    The page needs nothing but itself, and works from a file and inside MLflow's artifact viewer.
    A slider goes through the epochs; trials are sorted by metric, name, status or any searched
    field. Equal directories make equal pages.

    Args:
        search: The search directory.
        histories: Its trials, where they were read already.
        thumbnails: Small copies made before.
        budget: Maximum bytes of the page. Epochs that do not fit are left out, which it says.

    Returns:
        The page, HTML.

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
    changed = spell_all(values)
    return (
        f"after epoch {epoch} from {source}: {changed}" if changed else f"epoch {epoch}: {source}"
    )


def _note(selection: Selection) -> str | None:
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
