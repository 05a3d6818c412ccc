"""The model card of an export as text: README.md, a description in MLflow, the front of a page.

It is a function of the record alone: equal records make equal bytes.
"""

import base64
import keyword
import re
import shlex
from collections.abc import Callable, Iterator, Mapping
from typing import NamedTuple

from ssgan.base import markdown_text
from ssgan.base.markdown_text import block, code, is_turned, table, text
from ssgan.drawing.grids import generator_name, numbered, rows_of
from ssgan.evaluation import catalog
from ssgan.evaluation.catalog import safe_names
from ssgan.evaluation.grids import MAX_ROWS
from ssgan.evaluation.metrics import wilson
from ssgan.export.card import Card
from ssgan.export.strips import strip_files
from ssgan.method.codes import NONE_OF_THESE, Code

README = "README.md"
"""File of the card in the folder of an export."""
_BEGIN = "## What it draws"
_BEGUN = re.compile(rf"(# [^\n]*\n\n)?({_BEGIN}\n|\*\*What it draws\.\*\*)")  # as 0.2.0's first
_CUT = f"\n\nThe rest does not fit here; it is in `{README}` of the export."
_FIGURES = (
    *("judge_error", catalog.WITHOUT_JUDGE, "diversity", "fd_judge"),
    *("precision", "recall", "density", "coverage"),
)
_PARTS = ("correlation/", "rmse/", "judge_rmse/", "q_ss_correlation/", "q_ss_rmse/")
_OF_D = ("judge_error", catalog.WITHOUT_JUDGE, "judge_rmse/", "q_ss_correlation/", "q_ss_rmse/")
_OF_C = ("judge_error", "judge_rmse/")  # the same for all runs that it judges
_CHANNELS = {1: "gray", 3: "color"}
_CONFUSED, _WORST = 0.02, 5  # 0-1 loss from which on a class is named, and how many
_TAKEN = ("n", "seed", "z", "codes")  # arguments of `NamedGenerator.sample`


class _Line(NamedTuple):
    """One line, or a block that is not to be parted."""

    markdown: str
    priority: int = 0
    """Where not all fits, the lowest stay."""


def is_card(description: str | None) -> bool:
    """Whether a text is a card, or none at all, and may be replaced by a card."""
    return not description or _BEGUN.match(description) is not None


def to_markdown(
    card: Card,
    *,
    title: bool = False,
    link: Callable[[str], str | None] = str,
    model: str | None = None,
    longest: int | None = None,
) -> str:
    """Write a card as Markdown.

    Args:
        card: What it says.
        title: Whether it begins with a title, as a file does that stands for itself.
        link: Makes the address of a picture from its file's name in the export; None where it is
            not there.
        model: The registered version in MLflow that the card is for, ``NAME/VERSION``.
        longest: Characters that it may have; pictures and what stands last go first, and the end
            says so.
    """
    lines = [
        *_title(card, title),
        *_drawing(card),
        *_knobs(card, link),
        *_data(card),
        *_figures(card),
        *_limits(card),
        *_use(card, model),
        *_origin(card),
    ]
    whole = "\n".join(line.markdown for line in lines) + "\n"
    if longest is None or len(whole) <= longest:
        return whole
    room, kept = longest - len(_CUT), set()
    for index, line in sorted(enumerate(lines), key=lambda pair: pair[1].priority):
        if (size := len(line.markdown) + 1) <= room:
            room -= size
            kept.add(index)
    return "\n".join(line.markdown for i, line in enumerate(lines) if i in kept) + _CUT


def to_html(card: Card, pictures: Mapping[str, bytes], *, title: bool = True) -> str:
    """Write a card as HTML to stand in a page: no script, no link, pictures as data URIs.

    Names come out as text whatever markup they hold. A Content-Security-Policy has to allow
    ``img-src data:``.

    Args:
        card: What it says.
        pictures: The strips by file name (`ssgan.export.strips.draw_strips`); PNG.
        title: Whether it begins with a heading of the first level.
    """

    def link(file: str) -> str:
        return f"data:image/png;base64,{base64.b64encode(pictures[file]).decode()}"

    return markdown_text.to_html(to_markdown(card, title=title, link=link))


