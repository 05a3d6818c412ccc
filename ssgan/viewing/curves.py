"""What the records of a run say of its training, as curves and as a table of the codes."""

from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

from ssgan.evaluation.catalog import KNOWN, MAIN, Metric, find, title
from ssgan.records.rundir import Record

_ZERO_ONE = (MAIN, "zero_one_loss", "judge_error")
_ADVERSARIAL = ("loss/d_real", "loss/d_fake", "loss/g_adv")
_LOSS = "loss/"


class Curve(NamedTuple):
    """One line of a chart."""

    name: str
    points: list[tuple[int, float]]
    """Epochs with values."""


class Chart(NamedTuple):
    """A chart over epochs."""

    title: str
    curves: list[Curve]


def charts(records: Sequence[Record]) -> list[Chart]:
    """Return a chart of the 0-1 losses, of what the catalog charts, and of the losses' terms."""
    names = dict.fromkeys(name for record in records for name in record.metrics)
    found = [_chart("0-1 loss by C", _ZERO_ONE, records)]
    found += [
        _chart(_heading(metric), _names(metric, names), records)
        for metric in KNOWN.values()
        if metric.chart and metric.name != MAIN
    ]
    terms = [name for name in names if name.startswith(_LOSS) and name not in _ADVERSARIAL]
    found.append(_chart("adversarial losses of D and G", _ADVERSARIAL, records))
    found.append(_chart("losses of the codes", terms, records))
    return [chart for chart in found if chart.curves]


def _chart(heading: str, names: Sequence[str], records: Sequence[Record]) -> Chart:
    curves = []
    for name in names:
        values = ((record.epoch, record.metrics.get(name)) for record in records)
        points = [(epoch, value) for epoch, value in values if value is not None]
        if points:
            curves.append(Curve(_label(name), points))
    return Chart(heading, curves)


def _label(name: str) -> str:
    """Name a curve in its chart, whose heading says the rest."""
    metric, part = find(name), name.partition("/")[2]
    is_part = part and (metric is None or metric.per is not None)
    return part if is_part else title(name).removeprefix("loss ")


def _names(metric: Metric, names: Iterable[str]) -> list[str]:
    """Return the names of a metric that are drawn: the total, or else one a code."""
    if metric.is_total:
        return [metric.name]
    return [name for name in names if name.startswith(f"{metric.name}/") and "." not in name]


def _heading(metric: Metric) -> str:
    return metric.title.format("c")


class Column(NamedTuple):
    """A column of the table of codes."""

    title: str
    meaning: str


class Health(NamedTuple):
    """How the codes do at one epoch."""

    epoch: int
    columns: list[Column]
    rows: list[tuple[str, list[str]]]
    """A code, and a cell for each column; empty where it has no value."""
    notes: list[str]
    """Why metrics have no value, or how they are to be read."""
    alarms: list[str]


def health(record: Record) -> Health:
    """Make the table of an evaluated epoch: a row a code, and what the evaluation warns about."""
    cells: dict[str, dict[str, str]] = {}
    columns: dict[str, Column] = {}
    for metric in KNOWN.values():
        for code, value in _by_code(metric, record):
            columns.setdefault(metric.name, Column(_heading(metric), metric.meaning))
            cells.setdefault(code, {})[metric.name] = f"{value:.4g}"
        for code, (worst, value) in _worst_classes(metric, record).items():
            name = f"{metric.name}, worst class"
            columns.setdefault(name, Column(f"{_heading(metric)}, worst class", metric.meaning))
            cells.setdefault(code, {})[name] = f"{value:.4g} ({worst})"
    rows = [(code, [found.get(name, "") for name in columns]) for code, found in cells.items()]
    notes = dict.fromkeys(record.reasons.values())
    return Health(record.epoch, [*columns.values()], rows, [*notes], [*record.alarms])


def _by_code(metric: Metric, record: Record) -> Iterator[tuple[str, float]]:
    """Yield codes with values of a metric that is told code by code."""
    if metric.per is None:
        return
    for name, value in record.metrics.items():
        code = name.removeprefix(f"{metric.name}/")
        if code != name and "." not in code and value is not None:
            yield code, value


def _worst_classes(metric: Metric, record: Record) -> dict[str, tuple[str, float]]:
    """Return of each code the class with the worst value; none where a metric is not of classes."""
    worst: dict[str, tuple[str, float]] = {}
    if metric.per != "class" or metric.better is None:
        return worst
    sign = 1 if metric.better == "min" else -1
    for name, value in record.metrics.items():
        code, dot, one = name.removeprefix(f"{metric.name}/").partition(".")
        if not name.startswith(f"{metric.name}/") or not dot or value is None:
            continue
        if code not in worst or sign * value > sign * worst[code][1]:
            worst[code] = one, value
    return worst
