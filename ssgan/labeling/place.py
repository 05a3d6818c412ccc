"""What is asked, and where answers go: by an experiment file, or by a folder of pictures alone."""

import shlex
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import NamedTuple

from ssgan.base.errors import BadInput
from ssgan.data.sources.base import SourceConfig
from ssgan.data.sources.cells import UNKNOWN_WORDS, RawColumn
from ssgan.data.sources.folder import FolderSource
from ssgan.data.sources.inspect import inspect_folder
from ssgan.data.sources.label_table import LabelTable
from ssgan.data.sources.layout import class_folders
from ssgan.data.sources.matching import match_pictures
from ssgan.labeling.column import DEFAULT_COLUMN, Column
from ssgan.labeling.names import are_numbers
from ssgan.method.codes import NONE_OF_THESE


class Place(NamedTuple):
    """The pictures, the questions, and the CSV that answers are written to."""

    source: FolderSource
    csv: Path
    columns: tuple[Column, ...]
    next: tuple[str, ...]
    """Arguments of ``ssgan`` that go on from here."""


def place_of_file(
    file: str, source: SourceConfig, supervised: Sequence[str], labels: Sequence[Column]
) -> Place:
    """Return what an experiment file asks for: its supervised codes, in the CSV of its source.

    Args:
        file: The experiment file.
        source: Its `data.source`.
        supervised: Its `codes.supervised`.
        labels: Those of them that are asked about, with ranges of numbers; empty for all.

    Raises:
        BadInput: The source has no CSV, or no code of it can be asked about.
    """
    if not isinstance(source, FolderSource):
        raise BadInput(
            f"answers go to a CSV, which data.source.kind={source.kind} of {file} does not read; "
            "unpack the pictures into a folder, and let `ssgan init FOLDER` write a file for it"
        )
    if source.csv is None or source.csv.suffix.lower() != ".csv" or "*" in str(source.csv):
        raise BadInput(
            f"data.source.csv of {file} names no CSV of answers; set it to one, as "
            f"{Path(file).stem}.csv, and codes.supervised to what is asked, as [{DEFAULT_COLUMN}]"
        )
    asked = [code for code in supervised if code not in (source.folders, *source.one_hot)]
    for label in labels:
        if label.name not in asked:
            raise BadInput(
                f"--label {label.name}: codes.supervised of {file} asks for "
                f"{', '.join(asked) or 'nothing that a CSV answers'}; name one of these"
            )
    if not asked:
        raise BadInput(
            f"codes.supervised of {file} names no column of {source.csv}; add what is asked, as "
            f"codes.supervised: [{DEFAULT_COLUMN}]"
        )
    csv = source.label_files()[0]
    if not csv.exists():
        csv = Path(file).parent / source.csv.expanduser()
    given = {label.name: label for label in labels} or {code: Column(code) for code in asked}
    cells = _columns_of(csv)
    columns = tuple(_column(file, source, given[code], cells) for code in asked if code in given)
    return Place(source, csv, columns, ("train", file))


def check_answered(file: str, source: SourceConfig) -> None:
    """Refuse an experiment file whose CSV of answers nobody has written yet.

    Raises:
        BadInput: With the command that asks.
    """
    if not isinstance(source, FolderSource) or source.csv is None or "*" in str(source.csv):
        return
    if source.csv.suffix.lower() == ".csv" and not source.label_files()[0].exists():
        raise BadInput(
            f"there are no answers yet: run `ssgan label {shlex.quote(file)}`, which writes them "
            f"to {source.csv}"
        )