def _title(card: Card, wanted: bool) -> Iterator[_Line]:
    if wanted:
        _, height, width = card.manifest.shape
        data = text(card.manifest.provenance.get("data") or "a generator")
        yield _Line(f"# {data}, drawn by name, {width} x {height} pixels\n")


def _drawing(card: Card) -> Iterator[_Line]:
    channels, height, width = card.manifest.shape
    kind = _CHANNELS.get(channels, f"{channels} channels")
    data = text(card.manifest.provenance.get("data"))
    yield from (_Line(_BEGIN), _Line(""))
    yield _Line(
        f"Images of {width} x {height} pixels ({kind}) like those of {data}, by codes that have "
        f"names. All else is drawn from {card.manifest.space.noise} numbers of noise."
    )
    rows = [(code(one.name), _values(card, one), _meaning(card, one)) for one in card.codes]
    yield _Line("")
    yield from map(_Line, table(("code", "values", "meaning"), rows).splitlines())
    yield _Line("")
    yield _Line(
        "It is for those who know such images and want more of them with values that they choose: "
        "to look at, to show, to test programs on, to try ideas on. What it draws was never seen "
        "by anybody, and proves nothing about anything."
    )


def _values(card: Card, one: Code) -> str:
    if not one.is_categorical:
        return f"{one.low:g} to {one.high:g}"
    shown = ", ".join(map(text, one.classes[:MAX_ROWS]))
    return f"{shown} and {one.size - MAX_ROWS:,} more" if one.size > MAX_ROWS else shown


def _meaning(card: Card, one: Code) -> str:
    return "given by labels" if one in card.supervised else "found without labels"


def _knobs(card: Card, link: Callable[[str], str | None]) -> Iterator[_Line]:
    yield from (_Line(""), _Line("## Knobs"), _Line(""))
    yield _Line(
        "Along a row one code changes, and noise and all other codes stay. The generator drew "
        "every picture here: none is of the images that it learned from."
    )
    for name, file in strip_files(card.manifest.space).items():
        one = card.manifest.space.codes[card.manifest.space.index(name)]
        values = [text(row.name) for row in rows_of([one if card.is_labeled else numbered(one)])]
        rest = len(values) - MAX_ROWS
        shown = ", ".join(values[:MAX_ROWS]) + (f" (not shown: {rest:,} more)" if rest > 0 else "")
        yield _Line(f"\n**{code(name)}** from left to right: {shown}.", 2)
        if (address := link(file)) is not None:
            yield _Line(f"\n![{text(name)}: {shown}]({address})", 2)


def _data(card: Card) -> Iterator[_Line]:
    provenance, info, budget = card.manifest.provenance, card.data, card.budget
    yield from (_Line(""), _Line("## Data"), _Line(""))
    counts = ""
    if info is not None:
        test = info.counts.get("test")
        tested = f"{test:,} in the test split" if test else "no test split"
        counts = f": {info.counts['train']:,} images to train, {tested}"
    name, data_hash = text(provenance.get("data")), code(str(provenance.get("data_hash")))
    yield _Line(f"- Data set {name}{counts}. Hash of the manifest: {data_hash}.")
    labels = provenance.get("labels") or 0
    how = ""
    if budget is not None:
        chosen = f", `data.choice={card.choice}`" if card.choice in ("drawn", "asked") else ""
        balanced = str(budget.balanced).lower()
        how = (
            f" (`data.labels={budget.amount}`{chosen}, `data.balanced={balanced}`, "
            f"`data.label_seed={budget.seed}`)"
        )
        if len(budget.held_out):
            how += f", {len(budget.held_out):,} of them kept apart to measure Q_ss"
    labels_hash = code(str(provenance.get("labels_hash")))
    yield _Line(f"- Labels that were used: {labels:,}{how}. Hash: {labels_hash}.")
    for one in dict.fromkeys(name for name, _, _ in card.label_counts):
        pairs = [f"{text(name)} ({n:,})" for other, name, n in card.label_counts if other == one]
        more = f" and {len(pairs) - MAX_ROWS:,} more" if len(pairs) > MAX_ROWS else ""
        yield _Line(f"- Labels by {code(one)}: {', '.join(pairs[:MAX_ROWS])}{more}.", 1)
    if (gained := provenance.get("labels_gained")) is not None:
        yield _Line(
            f"- From these {gained:,} more images gained labels by their neighbors, which nobody "
            f"checked (`data.spread`: {text(provenance.get('labels_spread'))})."
        )


