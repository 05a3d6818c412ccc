"""What `ssgan init` finds in a folder of pictures and a CSV of labels, and what it proposes."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import mean, median
from typing import Literal, NamedTuple

from ssgan.base.errors import BadInput
from ssgan.data.sources.columns import Kind, LabelCsv, guess_kind
from ssgan.data.sources.folder import Headers, find_pictures, read_headers

_SIZES = (8, 16, 24, 28, 32, 40, 48, 56, 64)  # pixels that the networks take
_SIZE = 32  # what larger pictures are scaled to, and a CPU trains in an hour or so
_MOST_CLASSES = 50
_CROPPED = 1.5  # pictures longer than this times their width lose too much to a central square


class Framing(NamedTuple):
    """How pictures become images of one size."""

    size: int
    """Height and width in pixels."""
    resize: Literal["crop", "pad"] | None
    """The rule for pictures that are not square; None where all are."""
    reason: str


class Column(NamedTuple):
    """A label column, as it is proposed; the code gets its name."""

    name: str
    kind: Kind | None
    """What it becomes; None leaves it out."""
    found: str
    """Labels and their counts, the range of values, or why it is left out."""
    known: int
    """Pictures that have a value."""
    declared: bool = False
    """Whether the kind must be written down, since the cells do not show it."""


@dataclass(frozen=True)
class Survey:
    """What there is in a folder."""

    root: Path
    count: int
    """Pictures that can be read."""
    broken: tuple[str, ...]
    """Names of those that cannot."""
    gray: bool
    """Whether all of them are gray."""
    framing: Framing
    csv: Path | None
    columns: tuple[Column, ...]
    """The label columns of the CSV."""
    folders: Column | None
    """The code that folder names make, or None."""
    complete: bool
    """Whether most pictures with a label have all of them, so that combinations can be counted."""

    @property
    def chosen(self) -> tuple[Column, ...]:
        """The columns that become supervised codes."""
        own = tuple(column for column in self.columns if column.kind is not None)
        return own if self.folders is None else (*own, self.folders)


def survey(root: Path, csv: Path | None) -> Survey:
    """Look at a folder of pictures and its CSV of labels: without a name, the only one in it.

    Raises:
        BadInput: There are no pictures, several CSVs, or a CSV that does not fit the pictures.
    """
    names = find_pictures(root)
    headers = read_headers(root, names)
    if not headers.sizes:
        raise BadInput(f"none of the {len(names)} pictures in {root} can be read")
    csv = csv or _find_csv(root)
    columns: tuple[Column, ...] = ()
    complete = True
    if csv is not None:
        table = LabelCsv.read(csv)
        table.refuse_unknown(names)
        columns = tuple(_column(name, cells) for name, cells in table.table.items())
        rows = zip(*(table.table[one.name] for one in columns if one.kind), strict=True)
        known = [[bool(cell) for cell in row] for row in rows]
        complete = 2 * sum(map(all, known)) > sum(map(any, known))
    return Survey(
        root=root,
        count=len(headers.sizes),
        broken=headers.broken,
        gray=headers.gray == len(headers.sizes),
        framing=_frame(headers),
        csv=csv,
        columns=columns,
        folders=_folders(names, {column.name for column in columns}),
        complete=complete,
    )


def _find_csv(root: Path) -> Path | None:
    found = sorted(root.glob("*.csv"))
    if len(found) > 1:
        raise BadInput(
            f"{root} holds several CSVs ({', '.join(file.name for file in found)}); say which one "
            "holds the labels with --csv"
        )
    return found[0] if found else None


def _frame(headers: Headers) -> Framing:
    sizes = Counter(headers.sizes.values())
    shorter = sorted(min(size) for size in headers.sizes.values())
    (width, height), _ = sizes.most_common(1)[0]
    one = len(sizes) == 1
    what = f"all are {width}x{height}" if one else f"they are of {len(sizes)} sizes"
    if one and width == height and width in _SIZES:
        return Framing(width, None, f"{what}, which suits the networks")
    typical = shorter[len(shorter) // 10]  # a few tiny pictures do not decide for all
    size = min(_SIZE, max((s for s in _SIZES if s <= typical), default=_SIZES[0]))
    larger = f"; up to {min(64, typical)} would show more and take longer" if typical > size else ""
    ratios = [max(size) / min(size) for size in headers.sizes.values()]
    if max(ratios) == 1:
        return Framing(size, None, f"{what}, all square; {size} pixels{larger}")
    lost = mean(1 - 1 / ratio for ratio in ratios)
    if median(ratios) <= _CROPPED:
        why = f"not all square; the central squares leave out {lost:.0%} of them{larger}"
        return Framing(size, "crop", f"{what}, {why}")
    why = f"most far from square; black bars keep all, crop would leave out {lost:.0%}{larger}"
    return Framing(size, "pad", f"{what}, {why}")


def _column(name: str, cells: Sequence[str]) -> Column:
    """Decide what a column is: text makes classes, numbers make values, identifiers neither."""
    known = [cell for cell in cells if cell]
    counts = Counter(known)
    if len(counts) < 2:
        found = f"only {known[0]!r}" if known else "nothing"
        return Column(name, None, f"{found} in it, which tells no picture from another", len(known))
    kind, odd = guess_kind(cells)
    if kind is None:
        found = f"numbers, but also {cells[odd[0]]!r}; correct the cells"
        return Column(name, None, found, len(known))
    if kind == "categorical":
        if len(counts) > min(_MOST_CLASSES, max(5, len(known) / 2)):
            found = f"{len(counts)} different texts in {len(known)} cells"
            return Column(name, None, found, len(known))
        return Column(name, "categorical", _listed(counts), len(known))
    values = [float(cell) for cell in known]
    if _are_class_numbers(set(values)):
        ordered = Counter({f"{value:g}": 0 for value in sorted(set(values))})
        ordered.update(f"{value:g}" for value in values)
        return Column(name, "categorical", _listed(ordered), len(known), declared=True)
    return Column(name, "continuous", f"{min(values):g} to {max(values):g}", len(known))


def _are_class_numbers(values: set[float]) -> bool:
    """Whether numbers count classes: 0, 1, 2 ... or 1, 2, 3 ... without a gap, and not many."""
    count = len(values)
    return count <= 20 and values in ({*range(count)}, {*range(1, count + 1)})


def _folders(names: Sequence[str], taken: set[str]) -> Column | None:
    """Propose folder names as classes, where every picture lies in a folder below the root."""
    counts = Counter(name.split("/")[0] for name in names if "/" in name)
    inside = sum(counts.values())
    if not 2 <= len(counts) <= _MOST_CLASSES or inside < len(names):
        return None
    name = next(name for name in ("folder", "category", "in_folder") if name not in taken)
    return Column(name, "categorical", _listed(counts), inside)


def _listed(counts: Counter[str]) -> str:
    shown = list(counts.items())[:12]
    more = f" ... {len(counts)} classes" if len(counts) > len(shown) else ""
    return ", ".join(f"{name}: {count}" for name, count in shown) + more