def _column(
    file: str, source: FolderSource, given: Column, cells: Mapping[str, RawColumn]
) -> Column:
    """Return the question about a code, as the source of an experiment file reads its answers.

    Raises:
        BadInput: It is asked for numbers and has classes.
    """
    code = given.name
    name = next((column for column, made in source.names.items() if made == code), code)
    known = [str(cell) for cell in cells.get(name, RawColumn([])).cells if cell is not None]
    kind = source.kinds.get(code)
    if kind is None and (known or code in source.classes):
        are_values = code not in source.classes and are_numbers(known)
        kind = "continuous" if are_values else "categorical"
    if given.is_number and kind == "categorical":
        raise BadInput(f"--label {code}=LOW..HIGH: {code} has classes, not numbers")
    unknown = UNKNOWN_WORDS if source.unknown is None else tuple(map(str, source.unknown))
    refused = (
        f'{file} would make a class of it; write  foreign: ["{NONE_OF_THESE}"]  below data.source '
        "there, and start again"
    )
    return replace(
        given,
        name=name,
        is_number=given.is_number or kind == "continuous",
        classes=source.classes.get(code, ()),
        fixed=code in source.classes,
        declared=code in source.kinds or code in source.classes,
        unknown=unknown,
        none_refused="" if NONE_OF_THESE in (*source.foreign, *unknown) else refused,
    )


def place_of_folder(folder: Path, csv: Path | None, labels: Sequence[Column]) -> Place:
    """Return what is asked about a folder: the columns of its CSV, or of a new one beside it.

    The CSV is the one that `ssgan init` finds, or FOLDER.csv beside the folder, which it will find.

    Raises:
        BadInput: There are no pictures, or label files that are no CSV.
    """
    found = inspect_folder(folder, csv if csv is not None and _columns_of(csv) else None)
    framing = found.framing
    source = FolderSource(
        root=found.root,
        size=framing.size,
        resize=framing.resize or "none",
        channels=1 if found.gray else 3,
        test=found.test,
    )
    place = csv or found.csv or folder.resolve().with_name(f"{folder.resolve().name}.csv")
    if place.suffix.lower() != ".csv" or "*" in str(place):
        raise BadInput(f"the labels of {folder} are in {place}; give a CSV for answers by --csv")
    if not labels and place == found.csv:
        own = [one for one in found.columns if not one.spread]
        own = [one for one in own if one.kind is not None] or own  # one class so far
        labels = [Column(one.name, is_number=one.kind == "continuous") for one in own]
    return Place(source, place, tuple(labels) or (Column(DEFAULT_COLUMN),), ("init", str(folder)))


def known_answers(
    place: Place, names: Sequence[str], spec: str, own: Path | None
) -> dict[int, str]:
    """Return known labels, which answer in place of a person.

    Args:
        place: What is asked.
        names: The pictures, relative to the source's root.
        spec: ``FILE.csv:COLUMN``; or a column of the source's own CSV, or its code of folders.
        own: The source's own CSV, where answers go to another one.

    Returns:
        The label of each picture that has one.

    Raises:
        BadInput: There is no such column.
    """
    file, _, column = spec.rpartition(":")
    if not file and column == place.source.folders:
        return {row: name for row, name in enumerate(class_folders(names)) if name is not None}
    table_file = Path(file) if file else own
    if table_file is None:
        raise BadInput(
            f"--answers {spec}: the labels of {place.csv.name} are the answers themselves; give "
            "FILE.csv:COLUMN, or write the answers to another file by --csv"
        )
    if table_file.absolute() == place.csv.absolute():
        raise BadInput(
            f"--answers {spec}: answers are written to that file; write them to another by --csv"
        )
    table = LabelTable.read([table_file])
    if column not in table.columns:
        raise BadInput(f"--answers {spec}: {table_file} has no column {column!r}")
    rows = match_pictures(table, names, place.source.root, place.source.file_column).rows
    cells = table.columns[column].cells
    return {row: str(cell) for row, cell in zip(rows, cells, strict=True) if cell is not None}


def _columns_of(csv: Path) -> Mapping[str, RawColumn]:
    """Return the columns of a CSV, or none where it has no rows yet."""
    try:
        return LabelTable.read([csv]).columns
    except BadInput:
        return {}  # whoever opens it for answers says what is wrong