def _figures(card: Card) -> Iterator[_Line]:
    yield from (_Line(""), _Line("## Figures"), _Line(""))
    record, copy = card.record, generator_name(card.manifest.copy_of)
    if record is None:
        yield _Line("No evaluation of it is in the record.")
        return
    samples = "" if card.samples is None else f", on {card.samples:,} images that it drew"
    yield _Line(
        f"Of {copy} after {record.step:,} updates, in which {record.images_seen:,} real images "
        f"were seen{samples}."
    )
    if card.step is not None and card.step != record.step:
        yield _Line(f"It was exported later, after {card.step:,} updates.")
    names = _measured(card)
    spread = {
        name: card.repeats.spread(name) if card.repeats and not name.startswith(_OF_C) else None
        for name in names
    }
    has_spread = any(spread.values())
    rows = []
    for name in names:
        found, metric = spread[name], catalog.find(name)
        said = f"{found.mean:.4f} ± {found.deviation:.4f} (n = {found.n})" if found else ""
        meaning = metric.meaning if metric is not None else ""
        cells = [_name(card, name), f"{card.metrics[name]:.4f}", said, meaning]
        rows.append([*cells[:2], *cells[2 if has_spread else 3 :]])
    head = ["metric", "this run", "mean ± standard deviation over seeds", "meaning"]
    if rows:
        yield _Line("")
        yield from map(
            _Line, table([*head[:2], *head[2 if has_spread else 3 :]], rows).splitlines()
        )
    yield _Line("")
    yield _Line(_say_seeds(card, has_spread))
    loss = card.metrics.get(card.loss)
    if loss is not None and card.samples:
        low, high = wilson(loss, card.samples)
        yield _Line(
            f"By the number of images alone, n = {card.samples:,}, the 0-1 loss of this run lies "
            f"between {low:.1%} and {high:.1%} (95 %)."
        )


def _measured(card: Card) -> list[str]:
    """Name the figures to show: of raw weights those alone that are not of the moving average."""
    metrics, is_main = card.metrics, card.loss == catalog.MAIN
    names = [card.loss, *_FIGURES]
    names += [name for part in _PARTS for name in metrics if name.startswith(part)]
    return [
        name
        for name in names
        if metrics.get(name) is not None
        and (is_main or name == card.loss or name.startswith(_OF_D))
    ]


def _say_seeds(card: Card, has_spread: bool) -> str:
    repeats = card.repeats
    if repeats is None:
        return "One run (n = 1): how much these figures vary with the seed is not known."
    search = text(repeats.search)
    if not has_spread:
        others = "" if repeats.metrics else "; when this was written others were not over"
        return (
            f"One run (n = 1) of the search {search}{others}: how much these figures vary with the "
            "seed is not known."
        )
    n = len(repeats.metrics)
    place = ""
    if repeats.rank:
        by = text(catalog.title(repeats.metric))
        place = f" By {by} this run is number {repeats.rank} of them, the best being 1."
    return f"The search {search} ran this configuration n = {n} times, each with a seed.{place}"


def _name(card: Card, name: str) -> str:
    """Return what a metric is called, with the code's own name."""
    metric, part = catalog.find(name), name.partition("/")[2]
    if metric is None or not part:
        return text(catalog.title(name))
    spelled = safe_names([one.name for one in card.codes])
    known = next((one for one, safe in spelled.items() if safe == part), part)
    return text(metric.title.format(known))


def _limits(card: Card) -> Iterator[_Line]:
    yield from (_Line(""), _Line("## Limits"), _Line(""))
    yield from (_Line(f"- {limit}") for limit in _find_limits(card))


