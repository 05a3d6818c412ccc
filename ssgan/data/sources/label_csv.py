"""A CSV of partial labels: one row a file, an empty cell where a label is not known."""

import csv
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from ssgan.base.errors import BadInput
from ssgan.data.sources.columns import Cell, Kind

FILE_COLUMN = "file"
_DELIMITERS = ",;\t"
_SHOWN = 5


@dataclass(frozen=True)
class LabelCsv:
    """The content of the CSV, as text.

    Attributes:
        path: The CSV.
        files: The labeled files, relative to the image folder, with forward slashes.
        lines: The line of each row in the CSV, from 1.
        table: The stripped cells of the other columns, by name; "" where a label is not known.
    """

    path: Path
    files: tuple[str, ...]
    lines: tuple[int, ...]
    table: dict[str, list[str]]

    @classmethod
    def read(cls, path: Path) -> "LabelCsv":
        """Read a CSV with a header; the column `file`, or else the first, names the files.

        Raises:
            BadInput: There is no such CSV, it cannot be read, or it names a file twice.
        """
        try:
            with path.open(encoding="utf-8-sig", newline="") as stream:
                header_line = stream.readline()
                delimiter = max(_DELIMITERS, key=header_line.count)
                stream.seek(0)
                reader = csv.reader(stream, delimiter=delimiter, strict=True)
                header = [name.strip() for name in next(reader, [])]
                rows = [(reader.line_num, row) for row in reader if any(map(str.strip, row))]
        except FileNotFoundError:
            raise BadInput(
                f"there is no {path}; set data.source.csv to your CSV of labels"
            ) from None
        except (csv.Error, UnicodeDecodeError, OSError) as error:
            raise BadInput(f"{path} cannot be read as a UTF-8 CSV: {error}") from error
        if not rows or len(set(header)) < len(header) or "" in header:
            raise BadInput(
                f"{path} needs a header of distinct column names and one row or more; its header "
                f"is {', '.join(header) or 'empty'}"
            )
        for line, row in rows:
            if len(row) != len(header):
                raise BadInput(
                    f"{path}, line {line}: {len(row)} cells where the header has {len(header)}"
                )
        place = header.index(FILE_COLUMN) if FILE_COLUMN in header else 0
        files = tuple(_relative(row[place]) for _, row in rows)
        table = {
            name: [row[column].strip() for _, row in rows]
            for column, name in enumerate(header)
            if column != place
        }
        read = cls(path, files, tuple(line for line, _ in rows), table)
        read._refuse_doubles()
        return read

    def row_name(self, row: int) -> str:
        """Name a row for messages."""
        return f"line {self.lines[row]}"

    def cells(self, column: str, kind: Kind | None) -> list[Cell]:
        """Return a column's cells: floats where all of them are numbers, else text.

        Args:
            column: Name of the column.
            kind: What the user declared it to be; null to go by the cells.

        Raises:
            BadInput: Most cells are numbers, some are not, and `kind` does not say what is meant.
        """
        text = self.table[column]
        known = [(row, cell) for row, cell in enumerate(text) if cell]
        wrong = [(row, cell) for row, cell in known if not is_number(cell)]
        if not wrong:
            return [float(cell) if cell else None for cell in text]
        if kind is None and len(wrong) < len(known) / 2:
            shown = ", ".join(f"{cell!r} ({self.row_name(row)})" for row, cell in wrong[:_SHOWN])
            raise BadInput(
                f"{self.path}, column {column!r}: {len(wrong)} of {len(known)} cells are no "
                f"numbers: {shown}; leave unknown cells empty, or set "
                f"data.source.kinds.{column}=categorical if they are class names"
            )
        return [cell or None for cell in text]

    def refuse_unknown(self, images: Sequence[str]) -> None:
        """Refuse rows whose file is not among the images.

        Raises:
            BadInput: With the first of them.
        """
        there = set(images)
        missing = [
            f"{file} ({self.row_name(row)})"
            for row, file in enumerate(self.files)
            if file not in there
        ]
        if missing:
            raise BadInput(
                f"{self.path} names files that are not in the image folder, {len(missing)} in all: "
                f"{', '.join(missing[:_SHOWN])}{' ...' if len(missing) > _SHOWN else ''}; paths "
                "are relative to data.source.root"
            )

    def _refuse_doubles(self) -> None:
        seen: dict[str, int] = {}
        for row, file in enumerate(self.files):
            if file in seen:
                raise BadInput(
                    f"{self.path} labels {file} twice, in {self.row_name(seen[file])} and "
                    f"{self.row_name(row)}; keep one of them"
                )
            seen[file] = row


def is_number(cell: str) -> bool:
    """Return whether a cell reads as a number."""
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _relative(cell: str) -> str:
    return str(PurePosixPath(cell.strip().replace("\\", "/")))