def _find_limits(card: Card) -> Iterator[str]:
    metrics, record = card.metrics, card.record
    yield "It draws what its training images show, at their size, and inherits what they lack."
    yield "The record does not say under which license those are; find out before you pass it on."
    reasons = {} if record is None else record.reasons
    loss, error = metrics.get(card.loss), metrics.get("judge_error")
    if loss is not None and error is not None:
        yield (
            f"The classifier C takes {loss:.1%} of its images for another class than was asked "
            f"for, and itself errs on {error:.1%} of real images. That says whether they are "
            "recognized, not whether people take them for real."
        )
    if reason := reasons.get(card.loss):
        yield f"{_name(card, card.loss)}: {text(reason)}."
    worst = [one for one in card.class_losses() if one[0] >= _CONFUSED]
    if worst:
        named = ", ".join(
            f"{code(one)} = {text(name)} ({loss:.0%})" for loss, one, name in worst[:_WORST]
        )
        more = f" and {len(worst) - _WORST:,} more" if len(worst) > _WORST else ""
        yield f"Most often taken for another class: {named}{more}."
    read = metrics.get(catalog.WITHOUT_JUDGE)
    if read is not None:
        said = reasons.get(catalog.WITHOUT_JUDGE)
        how = f", {text(said)}" if said else ""
        yield f"Of held-out real images it reads {read:.1%} right (Q_ss){how}."
    varied = metrics.get("diversity")
    if varied is not None and card.manifest.copy_of == "ema":
        yield f"Within a class its images vary {varied:.2f} times as much as real ones."
    counts = [(n, one, name) for one, name, n in card.label_counts if name != NONE_OF_THESE]
    if counts and card.is_labeled:
        least, one, name = min(counts, key=lambda count: count[0])
        yield f"Fewest labels were of {code(one)} = {text(name)}: {least:,}."
    unnamed = [code(one.name) for one in card.codes if one not in card.supervised]
    if unnamed:
        yield f"No label says what {', '.join(unnamed)} mean; the strips show what they change."
    for alarm in () if record is None else record.alarms:
        yield f"The last evaluation warns: {text(alarm)}"


def _use(card: Card, model: str | None) -> Iterator[_Line]:
    first = card.codes[0]
    value = first.classes[-1] if first.is_categorical else f"{first.high:g}"
    quoted = _literal(value) if first.is_categorical else value
    is_plain = first.name.isidentifier() and not keyword.iskeyword(first.name)
    is_plain = is_plain and first.name not in _TAKEN and first.name.isascii()
    chosen = f"{first.name}={quoted}" if is_plain else f"codes={{{_literal(first.name)}: {quoted}}}"
    python = (
        "from ssgan import NamedGenerator",
        "",
        'generator = NamedGenerator.load("FOLDER")',
        f"images = generator.sample({chosen}, n=16, seed=0)  # uint8 (16, H, W, C)",
        "generator.read(images)  # what Q reads back",
    )
    asked = f"{first.name}={value}"
    shell = "ssgan sample FOLDER -n 16"
    if asked.isprintable():
        shell += f"{' --' if asked.startswith('-') else ''} {shlex.quote(asked)}"
    yield from (_Line(""), _Line("## Load it"), _Line(""))
    yield _Line(
        f"`FOLDER` is the folder of the export, `export` of a run. It needs ssgan "
        f"{text(card.manifest.ssgan)} or newer and torch; no GPU."
    )
    yield _Line("")
    yield _Line(block("\n".join(python), "python"))
    yield _Line("")
    yield _Line(block(shell, "bash"))
    if model is not None:
        yield _Line("")
        server = f"mlflow models serve -m {shlex.quote(f'models:/{model}')} --env-manager local"
        yield _Line(block(server, "bash"))


def _literal(value: str) -> str:
    """Write a name as Python; one that would turn the line around it by its characters' numbers."""
    return ascii(value) if is_turned(value) else repr(value)


def _origin(card: Card) -> Iterator[_Line]:
    yield from (_Line(""), _Line("## Origin"), _Line(""))
    names = {"run": "run", "run_id": "id", "experiment": "experiment", "step": "update"}
    known = {key: card.manifest.provenance.get(key) for key in (*names, "seed")}
    told = [f"{names.get(key, key)} {text(it)}" for key, it in known.items() if it is not None]
    copy, digest = generator_name(card.manifest.copy_of), code(card.manifest.weights_sha256)
    where = f", from {', '.join(told)}" if told else ""
    yield _Line(f"Weights of {copy}{where}. Their SHA-256: {digest}.")
